/**
 * Structured logs, one JSON line each. Lines never hold a full phone number or a key: what is logged of a request
 * goes through `maskNumber` or is left out (see platform/http/server.ts).
 */
import { type DestinationStream, destination, type Logger, pino } from 'pino';

export type { Logger };

export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'silent';

/**
 * @param service the module that speaks
 * @param to standard output (1), standard error (2), or a stream
 */
export function createLogger(service: string, level: LogLevel, to: 1 | 2 | DestinationStream = 1): Logger {
  return pino(
    {
      level,
      base: { service },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: loggableError },
      redact: { paths: ['authorization', 'headers.authorization', 'password', 'key'], censor: '[hidden]' },
    },
    typeof to === 'number' ? destination({ fd: to, sync: true }) : to,
  );
}

/** Long enough to be a phone number, too long for a port or a line. */
const LONG_DIGITS = /\+?\d{7,}/g;

/**
 * What is logged of an error. A database's error quotes the row at fault in its details (`detail`, `where`), and so do
 * some messages: the details are left out, and long digits masked in what remains.
 */
export function loggableError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: masked(String(error)) };
  const { name, message, stack, cause } = error;
  const code = (error as { code?: unknown }).code;
  return {
    type: name,
    message: masked(message),
    ...(code !== undefined && { code }),
    stack: masked(stack ?? ''),
    ...(cause !== undefined && { cause: loggableError(cause) }),
  };
}

/** A key, a token, a cursor: whatever somebody puts where it does not belong. */
const LONG_WORD = /[\w-]{32,}/g;
const SHOWN_OF_LONG_WORD = 8;

/** A text with everything in it masked that is long enough to be a number or a key. */
export function masked(text: string): string {
  return text
    .replace(LONG_WORD, (word) => `${word.slice(0, SHOWN_OF_LONG_WORD)}…`)
    .replace(LONG_DIGITS, maskNumber);
}

/**
 * A phone number that can be recognised but not dialled: the country and area stay, the end is starred,
 * two last digits excepted: +4930123456 gives +4930****56. What is shorter than 5 characters is an extension and stays.
 */
export function maskNumber(number: string): string {
  if (number.length < 5) return number;
  const hidden = Math.min(4, number.length - 3);
  const tail = number.slice(-2);
  return `${number.slice(0, number.length - hidden - 2)}${'*'.repeat(hidden)}${tail}`;
}
