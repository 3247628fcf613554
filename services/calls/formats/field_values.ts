/** Values of a row's fields, and the messages that refuse one. */
import { isNone } from '../absent.ts';
import type { Parsed, Rejection, RejectionCode, SourceRecord } from '../cdr.ts';

/** A reason quotes an unreadable value up to this length. */
const QUOTED_LENGTH = 60;

export function rejected(code: RejectionCode, field: string, reason: string): Parsed {
  return { kind: 'rejected', rejection: { code, reason, field } };
}

/** The fields that a switch lacks which rates no calls, and perhaps knows no addresses. */
export const NOT_TOLD = {
  country: null,
  description: null,
  cost: null,
  currency: null,
  remoteIp: null,
  userAgent: null,
} satisfies Partial<SourceRecord>;

/** A header below rows, as in concatenated files, which the end of the source may have cut. */
export const CUT_HEADER: Parsed = {
  kind: 'rejected',
  rejection: { code: 'unreadable_row', reason: 'the file ends within this row of names' },
};

export function wrongColumnCount(found: number, expected: string): Parsed {
  const reason = `the row has ${found} columns; ${expected}`;
  return { kind: 'rejected', rejection: { code: 'wrong_column_count', reason } };
}

/** A value as a reason shows it. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > QUOTED_LENGTH ? `${text.slice(0, QUOTED_LENGTH)}…` : text);
}

/** Names as a message lists them. A message holds no file: it lists only so many names, and cuts each. */
const LISTED_NAMES = 30;

export function listed(names: readonly string[]): string {
  const shown = names
    .slice(0, LISTED_NAMES)
    .map((name) => (name.length > 40 ? `${name.slice(0, 40)}…` : name));
  return names.length > LISTED_NAMES
    ? `${shown.join(', ')} and ${names.length - LISTED_NAMES} more`
    : shown.join(', ');
}

/** Seconds, whole or with a decimal fraction. NaN for any other text, blank included. */
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

/** A set of attributes without those whose value means "none". */
export function attributesOf(
  pairs: readonly (readonly [name: string, value: string])[],
): Record<string, string> {
  const attributes: Record<string, string> = {};
  for (const [name, value] of pairs) if (!isNone(value)) attributes[name] = value;
  return attributes;
}
