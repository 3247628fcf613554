/**
 * The rule that hides the switch's id of a call from callers who see masked numbers. An id is hidden if it contains a number of
 * the call in any writing, the end of such a number (`PJSIP/3456-…`), or any number behind a plus or `sip:`. Most switches make
 * random ids, and support looks calls up by them. Some switches put the number into the id.
 *
 * The rule stands here twice: in JavaScript for ids that are shown, and in SQL for ids in a search. Both must decide alike: an id
 * that is shown but not found, or found but not shown, would reveal hidden digits.
 */
import { type RawBuilder, sql } from 'kysely';
import { holdsInternational, perhapsEndsIn } from '#platform/telemetry/telephone_numbers.ts';
import {
  DIGITS_IN_BASE64,
  type Digit,
  digitsIn,
  digitValue,
  ODD_DIGIT,
  readPlainly,
} from '#platform/telemetry/written_digits.ts';

/**
 * An id and a number seldom share so many consecutive digits by chance: of a hundred thousand UUIDs, some three share them with
 * a number of their call.
 */
const SHARED_DIGITS = 7;
/** The last digits of a number: the hidden digits and the two behind them. Some national numbers are no longer than that. */
const LAST_DIGITS = 6;
/** Shorter numbers are extensions, and are shown. */
const SHORTEST_NUMBER = 5;

/** The digits at the end of a number that are not starred. */
export const SHOWN_DIGITS = 2;

/**
 * The last digits of a possible end of a number in an id. The rule compares only the shown digits: whether the starred digits
 * agree must not become visible.
 */
const shortEnds = (id: string): string[] => [
  ...new Set(perhapsEndsIn(readPlainly(id)).map((run) => textOf(run.slice(-SHOWN_DIGITS)))),
];

export const textOf = (digits: readonly Digit[]): string => digits.map(({ value }) => value).join('');

const ESCAPE = '%(?:25){0,3}[0-9A-Fa-f]{2}';
const ESCAPES = new RegExp(ESCAPE, 'g');

/**
 * A writing that PostgreSQL can't read as JavaScript does. If a number of the call is written so, the id is always hidden.
 */
const HARD_TO_READ = String.raw`[%=](?:25)*(?:3[0-9]|[eEfF]|[dD][9bBfF]|[cC]2)|%(?:25)*(?:2[36]|[014-9A-Fa-f][0-9A-Fa-f])|&|\\|U[+]|${DIGITS_IN_BASE64.source}|${ODD_DIGIT}`;
const HARD = new RegExp(HARD_TO_READ, 'u');

/** The text that may follow a number: a host with its port, parameters, an extension. */
const BEHIND_NUMBER = '[@;].*$|(?<=[0-9][ ().,/-]{0,5})[A-Za-z].*$';
const BEHIND = new RegExp(BEHIND_NUMBER, 's');

/** The digits of a number in three ways: as they stand, without those of escapes such as %20, and without the text that follows. */
function digitReadings(text: string): readonly string[] {
  const digits = (written: string) =>
    (written.match(/\p{Nd}/gu) ?? []).map((digit) => digitValue(digit)).join('');
  return [...new Set([text, text.replace(ESCAPES, ''), text.replace(BEHIND, '')])].map(digits);
}

const digitsOfId = (id: string): string => textOf(digitsIn(readPlainly(id)));

/** All runs of so many digits in the digits of an id. */
function runsOf(id: string, length: number): string[] {
  const digits = digitsOfId(id);
  const runs = new Set<string>();
  for (let at = 0; at + length <= digits.length; at++) runs.add(digits.slice(at, at + length));
  return [...runs];
}

/** @param numbers of the call, in every known writing */
export function isIdHidden(id: string, numbers: readonly (string | null | undefined)[]): boolean {
  if (holdsInternational(id) || numbers.some((number) => HARD.test(number ?? ''))) return true;
  const digitsOfThis = digitsOfId(id);
  const ends = shortEnds(id);
  const holds = (digits: string) => digitsOfThis.includes(digits);
  return numbers.some((number) =>
    digitReadings(number ?? '').some((digits) => {
      if (digits.length < SHORTEST_NUMBER) return false;
      if (ends.includes(digits.slice(-SHOWN_DIGITS))) return true;
      if (holds(digits.slice(-LAST_DIGITS))) return true;
      return runsOf(digits, SHARED_DIGITS).some(holds);
    }),
  );
}

/** UUIDs, and Asterisk's uniqueid `epoch.number`: switches make these, and no number of a leg is in them. */
const MADE_BY_SWITCH = /^(?:1\d{9}\.\d{1,9}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/i;

/**
 * Whether the linked id of a call's legs is hidden. It may contain a number of any leg, so it is shown only if its form is one
 * that switches make, and it contains no number of this leg either.
 */
export const isLinkedIdHidden = (id: string, numbers: readonly (string | null | undefined)[]): boolean =>
  !MADE_BY_SWITCH.test(id) || isIdHidden(id, numbers);

/** The same rule as a condition of a statement that searches for this id. */
export const linkedIdIsShown = (id: string): RawBuilder<unknown> =>
  sql`${MADE_BY_SWITCH.test(id)}::boolean
    AND ${idIsShown(id, sql`(c.linked_id IS NOT NULL OR c.call_id <> c.source_key)`)}`;

/**
 * The condition that callers who see masked numbers see the id of a call, for a statement over `calls.cdrs c` that searches for
 * this id. The statement is the same for every id, so its text and plan reveal nothing. Its time reveals hardly anything: a row
 * that is found and hidden costs some 0.03 ms. The digits are read once (OFFSET), and non-Latin digits only if there are any.
 * @param isSwitchs the condition that the id is the switch's, and not a hash over the record
 */
export function idIsShown(
  id: string,
  isSwitchs: RawBuilder<unknown> = sql`c.call_id <> c.source_key`,
): RawBuilder<unknown> {
  const [from, to] = otherDigits();
  return sql`
    NOT ${holdsInternational(id)}::boolean AND ${isSwitchs}
    AND NOT EXISTS (
      SELECT FROM unnest(ARRAY[c.cli, c.cld, c.cli_in, c.cld_in]) AS number (written),
        LATERAL (VALUES (written COLLATE "C"), (regexp_replace(written COLLATE "C", ${ESCAPE}, '', 'g')),
          (regexp_replace(written COLLATE "C", ${BEHIND_NUMBER}, ''))) AS reading (text),
        LATERAL (SELECT regexp_replace(
          CASE WHEN reading.text ~ '^[ -~]*$' THEN reading.text ELSE translate(reading.text, ${from}, ${to}) END,
          '[^0-9]', '', 'g') OFFSET 0) AS own (digits)
      WHERE number.written COLLATE "C" ~ ${HARD_TO_READ}
        OR length(own.digits) = ${SHORTEST_NUMBER} AND own.digits = ANY(${runsOf(id, SHORTEST_NUMBER)}::text[])
        OR length(own.digits) >= ${SHORTEST_NUMBER}
          AND right(own.digits, ${SHOWN_DIGITS}) = ANY(${shortEnds(id)}::text[])
        OR length(own.digits) > ${SHORTEST_NUMBER}
          AND (right(own.digits, ${LAST_DIGITS}) = ANY(${runsOf(id, LAST_DIGITS)}::text[])
            OR EXISTS (SELECT FROM unnest(${runsOf(id, SHARED_DIGITS)}::text[]) AS run (digits)
                       WHERE strpos(own.digits, run.digits) > 0)))`;
}

let others: readonly [from: string, to: string] | undefined;

/** The digits of other scripts, and their Latin digits, for translate(). */
function otherDigits(): readonly [from: string, to: string] {
  if (others) return others;
  let from = '';
  let to = '';
  for (let code = 0x80; code <= 0x1ffff; code++) {
    const digit = String.fromCodePoint(code);
    if (!/^\p{Nd}$/u.test(digit)) continue;
    from += digit;
    to += digitValue(digit);
  }
  others = [from, to];
  return others;
}
