/**
 * Watches a PostgreSQL that is alone on this machine, the embedded one: whether its server process runs, each second. Whoever
 * keeps it starts it again within seconds, so an outage may lie between two polls, and nobody else would tell of it.
 */
import type { Clock } from '#platform/lifecycle/clock.ts';

export const SERVER_INTERVAL_MS = 1_000;

export interface ServerSource {
  /** As the disks of it are called. */
  readonly name: string;
  /** A text that is another one for each start of the server; undefined while none serves. Rejects where that can't be told. */
  readonly read: () => Promise<string | undefined>;
}

/** An outage that is over. */
export interface ServerOutage {
  readonly server: string;
  readonly lastedMs: number;
}

export interface ServerWatch {
  /** Looks until the signal; resolves then. */
  run(signal: AbortSignal): Promise<void>;
  /** The outages that ended since this was asked last. */
  takeOutages(): ServerOutage[];
}

/**
 * @param source undefined: there is none to watch
 * @param onChange told when it serves again
 */
export function createServerWatch(
  source: ServerSource | undefined,
  clock: Clock,
  onChange: () => void,
): ServerWatch {
  let ended: ServerOutage[] = [];
  let start: string | undefined;
  let servedAt = Number.NaN;

  async function look({ name, read }: ServerSource): Promise<void> {
    let now: string | undefined;
    try {
      now = await read();
    } catch {
      // Not known is not gone.
      return;
    }
    if (now === undefined) return;
    const isNew = start !== undefined && now !== start;
    if (isNew) ended.push({ server: name, lastedMs: clock.monotonic() - servedAt });
    [start, servedAt] = [now, clock.monotonic()];
    if (isNew) onChange();
  }

  return {
    run: async (signal) => {
      while (source && !signal.aborted) {
        await look(source);
        await clock.sleep(SERVER_INTERVAL_MS, signal).catch(() => undefined);
      }
    },
    takeOutages: () => {
      const taken = ended;
      ended = [];
      return taken;
    },
  };
}
