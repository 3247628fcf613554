/** Keeps the embedded PostgreSQL up for a long-running program: a server that dies is started again, at its old address. */
import type { Clock } from '#platform/lifecycle/clock.ts';
import { makeBallast } from './ballast.ts';
import { type PostgresOptions, type RunningPostgres, startPostgres } from './postgres.ts';
import { identify, isAlive } from './processes.ts';

/** How often its process is checked. */
export const WATCH_INTERVAL_MS = 1_000;
/** Pause between restarts: the disk may be full, or the last backends may still be ending. */
export const RESTART_PAUSE_MS = 2_000;
/** How often the space for the ballast is checked. */
export const BALLAST_INTERVAL_MS = 60_000;

export interface KeptPostgres {
  readonly url: string;
  stop(): Promise<void>;
}

export type PostgresEvent =
  | 'died'
  | 'restarted'
  | 'restart_failed'
  | 'ballast_released'
  | 'ballast_made'
  | 'ballast_failed';

/**
 * @param report called when the server died, when it is up again, and for each failed restart
 * @throws the errors of startPostgres, at the first start
 */
export async function supervisePostgres(
  options: PostgresOptions,
  clock: Clock,
  report: (event: PostgresEvent, error?: unknown) => void,
): Promise<KeptPostgres> {
  const withBallast: PostgresOptions = { ...options, onBallast: (event) => report(`ballast_${event}`) };
  let running: RunningPostgres = await startPostgres(withBallast);
  let identity = identify(running.pid);
  const stopping = new AbortController();

  async function watch(): Promise<void> {
    while (!stopping.signal.aborted) {
      await clock.sleep(WATCH_INTERVAL_MS, stopping.signal).catch(() => undefined);
      if (stopping.signal.aborted || (identity && isAlive(identity))) continue;
      report('died');
      await restart();
    }
  }

  async function restart(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        const again = await startPostgres(withBallast);
        await running.stop().catch(() => undefined);
        running = again;
        identity = identify(again.pid);
        report('restarted');
        return;
      } catch (error) {
        report('restart_failed', error);
        await clock.sleep(RESTART_PAUSE_MS, stopping.signal).catch(() => undefined);
      }
    }
  }

  async function keepBallast(): Promise<void> {
    let failed = false;
    while (!stopping.signal.aborted) {
      try {
        if (await makeBallast(options.folder)) report('ballast_made');
        failed = false;
      } catch (error) {
        if (!failed) report('ballast_failed', error);
        failed = true;
      }
      await clock.sleep(BALLAST_INTERVAL_MS, stopping.signal).catch(() => undefined);
    }
  }

  const watching = Promise.all([watch(), keepBallast()]);
  return {
    url: running.url,
    stop: async () => {
      stopping.abort(new Error('stopping'));
      await watching;
      await running.stop();
    },
  };
}
