/**
 * A batch of rows on its way into the tables, cut down to what storing needs.
 *
 * A row as its format reads it is some fifty objects of 3.5 kB together. Kept until their batch is stored they outlive
 * what V8's collector takes cheaply, and moving them from heap to heap cost an import more than all else it did. So
 * rows are settled chunk by chunk as they are read; what stays of each is one object of numbers and shared words, one
 * string, and its COPY text as bytes outside the heap.
 */
import type { Direction, RawRow, Rejection } from '../cdr.ts';
import type { Taken } from '../formats/reader.ts';
import { type Month, monthOf } from '../partitions.ts';
import { copyLine } from './copy_text.ts';
import type { Origin, RowOutcome } from './intake.ts';
import { type Account, type Cdr, SOURCE_KEY_LENGTH, settle } from './settle.ts';
import { storable } from './storable.ts';

/** A call that is ready to be stored. */
export interface ReadyCall {
  readonly row: RawRow;
  /** Index in the batch. */
  readonly place: number;
  /** What the record is known by within its source: its source key, and behind it its call id. */
  readonly key: string;
  /** Milliseconds since 1970. */
  readonly startTime: number;
  readonly endTime: number;
  /** Where its COPY text lies in the batch's. */
  readonly textFrom: number;
  readonly textTo: number;
  readonly iAccount: number;
  readonly direction: Direction;
  /** '' where it is not known. */
  readonly country: string;
  readonly currency: string;
  readonly answered: boolean;
  readonly failed: boolean;
  readonly durationUs: number;
  readonly billedUs: number;
  readonly cost: string | null;
}

/** A row that can't be taken in. */
export interface AsideRow {
  readonly row: RawRow;
  readonly place: number;
  readonly rejection: Rejection;
}

/** A row that says again what another row of the batch, or of one that is being stored meanwhile, says. */
export interface RepeatedRow {
  readonly row: RawRow;
  readonly place: number;
  readonly key: string;
}

export interface Batch {
  /** How many rows it holds. */
  readonly rows: number;
  readonly calls: readonly ReadyCall[];
  readonly aside: readonly AsideRow[];
  readonly repeated: readonly RepeatedRow[];
  /** The months in which its calls start. */
  readonly months: ReadonlySet<Month>;
  /** COPY text of its calls, each without its i_cdr. */
  readonly text: Buffer;
  /** What became of each row so far, by place. */
  readonly outcomes: (RowOutcome | undefined)[];
}

/** A batch that is being filled. */
export interface OpenBatch extends Batch {
  /** @param accounts those that the rows name, by code */
  add(rows: readonly Taken[], accounts: ReadonlyMap<string, Account>, now: number): void;
  /** The keys of its calls. */
  readonly keys: ReadonlySet<string>;
}

/** Bytes of COPY text of a usual row; only the first guess of a batch's size. */
const TEXT_BYTES_A_ROW = 400;
/** A character of a JavaScript string makes at most this many bytes of UTF-8. */
const MAX_BYTES_A_CHARACTER = 3;

/**
 * @param expectedRows how many rows will be added, as far as that is known
 * @param inFlight keys of the batches that are being stored meanwhile: what they hold is not stored again
 */
export function openBatch(
  origin: Origin,
  expectedRows: number,
  inFlight: Iterable<ReadonlySet<string>> = [],
): OpenBatch {
  const calls: ReadyCall[] = [];
  const aside: AsideRow[] = [];
  const repeated: RepeatedRow[] = [];
  const keys = new Set<string>();
  const months = monthCollector();
  let text = Buffer.allocUnsafeSlow(expectedRows * TEXT_BYTES_A_ROW);
  let textEnd = 0;
  let rows = 0;

  function write(line: string): void {
    const needed = textEnd + line.length * MAX_BYTES_A_CHARACTER;
    if (needed > text.length) {
      const larger = Buffer.allocUnsafeSlow(needed * 2);
      text.copy(larger, 0, 0, textEnd);
      text = larger;
    }
    textEnd += text.write(line, textEnd);
  }

  function isInFlight(key: string): boolean {
    for (const others of inFlight) if (others.has(key)) return true;
    return false;
  }

  function addCall(cdr: Cdr, row: RawRow, place: number): void {
    const key = ownText(cdr.sourceKey + cdr.callId);
    if (keys.has(key) || isInFlight(key)) {
      repeated.push({ row, place, key });
      return;
    }
    keys.add(key);
    const textFrom = textEnd;
    write(copyLine(cdr, row.line, origin));
    const { record } = cdr;
    months.add(record.startTime);
    calls.push({
      row,
      place,
      key,
      startTime: record.startTime,
      endTime: record.disconnectTime ?? record.startTime + record.durationS * 1000,
      textFrom,
      textTo: textEnd,
      iAccount: cdr.account.i_account,
      direction: cdr.direction,
      country: cdr.country ?? '',
      currency: cdr.currency,
      answered: record.connectTime !== null,
      failed: record.result === 'failed',
      durationUs: Math.round(record.durationS * US_PER_S),
      billedUs: Math.round(record.billedDurationS * US_PER_S),
      cost: record.cost,
    });
  }

  return {
    get rows() {
      return rows;
    },
    calls,
    aside,
    repeated,
    months: months.found,
    get text() {
      return text;
    },
    outcomes: [],
    keys,
    add(taken, accounts, now) {
      for (const { parsed, row } of taken) {
        const place = rows++;
        const settled =
          parsed.kind === 'rejected'
            ? parsed
            : settle(parsed.record, accounts.get(storable(parsed.record.accountCode)), now);
        if (settled.kind === 'rejected') aside.push({ row, place, rejection: settled.rejection });
        else addCall(settled.cdr, row, place);
      }
    },
  };
}

const US_PER_S = 1_000_000;

/** The source key of a call's key. */
export const sourceKeyOf = (call: { readonly key: string }): string => call.key.slice(0, SOURCE_KEY_LENGTH);

/** The call id of a call's key. */
export const callIdOf = (call: { readonly key: string }): string => call.key.slice(SOURCE_KEY_LENGTH);

/**
 * V8 keeps a text that was cut out of another as a view of it, and one that was put together as its parts: a key would
 * keep its whole row in memory.
 */
const ownText = (text: string): string => Buffer.from(text).toString();

/** Months of start times; the calendar is asked only when the month may have changed. */
function monthCollector(): { found: ReadonlySet<Month>; add(time: number): void } {
  const found = new Set<Month>();
  let day = Number.NaN;
  return {
    found,
    add(time) {
      const itsDay = Math.floor(time / DAY_MS);
      if (itsDay === day) return;
      day = itsDay;
      found.add(monthOf(time));
    },
  };
}

const DAY_MS = 86_400_000;
