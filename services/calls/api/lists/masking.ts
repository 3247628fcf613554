/**
 * The support view: everything about a call but the numbers. Support staff see that a call failed and why, not whom a
 * customer speaks with. Whatever text may hold a number is gone through, and what could be used to test a guess at the
 * hidden digits is left out. docs/decisions/0016 says what is hidden, and what is not.
 */

import type { Caller } from '#platform/access/caller.ts';
import {
  digitsApart,
  hiddenOfNumber,
  hiddenOfText,
  numbersIn,
  shortRunsIn,
  starAllDigits,
} from '#platform/telemetry/telephone_numbers.ts';
import {
  HAS_DIGITS,
  type Reading,
  readPlainly,
  type Span,
  starred,
} from '#platform/telemetry/written_digits.ts';
import { MASKED_NUMBERS, MASKED_TEXTS, type MaskedNumber, type MaskedText } from '../../call_fields.ts';
import { isIdHidden, isLinkedIdHidden, SHOWN_DIGITS, textOf } from '../../store/call_id_masking.ts';
import { seesMasked } from '../../visibility.ts';

/** Fields of a call that hold text; any of them may be missing. */
export type Maskable = {
  -readonly [Name in MaskedNumber | MaskedText]?: string | null;
} & {
  /** Of a call with all its legs. */
  answered_by?: string | null;
  call_id?: string;
  linked_id?: string;
  source_key?: string | null;
  attributes?: Record<string, unknown> | null;
};

const NUMBERS = [...MASKED_NUMBERS, 'answered_by'] as const;

/** A call as a caller may see it. */
export const shownTo = <T extends Maskable>(call: T, caller: Caller): T =>
  seesMasked(caller) ? maskCall(call) : call;

/** A text that is of no call, as a caller may see it. */
export const textShownTo = (text: string, caller: Caller): string =>
  seesMasked(caller) ? maskText(text, NOBODY) : text;

/** A copy with its numbers masked. */
export function maskCall<T extends Maskable>(call: T): T {
  const shown: T = { ...call };
  const numbers = NUMBERS.map((field) => call[field]);
  const own = ownNumbers(numbers);
  for (const field of NUMBERS) {
    const number = call[field];
    if (typeof number === 'string') shown[field] = masked(number, hiddenOfNumber, own) as never;
  }
  for (const field of MASKED_TEXTS) {
    const text = call[field];
    if (typeof text === 'string') shown[field] = maskText(text, own) as never;
  }
  if (call.call_id !== undefined) shown.call_id = maskId(call, numbers) as never;
  if (call.linked_id !== undefined) shown.linked_id = maskLinkedId(call, numbers) as never;
  // A hash over the whole row: whoever knows the rest of the row could try the hidden digits against it.
  if (call.source_key !== undefined) shown.source_key = null as never;
  if (call.attributes) shown.attributes = maskAttributes(call.attributes, own) as never;
  return shown;
}

function maskId(call: Maskable, numbers: readonly (string | null | undefined)[]): string {
  const id = call.call_id!;
  // A call that has no id of its own goes by its record's hash.
  if (id === call.source_key) return '';
  return isIdHidden(id, numbers) ? starAllDigits(id) : id;
}

/** Other legs of the call may have other numbers, which it may hold: only what no number can be is shown. */
function maskLinkedId(call: Maskable, numbers: readonly (string | null | undefined)[]): string {
  const id = call.linked_id!;
  if (id === call.source_key) return '';
  return isLinkedIdHidden(id, numbers) ? starAllDigits(id) : id;
}

const HIDDEN_DIGITS = 4;
/** Of the digits in front of those that are hidden, so many tell the number from others. */
const DIGITS_IN_FRONT = 3;

/** What of the call's own numbers is shown: whether the hidden digits agree must not be seen. */
interface Own {
  /** The last digits of each. */
  readonly ends: ReadonlySet<string>;
  /** Each within a row of digits, with any others in the place of those that are hidden. */
  readonly whole: readonly { readonly pattern: RegExp; readonly inFront: number }[];
}

const NOBODY: Own = { ends: new Set(), whole: [] };

function ownNumbers(numbers: readonly (string | null | undefined)[]): Own {
  const runs = numbers
    .flatMap((number) => numbersIn(readPlainly(number ?? '')))
    .map(({ digits }) => textOf(digits));
  const parts = runs.map((digits) => ({
    front: digits.slice(0, -SHOWN_DIGITS - HIDDEN_DIGITS).slice(-DIGITS_IN_FRONT),
    end: digits.slice(-SHOWN_DIGITS),
  }));
  const whole = new Map(
    parts.filter(({ front }) => front !== '').map((part) => [part.front + part.end, part]),
  );
  return {
    ends: new Set(parts.map(({ end }) => end)),
    whole: [...whole.values()].map(({ front, end }) => ({
      pattern: new RegExp(`(?=${front}\\d{${HIDDEN_DIGITS}}${end})`, 'g'),
      inFront: front.length,
    })),
  };
}

const maskText = (text: string, own: Own) => masked(text, hiddenOfText, own);

function masked(text: string, hiddenOf: (reading: Reading) => Span[], own: Own): string {
  const reading = readPlainly(text);
  if (!HAS_DIGITS.test(reading.text)) return text;
  return starred(text, [...hiddenOf(reading), ...hiddenOfOwn(reading, own)]);
}

/** What is hidden for being of the call's own numbers: whatever stands between their digits, and what may be their ends. */
function hiddenOfOwn(text: Reading, { ends, whole }: Own): Span[] {
  if (ends.size === 0) return [];
  const hidden = digitsApart(text).flatMap((digits) => {
    const values = textOf(digits);
    return whole.flatMap(({ pattern, inFront }) =>
      [...values.matchAll(pattern)].flatMap(({ index }) =>
        digits.slice(index + inFront, index + inFront + HIDDEN_DIGITS),
      ),
    );
  });
  const short = shortRunsIn(text).filter((run) => ends.has(textOf(run.slice(-SHOWN_DIGITS))));
  return [...hidden, ...short.flatMap((run) => run.slice(0, -SHOWN_DIGITS))];
}

/**
 * Names too may hold numbers. Two that are the same once they are masked stay apart; their order is that of what is shown,
 * since the order in which PostgreSQL keeps them goes by the hidden digits too.
 */
function maskAttributes(attributes: Record<string, unknown>, own: Own): Record<string, unknown> {
  const pairs = Object.entries(attributes).map(([name, value]): [name: string, value: string] => [
    maskText(name, own),
    maskText(typeof value === 'string' ? value : JSON.stringify(value), own),
  ]);
  pairs.sort(([a, first], [b, second]) => (a === b ? (first < second ? -1 : 1) : a < b ? -1 : 1));
  const shown = new Map<string, string>();
  for (const [name, value] of pairs) {
    let free = name;
    for (let count = 2; shown.has(free); count++) free = `${name} (${count})`;
    shown.set(free, value);
  }
  return Object.fromEntries(shown);
}
