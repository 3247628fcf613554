/**
 * From a source's record to the stored one: finds its account, its numbers in E.164, the country that it called, and its
 * key.
 */
import { hash } from 'node:crypto';
import { isPrintable, printable } from '#platform/telemetry/printable.ts';
import { isNone } from '../absent.ts';
import { tidyCode } from '../account_codes.ts';
import type { CdrFlag, Direction } from '../call_fields.ts';
import type { Rejection, SourceRecord } from '../cdr.ts';
import { MAX_DIGITS, MAX_EXPONENT, plainDecimal } from '../decimal.ts';
import { quoted } from '../formats/field_values.ts';
import { BETWEEN } from '../formats/normal_values.ts';
import { LAST_CALL_YEAR } from '../months.ts';
import { isSpreadsheetPower } from '../number_text.ts';
import { createNumberReader, directionOf } from '../numbers.ts';
import { decideOutcome, type Outcome } from '../outcome.ts';
import type { Account } from '../store/account_rows.ts';
import { storable } from '../store/storable.ts';
import { toldOf } from '../told.ts';
import { isAnsweredBySwitch, linkedIdOf } from './linkage.ts';

/** A record ready to be stored; all but its i_cdr. The decisions made here count, not the record's own values. */
export interface Cdr extends Outcome {
  readonly record: SourceRecord;
  readonly account: Account;
  readonly callId: string;
  /** The id that joins it with the other legs of its call; '' where only its call id does. */
  readonly linkedId: string;
  /** Of all values of its row: another row with the same key and call id has the same values. */
  readonly sourceKey: string;
  /** Which of its values the source gave (told.ts). */
  readonly told: number;
  readonly cli: string;
  readonly cld: string;
  readonly direction: Direction;
  readonly country: string | null;
  readonly currency: string;
  /** Decimal string. Null: not rated. */
  readonly cost: string | null;
}

export type NormalizedRow = { kind: 'cdr'; cdr: Cdr } | { kind: 'rejected'; rejection: Rejection };

const DAY_MS = 86_400_000;
const LATEST_START = Date.UTC(LAST_CALL_YEAR + 1, 0);
/** 132 of SHA-256's bits: two of a thousand billion records meet with a chance of 10^-16. */
export const SOURCE_KEY_LENGTH = 22;
/** Kept by any means, and most are so. */
const SHORT_DECIMAL = /^-?\d{1,15}(\.\d{1,15})?$/;
const MINUS_ONE = /^-0*1(\.0*)?$/;
const NOUGHT = /^-[0.]*$/;
const LONGEST_CALL_S = 100 * 86_400;

const numbers = createNumberReader();

/**
 * @param account of the record
 * @param now milliseconds since 1970
 * @param credits whether a cost below 0 is money; otherwise -1 means that the call could not be rated, and others are invalid
 */
export function normalize(
  record: SourceRecord,
  account: Account,
  now: number,
  credits: boolean,
): NormalizedRow {
  const isUnrated = !credits && record.cost !== null && MINUS_ONE.test(record.cost);
  const fault =
    cutNumber('cli', record.cli) ??
    cutNumber('cld', record.cld) ??
    outOfRange(record) ??
    otherCurrency(record, account) ??
    (credits || isUnrated ? undefined : negative(record));
  if (fault) return { kind: 'rejected', rejection: fault };
  const cli = numbers.read(record.cli, account.country);
  const cld = numbers.read(record.cld, account.country);
  const direction = record.direction ?? directionOf(cli.number, cld.number);
  const outcome = decideOutcome(record);
  const linkedId = storable(linkedIdOf(record));
  const flags: CdrFlag[] = [];
  if (isAnsweredBySwitch(outcome, record.attributes)) flags.push('answered_by_switch');
  if (isUnrated) flags.push('not_rated');
  if (record.startTime > now + DAY_MS) flags.push('in_the_future');
  if (account.closed_from !== null && record.startTime >= Date.parse(account.closed_from))
    flags.push('account_closed');
  const rowKey = record.wholeRow === '' ? '' : keyOfText(record.wholeRow);
  const callId = storable(record.callId);
  // A row without a call id gets a generated one; support does not see those, and identifies the calls by this.
  const sourceKey =
    rowKey !== '' && (callId === '' || record.alsoSays === '')
      ? rowKey
      : keyOfText(`${record.identity}${BETWEEN}${record.alsoSays}`);
  return {
    kind: 'cdr',
    cdr: {
      record,
      account,
      callId: callId || sourceKey,
      linkedId,
      sourceKey,
      told: toldOf(
        record,
        linkedId,
        !isNone(record.accountCode) || record.accountCode === account.code,
        !isUnrated,
      ),
      cli: cli.number,
      cld: cld.number,
      direction,
      country: record.country ?? (direction === 'inbound' ? cli.country : cld.country),
      currency: record.currency ?? account.currency,
      result: outcome.result,
      billedDurationS: outcome.billedDurationS,
      disconnectCause: outcome.disconnectCause,
      cost: isUnrated ? null : record.cost,
      flags: flags.length === 0 ? outcome.flags : [...outcome.flags, ...flags],
    },
  };
}

/** A key made of a text. */
export const keyOfText = (text: string): string =>
  hash('sha256', text, 'base64url').slice(0, SOURCE_KEY_LENGTH);

/**
 * Why a row without a known account is rejected.
 * @param written the row's name for the account
 * @param alike an account's code that differs from it in case alone
 */
export function withoutAccount(written: string, alike: string | undefined): Rejection {
  if (isNone(written)) {
    return {
      code: 'no_account',
      field: 'account',
      reason:
        'The row names no account; give the account with --account CODE, or its field with --account-from FIELD',
    };
  }
  const code = tidyCode(written);
  if (!isPrintable(code)) {
    return {
      code: 'bad_value',
      field: 'account',
      reason: `The account's code is ${quoted(printable(code))}: no account is made with control characters, or such that turn the order of text`,
    };
  }
  return {
    code: 'unknown_account',
    field: 'account',
    reason: `No account has the code ${quoted(code)}${alike === undefined ? '' : ` (one has ${quoted(alike)})`}; add it, or have unknown accounts made with --create-accounts`,
  };
}

const CALL_LENGTH = '0 to 8640000 seconds (100 days)';

const isCallLength = (seconds: number) => seconds >= 0 && seconds <= LONGEST_CALL_S;

const bad = (field: string, is: unknown, wanted: string): Rejection => ({
  code: 'bad_value',
  field,
  reason: `${field} is ${String(is).slice(0, 60)}; it must be ${wanted}`,
});

/** A price below 0 is mostly a mistake, and would silently reduce the sums. */
function negative({ cost }: SourceRecord): Rejection | undefined {
  if (cost === null || !cost.startsWith('-') || NOUGHT.test(cost)) return undefined;
  return bad('cost', cost, '0 or more; credit notes are taken in with --credits');
}

/** A spreadsheet's power of ten is no telephone number, and can't become one again. */
function cutNumber(field: 'cli' | 'cld', number: string): Rejection | undefined {
  if (!isSpreadsheetPower(number)) return undefined;
  const reason = `${field} is ${quoted(number)}: a spreadsheet cut the number's digits; import the file as the switch wrote it`;
  return { code: 'bad_value', field, reason };
}

/** A cost in dollars does not belong to an account in euros. */
function otherCurrency({ currency, costCurrencies }: SourceRecord, account: Account): Rejection | undefined {
  if (currency !== null || !costCurrencies || costCurrencies.includes(account.currency)) return undefined;
  return {
    code: 'bad_value',
    field: 'cost',
    reason: `cost has a sign of another currency than the account's, ${account.currency}; say which with a column for currency`,
  };
}

function outOfRange(record: SourceRecord): Rejection | undefined {
  if (!(record.startTime >= 0 && record.startTime < LATEST_START)) {
    return { ...bad('start_time', record.startTime, `from 1970 to ${LAST_CALL_YEAR}`), code: 'bad_time' };
  }
  if (!isCallLength(record.durationS)) return bad('duration_s', record.durationS, CALL_LENGTH);
  if (record.billedDurationS !== null && !isCallLength(record.billedDurationS)) {
    return bad('billed_duration_s', record.billedDurationS, CALL_LENGTH);
  }
  if (record.cost !== null && !SHORT_DECIMAL.test(record.cost) && plainDecimal(record.cost) !== record.cost) {
    const kept = `a decimal of at most ${MAX_DIGITS} digits, with an exponent from -${MAX_EXPONENT} to ${MAX_EXPONENT}`;
    return bad('cost', record.cost, `${kept}, which is kept exactly`);
  }
  if (record.currency !== null && !/^[A-Z]{3}$/.test(record.currency)) {
    return bad('currency', record.currency, 'an ISO 4217 code such as EUR');
  }
  if (record.country !== null && !/^[A-Z]{2}$/.test(record.country)) {
    return bad('country', record.country, 'an ISO 3166-1 code of two letters such as DE');
  }
  return undefined;
}
