/**
 * The calls of a batch as columns: the values of call number `n` stand at place `n` of each.
 *
 * An object for each call, some 500 bytes with its key, would outlive the cheap part of V8's collector, since thousands
 * wait for their batch to be stored. There are few columns, and the next batch uses them again.
 */
import type { Direction } from '../call_fields.ts';
import { type Cdr, SOURCE_KEY_LENGTH } from './normalize.ts';
import type { RowsOf } from './rows.ts';

/** Number of a call within its batch, from 0. */
export type CallNumber = number;

export interface CallColumns {
  /** Index of its row in the batch. */
  readonly place: Uint32Array;
  /** Its line in the source. */
  readonly line: Float64Array;
  readonly offset: Float64Array;
  /** 1 or 0; see RawRow. */
  readonly ended: Uint8Array;
  readonly of: RowsOf[];
  /** The record's key within its source: its source key, and behind it its call id. */
  readonly key: string[];
  /** Which of its values the source gave (told.ts). */
  readonly told: Int32Array;
  /** Its key in an earlier version; '' where that does not matter. */
  readonly keyBefore: string[];
  /** Call ids under which other readings of its row may have stored it; mostly none. */
  readonly otherIds: (readonly string[])[];
  /** Milliseconds since 1970. */
  readonly startTime: Float64Array;
  readonly endTime: Float64Array;
  /** Where the row's own bytes lie in the batch's, up to `textFrom`. */
  readonly rowFrom: Uint32Array;
  /** Where its COPY text lies in the batch's bytes. */
  readonly textFrom: Uint32Array;
  readonly textTo: Uint32Array;
  readonly iAccount: Float64Array;
  readonly direction: Direction[];
  /** '' where it is unknown. */
  readonly country: string[];
  readonly currency: string[];
  /** 1 or 0. */
  readonly answered: Uint8Array;
  readonly failed: Uint8Array;
  readonly durationUs: Float64Array;
  readonly billedUs: Float64Array;
  readonly cost: (string | null)[];
}

/** @param size the largest number of calls */
export function callColumns(size: number): CallColumns {
  return {
    place: new Uint32Array(size),
    line: new Float64Array(size),
    offset: new Float64Array(size),
    ended: new Uint8Array(size),
    of: [],
    key: [],
    told: new Int32Array(size),
    keyBefore: [],
    otherIds: [],
    startTime: new Float64Array(size),
    endTime: new Float64Array(size),
    rowFrom: new Uint32Array(size),
    textFrom: new Uint32Array(size),
    textTo: new Uint32Array(size),
    iAccount: new Float64Array(size),
    direction: [],
    country: [],
    currency: [],
    answered: new Uint8Array(size),
    failed: new Uint8Array(size),
    durationUs: new Float64Array(size),
    billedUs: new Float64Array(size),
    cost: [],
  };
}

const US_PER_S = 1_000_000;

/** Writes a record's values at a call's number, but not its place in the batch. */
export function setCall(columns: CallColumns, call: CallNumber, cdr: Cdr): void {
  const { record } = cdr;
  columns.told[call] = cdr.told;
  columns.startTime[call] = record.startTime;
  columns.endTime[call] = record.disconnectTime ?? record.startTime + record.durationS * 1000;
  columns.iAccount[call] = cdr.account.i_account;
  columns.direction[call] = cdr.direction;
  columns.country[call] = cdr.country ?? '';
  columns.currency[call] = cdr.currency;
  columns.answered[call] = cdr.result === 'answered' ? 1 : 0;
  columns.failed[call] = cdr.result === 'failed' ? 1 : 0;
  columns.durationUs[call] = Math.round(record.durationS * US_PER_S);
  columns.billedUs[call] = Math.round(cdr.billedDurationS * US_PER_S);
  columns.cost[call] = cdr.cost;
}

/** The key of a record. Joined, so that it is a text of its own: V8 would keep a sum as its parts, and with the parts their row. */
export const keyOf = (cdr: Cdr): string => [cdr.sourceKey, cdr.callId].join('');

/** The source key of a call's key. */
export const sourceKeyOf = (key: string): string => key.slice(0, SOURCE_KEY_LENGTH);

/** The call id of a call's key. */
export const callIdOf = (key: string): string => key.slice(SOURCE_KEY_LENGTH);
