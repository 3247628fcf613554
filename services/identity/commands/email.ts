/** An e-mail address as an argument of a command. */
import { InvalidArgumentError } from 'commander';
import { asPrintable } from '#platform/terminal/option_values.ts';

const EMAIL = /^[^@\s]+@[^@\s]+$/;
const EMAIL_CHARACTERS = 254;

/** @returns it in lower case */
export function asEmail(value: string): string {
  const email = asPrintable(value.trim()).toLowerCase();
  if (!EMAIL.test(email) || email.length > EMAIL_CHARACTERS)
    throw new InvalidArgumentError('It must be an address of e-mail, such as anna@example.com.');
  return email;
}
