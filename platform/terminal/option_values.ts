/** Readers of option values: each parses the value, or throws an error that names the right form. */
import { InvalidArgumentError } from 'commander';
import { isPrintable } from '#platform/telemetry/printable.ts';

export function asPrintable(value: string): string {
  if (!isPrintable(value))
    throw new InvalidArgumentError(
      'It must have no control characters, and none that change the order of text.',
    );
  return value;
}

export function asCount(value: string): number {
  if (!/^[1-9]\d{0,6}$/.test(value))
    throw new InvalidArgumentError('It must be a whole number from 1 to 9999999.');
  return Number(value);
}
