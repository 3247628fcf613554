/**
 * A numeric as JavaScript prints the number: without zeros at its end. Done here, since a cast to float8 costs PostgreSQL
 * several times what the column itself does.
 */
import { type CopyValue, copyBytes } from './copy_value.ts';

const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
/** Of any decimal that is not below a millionth: JavaScript prints smaller ones with an exponent. */
const PLAIN_CHARACTERS = 8;
/** A number holds so many digits exactly. */
const EXACT_CHARACTERS = 15;

/** The number of a numeric's text; NaN and infinities as such. */
export const decimalNumber = (text: string): string => String(Number(text));

/**
 * The same on bytes, where they show what it is: nearly always.
 * @returns where it ends in `to`; -1 where decimalNumber has to decide
 */
export const copyDecimalNumber: CopyValue = (from, fromAt, to, toAt, length) => {
  const mayBeSmall = from.getUint8(fromAt) <= ZERO; // a zero, or a minus
  if (length > (mayBeSmall ? PLAIN_CHARACTERS : EXACT_CHARACTERS)) return -1;
  copyBytes(from, fromAt, to, toAt, length);
  let end = toAt + length;
  if (to.getUint8(end - 1) > NINE) return -1; // a letter: NaN, Infinity
  let dot = end - 1;
  while (dot > toAt && to.getUint8(dot) !== DOT) dot--;
  if (dot === toAt) return end;
  while (to.getUint8(end - 1) === ZERO) end--;
  return to.getUint8(end - 1) === DOT ? end - 1 : end;
};
