/**
 * When the switch's id of a call is hidden from those who see numbers masked: it holds one of the call's own numbers,
 * however it is written, the end of one (`PJSIP/3456-…`), or a number behind a plus or `sip:`. Switches make most ids at
 * random and support looks calls up by them; some put the number in.
 *
 * Told twice, by JavaScript for ids that are shown and by SQL for ids that are searched by: both must come to the same,
 * since an id that is shown and not found, or found and not shown, would tell of the hidden digits.
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
 * So many digits in a row, shared with a number, are not there by chance: of a hundred thousand UUIDs some three share
 * them with one of their call's numbers.
 */
const SHARED_DIGITS = 7;
/** A number's last digits: those that are hidden and the two behind them. Some numbers are no longer at home. */
const LAST_DIGITS = 6;
/** Shorter ones are extensions, and are shown. */
const SHORTEST_NUMBER = 5;

/** Digits at a number's end that are not starred. */
export const SHOWN_DIGITS = 2;

/**
 * The last digits of what may be the end of a number in an id. Whether it is one is judged by the digits that are shown
 * alone: whether the starred ones agree is what must not be seen.
 */
const shortEnds = (id: string): string[] => [
  ...new Set(perhapsEndsIn(readPlainly(id)).map((run) => textOf(run.slice(-SHOWN_DIGITS)))),
];

export const textOf = (digits: readonly Digit[]): string => digits.map(({ value }) => value).join('');

const ESCAPE = '%(?:25){0,3}[0-9A-Fa-f]{2}';
const ESCAPES = new RegExp(ESCAPE, 'g');

/**
 * What PostgreSQL can't read as JavaScript does: where one of the call's numbers is written so, its id is hidden whatever it is.
 */
const HARD_TO_READ = String.raw`[%=](?:25)*(?:3[0-9]|[eEfF]|[dD][9bBfF]|[cC]2)|%(?:25)*(?:2[36]|[014-9A-Fa-f][0-9A-Fa-f])|&|\\|U[+]|${DIGITS_IN_BASE64.source}|${ODD_DIGIT}`;
const HARD = new RegExp(HARD_TO_READ, 'u');

/** What may stand behind a number: a host with its port, parameters, an extension. */
const BEHIND_NUMBER = '[@;].*$|(?<=[0-9][ ().,/-]{0,5})[A-Za-z].*$';
const BEHIND = new RegExp(BEHIND_NUMBER, 's');

/** A number's digits: as they stand, without those of %20 and the like, and without those behind it. */
function digitReadings(text: string): readonly string[] {
  const digits = (written: string) =>
    (written.match(/\p{Nd}/gu) ?? []).map((digit) => digitValue(digit)).join('');
  return [...new Set([text, text.replace(ESCAPES, ''), text.replace(BEHIND, '')])].map(digits);
}

const digitsOfId = (id: string): string => textOf(digitsIn(readPlainly(id)));

/** All runs of so many digits within an id's digits. */
function runsOf(id: string, length: number): string[] {
  const digits = digitsOfId(id);
  const runs = new Set<string>();
  for (let at = 0; at + length <= digits.length; at++) runs.add(digits.slice(at, at + length));
  return [...runs];
}

/** @param numbers the call's own, in every writing that is known of them */
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

/** UUIDs, and Asterisk's uniqueid `epoch.number`: what switches make, of which no leg's number is a part. */
const MADE_BY_SWITCH = /^(?:1\d{9}\.\d{1,9}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/i;

/**
 * Whether what joins a call's legs is hidden: it may hold the number of any of them, so it is shown only where it is of a
 * form that switches make, and holds none of this leg's numbers either.
 */
export const isLinkedIdHidden = (id: string, numbers: readonly (string | null | undefined)[]): boolean =>
  !MADE_BY_SWITCH.test(id) || isIdHidden(id, numbers);

/** The same as a condition of a statement that looks for this id. */
export const linkedIdIsShown = (id: string): RawBuilder<unknown> =>
  sql`${MADE_BY_SWITCH.test(id)}::boolean
    AND ${idIsShown(id, sql`(c.linked_id IS NOT NULL OR c.call_id <> c.source_key)`)}`;

/**
 * That the id of a call is shown to those who see numbers masked, as a condition of a statement over `calls.cdrs c` that
 * looks for this id. It is the same statement for every id: its text and its plan tell nothing. Its time hardly does: a row
 * that is found and hidden costs some 0.03 ms, since digits are read once (OFFSET) and others than Latin only where there are any.
 * @param isSwitchs that the id is one of the switch's, and no hash over the record
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

/** Digits of scripts other than Latin, and what each is in Latin, for translate(). */
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
