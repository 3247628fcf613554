/** Readers of option values: each gives the value, or says what would be right. */
import { InvalidArgumentError } from 'commander';
import { isTimeZone } from '#services/calls/time/stamps.ts';

export function asTimeZone(value: string): string {
  if (!isTimeZone(value))
    throw new InvalidArgumentError('It must be a zone of the IANA database, such as Europe/Berlin.');
  return value;
}

export function asCurrency(value: string): string {
  if (!/^[A-Z]{3}$/.test(value))
    throw new InvalidArgumentError('It must be a code of ISO 4217, such as EUR.');
  return value;
}

export function asCountry(value: string): string {
  if (!/^[A-Z]{2}$/.test(value))
    throw new InvalidArgumentError('It must be a code of ISO 3166-1, such as DE.');
  return value;
}

export function asPattern(value: string): RegExp {
  try {
    return new RegExp(value, 'i');
  } catch {
    throw new InvalidArgumentError('It must be a regular expression, such as ^from-trunk.');
  }
}

export function asCount(value: string): number {
  if (!/^[1-9]\d{0,6}$/.test(value))
    throw new InvalidArgumentError('It must be a whole number from 1 to 9999999.');
  return Number(value);
}
