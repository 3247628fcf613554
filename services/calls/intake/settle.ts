/**
 * From a source's record to the one that is stored: whose it is, what its numbers are in E.164, which country it
 * called, which key it is known by.
 */
import { hash } from 'node:crypto';
import type { CdrFlag, Direction, Rejection, SourceRecord } from '../cdr.ts';
import { createNumberReader, directionOf } from '../numbers.ts';
import { LAST_YEAR } from '../partitions.ts';
import { storable } from './storable.ts';

export interface Account {
  readonly i_account: number;
  readonly code: string;
  readonly currency: string;
  readonly country: string | null;
}

/** A record ready to be stored; all but its i_cdr. */
export interface Cdr {
  readonly record: SourceRecord;
  readonly account: Account;
  readonly callId: string;
  readonly sourceKey: string;
  readonly cli: string;
  readonly cld: string;
  readonly direction: Direction;
  readonly country: string | null;
  readonly currency: string;
  readonly flags: readonly CdrFlag[];
}

export type Settled = { kind: 'cdr'; cdr: Cdr } | { kind: 'rejected'; rejection: Rejection };

const DAY_MS = 86_400_000;
const LATEST_START = Date.UTC(LAST_YEAR + 1, 0);
/** 132 of SHA-256's bits: two of a thousand billion records meet with a chance of 10^-16. */
export const SOURCE_KEY_LENGTH = 22;
/** What a numeric with twelve decimals holds; see usage.ts. */
const COST = /^-?\d{1,15}(\.\d{1,12})?$/;
const LONGEST_CALL_S = 100 * 86_400;

const numbers = createNumberReader();

/**
 * @param account whose record it is; undefined when nobody has its account code
 * @param now milliseconds since 1970
 */
export function settle(record: SourceRecord, account: Account | undefined, now: number): Settled {
  if (!account) return { kind: 'rejected', rejection: withoutAccount(record.accountCode) };
  const fault = outOfRange(record);
  if (fault) return { kind: 'rejected', rejection: fault };
  const cli = numbers.read(record.cli, account.country);
  const cld = numbers.read(record.cld, account.country);
  const direction = record.direction ?? directionOf(cli.number, cld.number);
  const sourceKey = hash('sha256', record.identity, 'base64url').slice(0, SOURCE_KEY_LENGTH);
  return {
    kind: 'cdr',
    cdr: {
      record,
      account,
      // A source without call ids gets one made of the record itself.
      callId: storable(record.callId) || sourceKey,
      sourceKey,
      cli: cli.number,
      cld: cld.number,
      direction,
      country: record.country ?? (direction === 'inbound' ? cli.country : cld.country),
      currency: record.currency ?? account.currency,
      flags: record.startTime > now + DAY_MS ? [...record.flags, 'in_the_future'] : record.flags,
    },
  };
}

function withoutAccount(code: string): Rejection {
  if (code === '') {
    return {
      code: 'no_account',
      field: 'account',
      reason:
        'The row names no account; say whose such rows are with --account CODE, or which field tells it with --account-from FIELD',
    };
  }
  return {
    code: 'unknown_account',
    field: 'account',
    reason: `No account has the code "${code}"; add it (trunkline accounts create ${code}) or import with --create-accounts`,
  };
}

const CALL_LENGTH = '0 to 8640000 seconds (100 days)';

const isCallLength = (seconds: number) => seconds >= 0 && seconds <= LONGEST_CALL_S;

const bad = (field: string, is: unknown, wanted: string): Rejection => ({
  code: 'bad_value',
  field,
  reason: `${field} is ${String(is).slice(0, 60)}; it must be ${wanted}`,
});

function outOfRange(record: SourceRecord): Rejection | undefined {
  if (!(record.startTime >= 0 && record.startTime < LATEST_START)) {
    return { ...bad('start_time', record.startTime, `from 1970 to ${LAST_YEAR}`), code: 'bad_time' };
  }
  if (!isCallLength(record.durationS)) return bad('duration_s', record.durationS, CALL_LENGTH);
  if (!isCallLength(record.billedDurationS)) {
    return bad('billed_duration_s', record.billedDurationS, CALL_LENGTH);
  }
  if (record.cost !== null && !COST.test(record.cost)) {
    return bad('cost', record.cost, 'a decimal with at most 15 digits before and 12 after the point');
  }
  if (record.currency !== null && !/^[A-Z]{3}$/.test(record.currency)) {
    return bad('currency', record.currency, 'an ISO 4217 code such as EUR');
  }
  if (record.country !== null && !/^[A-Z]{2}$/.test(record.country)) {
    return bad('country', record.country, 'an ISO 3166-1 code of two letters such as DE');
  }
  return undefined;
}
