/** The log: the channel that always exists. */
import type { Logger } from '#platform/telemetry/logger.ts';
import type { Severity } from '../words.ts';
import type { Channel } from './channel.ts';

const LEVELS = { critical: 'error', warning: 'warn', info: 'info' } as const satisfies Record<
  Severity,
  string
>;

export function logChannel(logger: Logger, from: Severity): Channel {
  return {
    name: 'log',
    from,
    perAlert: false,
    takes: () => true,
    send: async ({ notice }) => {
      const level = notice.kind === 'resolved' ? 'info' : LEVELS[notice.severity];
      const { kind, title, message, details, keys } = notice;
      logger[level]({ alert: { kind, title, message, details, keys } }, `${title}: ${message}`);
    },
  };
}
