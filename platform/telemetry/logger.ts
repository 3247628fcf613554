/**
 * Structured logs, one JSON line each. Lines never hold a full phone number or a key: what is logged of a request
 * goes through `maskNumber` or is left out (see platform/http/server.ts).
 */
import { isIPv4 } from 'node:net';
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
const LONG_DIGITS = /\p{Nd}{7,}/gu;

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

/** The ids of traces and of spans, and UUIDs: digits stand close in them, and are no number. */
const RANDOM_ID = /^(?=.*[a-f])(?:[\da-f]{16}|[\da-f]{32}|[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12})$/i;

/** Whether a word that a client made up may hold a phone number, so that it can't be logged as it stands. */
export function isTelling(word: string): boolean {
  const digits = (run: string) => run.match(DIGIT)?.length ?? 0;
  return !RANDOM_ID.test(word) && (word.match(DIGIT_RUN) ?? []).some((run) => digits(run) >= 7);
}

/**
 * Five digits and more, of any script, with what people and switches put between them: spaces, hyphens, brackets, dots,
 * commas, strokes, in any of their forms, and what is not seen at all. Shorter runs are extensions.
 */
export const DIGIT_RUN =
  /\p{Nd}(?:[\p{Z}\p{Pd}\p{Pc}\p{Ps}\p{Pe}\p{Cf}\p{Mn}\t.,/\\|'’~·•‧∙⋅،٫٬、。．，／]{0,3}\p{Nd}){4,}/gu;
const DIGIT = /\p{Nd}/gu;
/** E.164 has at most 15 digits. A longer run is more than a number. */
const LONGEST_NUMBER = 15;

/**
 * A phone number that can be recognised but not dialled: the country and area stay, the end is starred,
 * two last digits excepted: +4930123456 gives +4930****56. What is shorter than 5 digits is an extension and stays.
 * In an address (sip:, tel:, with parameters or a name) each run of digits is masked by itself; what is no digit stays.
 */
export function maskNumber(number: string): string {
  return number.replace(DIGIT_RUN, (run) => {
    if (isIPv4(run)) return run;
    const count = run.match(DIGIT)?.length ?? 0;
    // Where a run has gaps, or is too long, the number may end anywhere in it.
    if (count > LONGEST_NUMBER || run.replace(DIGIT, '') !== '') return maskRun(run);
    return starDigits(run, count - 2 - Math.min(4, count - 3), count - 2);
  });
}

/** A run of digits of which only the first two and the last two stay; of a short one the first and the last two. */
export function maskRun(run: string): string {
  const count = run.match(DIGIT)?.length ?? 0;
  return starDigits(run, count < 8 ? 1 : 2, count - 2);
}

/** Stars the digits from one to before another, counted from 0. */
function starDigits(run: string, from: number, to: number): string {
  let at = -1;
  return run.replace(DIGIT, (digit) => {
    at++;
    return at >= from && at < to ? '*' : digit;
  });
}
