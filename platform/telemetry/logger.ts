/**
 * Structured logs, one JSON line each. Lines never hold a full phone number or a key: the logged parts of a request
 * go through `maskNumber` or are left out (see platform/http/server.ts).
 */
import { type DestinationStream, destination, type Logger, pino } from 'pino';
import { printableJson } from './printable.ts';
import { masked } from './telephone_numbers.ts';
import { traceFields } from './tracing/tracing.ts';

export type { Logger };

export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'silent';

/**
 * @param service the module that writes the lines
 * @param to standard output (1), standard error (2), or a stream
 */
export function createLogger(service: string, level: LogLevel, to: 1 | 2 | DestinationStream = 1): Logger {
  return pino(
    {
      level,
      base: { service },
      mixin: traceFields,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: loggableError },
      redact: { paths: ['authorization', 'headers.authorization', 'password', 'key'], censor: '[hidden]' },
    },
    printing(typeof to === 'number' ? destination({ fd: to, sync: true }) : to),
  );
}

/**
 * The logged parts of an error. A database's error quotes the faulty row in its details (`detail`, `where`), and some
 * messages quote it too: the details are left out, and long digits in the rest are masked.
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

/** JSON leaves C1 controls and bidi overrides unescaped; a terminal that shows the log must not get them. */
const printing = (to: DestinationStream): DestinationStream => ({
  write: (line) => void to.write(printableJson(line)),
});
