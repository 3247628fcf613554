/**
 * Glances at HAProxy between two polls. If a server's state has changed since the last glance, or the process
 * has stopped or begun to answer, a poll follows at once. So a loss is reported seconds after HAProxy has found it, instead of
 * at the next regular poll.
 */
import type { Clock } from '#platform/lifecycle/clock.ts';
import { isServer, type StatsRow } from './haproxy_csv.ts';
import type { HaproxySource } from './haproxy_reader.ts';

export const GLANCE_INTERVAL_MS = 2_000;

export interface GlancesNeeds {
  readonly sources: readonly HaproxySource[];
  readonly clock: Clock;
  /** The rows of a process; undefined: it does not answer. Never rejects. */
  readonly look: (source: HaproxySource) => Promise<readonly StatsRow[] | undefined>;
  /** Called when something has changed since the last glance. */
  readonly onChange: () => void;
}

/** Glances until the signal, then resolves. */
export async function glance(
  { sources, clock, look, onChange }: GlancesNeeds,
  signal: AbortSignal,
): Promise<void> {
  await Promise.all(
    sources.map(async (source) => {
      let before: string | undefined;
      while (!signal.aborted) {
        const next = clock.monotonic() + GLANCE_INTERVAL_MS;
        const seen = pictureOf(await look(source));
        if (before !== undefined && seen !== before) onChange();
        before = seen;
        await clock.sleep(Math.max(0, next - clock.monotonic()), signal).catch(() => undefined);
      }
    }),
  );
}

/** The states of all servers, with their number of outages: an outage between two glances is a difference too. */
function pictureOf(rows: readonly StatsRow[] | undefined): string {
  if (rows === undefined) return 'silent';
  return rows
    .filter(isServer)
    .map(({ proxy, server, status, timesDown }) => `${proxy}/${server} ${status} ${timesDown}`)
    .join('\n');
}
