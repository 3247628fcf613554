/** Scrubs what is not plain text: bytes of a row, values of JSON. */
import { isUtf8 } from 'node:buffer';
import type { Scrub } from './scrub_numbers.ts';

/** @returns the same buffer where nothing goes. Bytes that are no UTF-8 are read as Latin-1, whose digits are where theirs are */
export function scrubBytes(bytes: Buffer, scrub: Scrub): Buffer {
  const encoding = isUtf8(bytes) ? 'utf8' : 'latin1';
  const text = bytes.toString(encoding);
  const clean = scrub(text);
  return clean === text ? bytes : Buffer.from(clean, encoding);
}

/** @param value of JSON; its names and numbers are gone through as well */
export function scrubJson(value: unknown, scrub: Scrub): unknown {
  if (typeof value === 'string') return scrub(value);
  if (typeof value === 'number') {
    const text = String(value);
    const clean = scrub(text);
    return clean === text ? value : clean;
  }
  if (Array.isArray(value)) return value.map((one) => scrubJson(one, scrub));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [scrub(name), scrubJson(one, scrub)]));
}
