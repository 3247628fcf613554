/** The tier's own view while a drill runs: HAProxy's view of each server and Patroni's of the nodes. */
import type { Clock } from '#platform/lifecycle/clock.ts';
import { isUp, type ServerRow, statistics } from '../haproxy.ts';
import type { Haproxy, Layout } from '../layout.ts';
import { members } from '../patroni.ts';

const HAPROXY_POLL_MS = 50;
const PATRONI_POLL_MS = 500;

export interface Watch {
  /** The states of a server at all HAProxy processes: every one UP, every one not UP, or they differ. */
  server(proxy: string, server: string): 'up' | 'down' | 'mixed';
  /** The last known leader in Patroni. */
  leader(): string | undefined;
  stop(): Promise<void>;
}

/**
 * Polls until stopped.
 * @param say called with each change, in words
 */
export function startWatch(layout: Layout, clock: Clock, say: (text: string) => void): Watch {
  const seen = new Map<string, ServerRow>();
  let leader: string | undefined;
  let stopping = false;
  const key = (haproxy: Haproxy, proxy: string, server: string) => `${haproxy.name} ${proxy} ${server}`;

  async function pollHaproxy(haproxy: Haproxy): Promise<void> {
    while (!stopping) {
      const rows = await statistics(haproxy).catch(() => []);
      for (const row of rows) {
        if (row.server === 'FRONTEND' || row.server === 'BACKEND') continue;
        const before = seen.get(key(haproxy, row.proxy, row.server));
        seen.set(key(haproxy, row.proxy, row.server), row);
        if (before) for (const text of changes(before, row)) say(`${haproxy.name}: ${text}`);
      }
      await clock.sleep(HAPROXY_POLL_MS);
    }
  }

  async function pollPatroni(): Promise<void> {
    while (!stopping) {
      const found = (await members(layout.nodes))?.find((member) => member.role === 'leader')?.name;
      if (found !== leader && leader !== undefined) {
        say(found ? `Patroni: ${found} is the leader` : 'Patroni: no leader');
      }
      leader = found;
      await clock.sleep(PATRONI_POLL_MS);
    }
  }

  const polling = [...layout.haproxies.map(pollHaproxy), pollPatroni()];
  return {
    server: (proxy, server) => {
      const views = layout.haproxies.map((haproxy) => {
        const row = seen.get(key(haproxy, proxy, server));
        return row !== undefined && isUp(row);
      });
      if (views.every((up) => up)) return 'up';
      return views.some((up) => up) ? 'mixed' : 'down';
    },
    leader: () => leader,
    stop: async () => {
      stopping = true;
      await Promise.all(polling);
    },
  };
}

/** Changes of a server between two looks. Counters start again at 0 when HAProxy was reloaded. */
function changes(before: ServerRow, now: ServerRow): string[] {
  const name = `${now.proxy}/${now.server}`;
  const found: string[] = [];
  if (now.connectErrors > before.connectErrors) {
    found.push(`${name}: ${now.connectErrors - before.connectErrors} connect(s) failed`);
  }
  if (now.checksFailed > before.checksFailed && isUp(before)) {
    found.push(`${name}: check failed (${now.check.replace('* ', '')})`);
  }
  if (now.status !== before.status) {
    if (isUp(now) === isUp(before)) found.push(`${name}: ${now.status}`);
    else found.push(`${name} marked ${now.status}`);
  }
  return found;
}
