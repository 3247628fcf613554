/**
 * Checks each second whether the server process of a single PostgreSQL on this machine, the embedded one, runs. Its supervisor
 * restarts it within seconds, so an outage may lie between two polls, and no other part would report it.
 */
import type { Clock } from '#platform/lifecycle/clock.ts';

export const SERVER_INTERVAL_MS = 1_000;

export interface ServerSource {
  /** The name that its disks have too. */
  readonly name: string;
  /** A text that differs for each start of the server; undefined while no server runs. Rejects if that is unknown. */
  readonly read: () => Promise<string | undefined>;
}

/** An outage that is over. */
export interface ServerOutage {
  readonly server: string;
  readonly lastedMs: number;
}

export interface ServerWatch {
  /** Checks until the signal, then resolves. */
  run(signal: AbortSignal): Promise<void>;
  /** The outages that ended since the last call. */
  takeOutages(): ServerOutage[];
}

/**
 * @param source undefined: there is none to watch
 * @param onChange called when it serves again
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
      // An unknown state is no outage.
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
