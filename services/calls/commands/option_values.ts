/** Readers of option values of this service, and options that its commands share. */
import { InvalidArgumentError, Option } from 'commander';
import { asPrintable } from '#platform/terminal/option_values.ts';
import { tidyCode } from '../account_codes.ts';
import { DECIMAL_SIGNS } from '../formats/decimal_marks.ts';
import { DATE_ORDERS } from '../time/stamp_text.ts';
import { isTimeZone } from '../time/stamps.ts';

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

/**
 * A name that identifies something: "" from an unset variable, or "pbx1 " beside "pbx1", would be another switch, whose
 * calls are counted again.
 */
export function asName(value: string): string {
  if (value === '' || tidyCode(value) !== value)
    throw new InvalidArgumentError('It must be a name in NFC, without blanks around it.');
  return asPrintable(value);
}

export const createAccountsOption = (): Option =>
  new Option('--create-accounts', 'create accounts that do not exist yet');

export const currencyOption = (): Option =>
  new Option('--currency <code>', 'currency of created accounts (default: DEFAULT_CURRENCY)').argParser(
    asCurrency,
  );

export const countryOption = (): Option =>
  new Option('--country <code>', 'country of created accounts, whose national numbers they dial').argParser(
    asCountry,
  );

export const dateOrderOption = (): Option =>
  new Option('--date-order <order>', 'order of all dates such as 03/04/2026').choices(DATE_ORDERS);

export const decimalSignOption = (): Option =>
  new Option('--decimal-sign <sign>', 'the decimal sign of amounts such as 1,234').choices(DECIMAL_SIGNS);

export const onConflictOption = () =>
  new Option(
    '--on-conflict <what>',
    'rows that contradict a stored call: they are rejected (the default), or replace it',
  ).choices(['set-aside', 'replace']);

export const callIdsOption = () =>
  new Option(
    '--call-ids <kind>',
    'reused: the switch uses its call ids again, so a record with another start is another call (default: unique)',
  ).choices(['unique', 'reused']);
