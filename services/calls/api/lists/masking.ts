/**
 * The support view: everything about a call but the numbers. Support staff see that a call failed and why, but not the other
 * party's number. Every text that may hold a number is masked, and values that could confirm a guess at the hidden digits
 * are left out. docs/decisions/0016 lists the hidden and the visible values.
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

/** Fields of a call that hold text. Any of them may be missing. */
export type Maskable = {
  -readonly [Name in MaskedNumber | MaskedText]?: string | null;
} & {
  /** For a call with all its legs. */
  answered_by?: string | null;
  call_id?: string;
  linked_id?: string;
  source_key?: string | null;
  attributes?: Record<string, unknown> | null;
};

const NUMBERS = [...MASKED_NUMBERS, 'answered_by'] as const;

/** A call in the caller's view. */
export const shownTo = <T extends Maskable>(call: T, caller: Caller): T =>
  seesMasked(caller) ? maskCall(call) : call;

/** A text outside of a call, in the caller's view. */
export const textShownTo = (text: string, caller: Caller): string =>
  seesMasked(caller) ? maskText(text, NOBODY) : text;

/** A copy with masked numbers. */
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
  // A hash over the whole row: anyone who knows the rest of the row could test guesses of the hidden digits against it.
  if (call.source_key !== undefined) shown.source_key = null as never;
  if (call.attributes) shown.attributes = maskAttributes(call.attributes, own) as never;
  return shown;
}

function maskId(call: Maskable, numbers: readonly (string | null | undefined)[]): string {
  const id = call.call_id!;
  // A call without an id of its own has its record's hash as its id.
  if (id === call.source_key) return '';
  return isIdHidden(id, numbers) ? starAllDigits(id) : id;
}

/** It may hold the numbers of other legs of the call: only forms that can't be a number are shown. */
function maskLinkedId(call: Maskable, numbers: readonly (string | null | undefined)[]): string {
  const id = call.linked_id!;
  if (id === call.source_key) return '';
  return isLinkedIdHidden(id, numbers) ? starAllDigits(id) : id;
}

const HIDDEN_DIGITS = 4;
/** This many digits in front of the hidden ones distinguish the number from others. */
const DIGITS_IN_FRONT = 3;

/** The shown digits of the call's own numbers. The check must not reveal whether the hidden digits agree. */
interface Own {
  /** The last digits of each. */
  readonly ends: ReadonlySet<string>;
  /** Each within a row of digits, with any digits in the place of the hidden ones. */
  readonly whole: readonly { readonly pattern: RegExp; readonly inFront: number }[];
}

/** Stands for a hidden digit in a search. */
const ANY = '_';
const orAny = (digits: string) => digits.replace(/\d/g, (digit) => `[${digit}${ANY}]`);

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
      pattern: new RegExp(`(?=${orAny(front)}[\\d${ANY}]{${HIDDEN_DIGITS}}${orAny(end)})`, 'g'),
      inFront: front.length,
    })),
  };
}

const maskText = (text: string, own: Own) => masked(text, hiddenOfText, own);

function masked(text: string, hiddenOf: (reading: Reading) => Span[], own: Own): string {
  const reading = readPlainly(text);
  if (!HAS_DIGITS.test(reading.text)) return text;
  return starred(text, withOwnHidden(reading, hiddenOf(reading), own));
}

/**
 * The hidden parts, and with them the call's own numbers, with any signs between their digits, and runs that may be their ends.
 * A digit that is hidden counts as any digit in the search for more: otherwise the stars of one number would show whether a hidden
 * digit of another one has a certain value.
 */
function withOwnHidden(text: Reading, hidden: readonly Span[], { ends, whole }: Own): readonly Span[] {
  if (ends.size === 0) return hidden;
  const short = shortRunsIn(text).filter((run) => ends.has(textOf(run.slice(-SHOWN_DIGITS))));
  const all = new Map<number, Span>();
  for (const span of [...hidden, ...short.flatMap((run) => run.slice(0, -SHOWN_DIGITS))])
    all.set(span.from, span);
  const rows = digitsApart(text);
  for (let before = -1; before < all.size; ) {
    before = all.size;
    for (const digits of rows) {
      const values = digits.map(({ from, value }) => (all.has(from) ? ANY : value)).join('');
      for (const { pattern, inFront } of whole)
        for (const { index } of values.matchAll(pattern))
          for (const digit of digits.slice(index + inFront, index + inFront + HIDDEN_DIGITS))
            all.set(digit.from, digit);
    }
  }
  return [...all.values()];
}

/**
 * Names may hold numbers too. Two names that are equal once they are masked stay separate. Their order is that of the
 * shown text, since PostgreSQL's order depends on the hidden digits too.
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
