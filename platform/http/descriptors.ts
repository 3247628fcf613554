/**
 * Watches whether this process has file descriptors left. Without one, the runtime accepts new connections and
 * closes them at once, and logs nothing. So this module tries to open a file, and logs a warning.
 */
import { closeSync, openSync } from 'node:fs';
import type { Server } from 'node:net';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { isOutOfDescriptors } from '#platform/resilience/failure_rule.ts';
import type { Logger } from '#platform/telemetry/logger.ts';

const LOOK_MS = 1_000;
/** Time between two warnings. */
const WARN_MS = 60_000;

export interface DescriptorsWatch {
  readonly logger: Logger;
  readonly clock: Clock;
  /** The server whose connections the warning counts. */
  readonly server: Pick<Server, 'getConnections'>;
  /** Tries to open a file; the default opens the null device. @throws as open(2) does */
  readonly open?: () => void;
}

const openNothing = () => closeSync(openSync('/dev/null', 'r'));

/** The last warning of this process, by its clock: services that share a clock share their descriptors, too. */
const toldBy = new WeakMap<Clock, { warnedAt: number; full: boolean }>();

/** Tries each second until `stopping`. Warns once a minute while no file can be opened, and logs when one can again. */
export async function watchDescriptors(watch: DescriptorsWatch, stopping: AbortSignal): Promise<void> {
  const { logger, clock, server, open = openNothing } = watch;
  const told = toldBy.get(clock) ?? { warnedAt: Number.NEGATIVE_INFINITY, full: false };
  toldBy.set(clock, told);
  while (!stopping.aborted) {
    const wasFull = told.full;
    told.full = isFull(open);
    if (told.full && clock.monotonic() - told.warnedAt >= WARN_MS) {
      told.warnedAt = clock.monotonic();
      logger.warn(
        { connections: await connectionsOf(server) },
        'no file descriptors left: new connections are closed unanswered; raise the limit (ulimit -n, LimitNOFILE) or have clients keep fewer connections',
      );
    }
    if (wasFull && !told.full) logger.info('connections are accepted again');
    await clock.sleep(LOOK_MS, stopping).catch(() => undefined);
  }
}

function isFull(open: () => void): boolean {
  try {
    open();
    return false;
  } catch (error) {
    return isOutOfDescriptors(error);
  }
}

const connectionsOf = (server: DescriptorsWatch['server']): Promise<number> =>
  new Promise((resolve, reject) =>
    server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
  );
