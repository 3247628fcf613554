/** Values of a row's fields, and the words in which one is refused. */
import type { CdrFlag, Parsed, Rejection, RejectionCode } from '../cdr.ts';

/** What can't be read is quoted to this length in a reason. */
const QUOTED_LENGTH = 60;

export function rejected(code: RejectionCode, field: string, reason: string): Parsed {
  return { kind: 'rejected', rejection: { code, reason, field } };
}

export function wrongColumnCount(found: number, expected: string): Parsed {
  const reason = `the row has ${found} columns; ${expected}`;
  return { kind: 'rejected', rejection: { code: 'wrong_column_count', reason } };
}

/** A value as it is shown in a reason. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > QUOTED_LENGTH ? `${text.slice(0, QUOTED_LENGTH)}…` : text);
}

/** Seconds, whole or with a decimal fraction; NaN for anything else, blank included. */
export function readSeconds(text: string): number {
  let value = 0;
  for (let at = 0; at < text.length; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (!(digit >= 0 && digit <= 9) || at > 12)
      return /^\d{1,12}\.\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    value = value * 10 + digit;
  }
  return text === '' ? Number.NaN : value;
}

export function badSeconds(field: string, text: string): Parsed {
  if (text === '')
    return rejected('missing_field', field, `${field} is blank; it should be a number of seconds`);
  return rejected(
    'bad_number',
    field,
    `${field} is ${quoted(text)}; it should be a number of seconds, such as 42`,
  );
}

/** What a spreadsheet makes of a long number: its last digits are gone for good. */
const SPREADSHEET_NUMBER = /^\d[.,]\d+E\+?\d+$/i;

/** null, or why a telephone number is none. */
export function refusedNumber(field: string, text: string): Parsed | null {
  if (!text.includes('+', 3) && !/e\d+$/i.test(text)) return null;
  if (!SPREADSHEET_NUMBER.test(text)) return null;
  const reason = `${field} is ${quoted(text)}: a spreadsheet cut the number's digits; import the file as the switch wrote it`;
  return rejected('bad_value', field, reason);
}

/** A time's rejection with the source's own name for the field. */
export function namedTime(
  rejection: Rejection,
  names: { readonly start: string; readonly connect: string; readonly disconnect: string },
): Parsed {
  const name = rejection.field === undefined ? undefined : names[rejection.field as keyof typeof names];
  if (name === undefined) return { kind: 'rejected', rejection };
  const reason = rejection.reason.replace(`${rejection.field}: `, `${name}: `);
  return { kind: 'rejected', rejection: { code: rejection.code, reason, field: name } };
}

/** The flags of a record: those of its times, and whether more was billed than was called. */
export function withBillingFlag(flags: CdrFlag[], durationS: number, billedDurationS: number): CdrFlag[] {
  if (billedDurationS > durationS) flags.push('billed_longer_than_duration');
  return flags;
}

/** A caller as Asterisk and FreeSWITCH present one. */
export interface CallerId {
  readonly name: string;
  readonly number: string;
}

/** Reads `"Name" <number>`; the name or its quotes may be missing. Anything else is a number. */
export function readCallerId(text: string): CallerId {
  const trimmed = text.trim();
  const bracket = trimmed.lastIndexOf('<');
  if (bracket === -1 || !trimmed.endsWith('>')) return { name: '', number: text };
  const named = trimmed.slice(0, bracket).trimEnd();
  let from = 0;
  let to = named.length;
  while (named[from] === '"') from++;
  while (to > from && named[to - 1] === '"') to--;
  return { name: named.slice(from, to), number: trimmed.slice(bracket + 1, -1) };
}

/** A set of attributes without the blank ones. */
export function attributesOf(
  pairs: readonly (readonly [name: string, value: string])[],
): Record<string, string> {
  const attributes: Record<string, string> = {};
  for (const [name, value] of pairs) if (value !== '') attributes[name] = value;
  return attributes;
}
