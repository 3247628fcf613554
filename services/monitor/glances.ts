/**
 * A short look at HAProxy between two polls: whether a server's state, or whether the process answers, is another than at
 * the look before. A poll follows then at once, so that a loss is told seconds after HAProxy has found it, and not at the
 * next turn.
 */
import type { Clock } from '#platform/lifecycle/clock.ts';
import { isServer, type StatsRow } from './haproxy_csv.ts';
import type { HaproxySource } from './haproxy_reader.ts';

export const GLANCE_INTERVAL_MS = 2_000;

export interface GlancesNeeds {
  readonly sources: readonly HaproxySource[];
  readonly clock: Clock;
  /** What a process says of its servers; undefined: it does not answer. Never rejects. */
  readonly look: (source: HaproxySource) => Promise<readonly StatsRow[] | undefined>;
  /** Told when something differs from the look before. */
  readonly onChange: () => void;
}

/** Looks until the signal; resolves then. */
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

/** The states of all servers, and how often each was DOWN: an outage between two looks is a difference too. */
function pictureOf(rows: readonly StatsRow[] | undefined): string {
  if (rows === undefined) return 'silent';
  return rows
    .filter(isServer)
    .map(({ proxy, server, status, timesDown }) => `${proxy}/${server} ${status} ${timesDown}`)
    .join('\n');
}
