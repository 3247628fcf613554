/** Planned work on a running tier without an effect on clients: drain a server, hand the primary's role over. */
import { isUp, type ServerRow, setServer, statistics } from './haproxy.ts';
import type { Bouncer, Layout } from './layout.ts';
import { leaderOf, members, switchover } from './patroni.ts';
import { isPaused, tell } from './pgbouncer.ts';
import { waitFor } from './readiness.ts';
import type { Tier } from './tier.ts';

const TELL_LIMIT_MS = 10_000;
const HANDED_OVER_LIMIT_MS = 30_000;

/** HAProxy's proxy that leads to a bouncer. */
export const proxyOf = (bouncer: Bouncer): string =>
  bouncer.upstream === 'leader' ? 'bouncers' : 'read_bouncers';

/**
 * Closes a server for new connections at every HAProxy process, or opens it again. Its present connections stay until
 * their clients end them.
 */
export async function setEverywhere(
  layout: Layout,
  proxy: string,
  server: string,
  state: 'drain' | 'ready',
): Promise<void> {
  for (const haproxy of layout.haproxies) await setServer(haproxy, proxy, server, state);
}

/** Opens a bouncer for clients again: for new ones, and for those that a killed hand-over left waiting. */
export async function letIn({ layout, secrets }: Tier, bouncer: Bouncer): Promise<void> {
  if (await isPaused(bouncer, secrets)) await tell(bouncer, secrets, 'RESUME trunkline', TELL_LIMIT_MS);
  await setEverywhere(layout, proxyOf(bouncer), bouncer.name, 'ready');
}

/** Connections of a server over all HAProxy processes. */
export async function sessionsOf(layout: Layout, proxy: string, server: string): Promise<number> {
  const views = await viewsOf(layout, proxy, server);
  return views.reduce((sum, row) => sum + row.sessions, 0);
}

async function viewsOf(layout: Layout, proxy: string, server: string): Promise<ServerRow[]> {
  const all = (await Promise.all(layout.haproxies.map((haproxy) => statistics(haproxy)))).flat();
  return all.filter((row) => row.proxy === proxy && row.server === server);
}

/**
 * Hands the primary's role to a replica while the bouncers hold their clients: running transactions end, new ones wait a
 * few seconds, and none fails.
 * @param wanted name of the replica; by default any healthy one
 * @returns the names of the old primary and the new one
 * @throws Error when there is no such replica, or Patroni refuses; the clients then go on as before
 */
export async function handOver(
  tier: Tier,
  wanted: string | undefined,
  told: (text: string) => void,
): Promise<{ from: string; to: string }> {
  const { layout, secrets } = tier;
  const from = (await leaderOf(layout.nodes))?.name;
  const replicas = ((await members(layout.nodes)) ?? []).filter((member) => member.role !== 'leader');
  // With synchronous replication Patroni accepts the confirming replica only.
  const preferred = replicas.find((member) => member.role === 'sync_standby') ?? replicas[0];
  const to = wanted ?? preferred?.name;
  if (!from || !to || !replicas.some((member) => member.name === to)) {
    throw new Error(
      `${wanted ?? 'no node'} is not a replica that could take over from ${from ?? 'no primary'}`,
    );
  }
  const bouncers = layout.bouncers.filter((bouncer) => bouncer.upstream === 'leader');
  const tellAll = (what: 'PAUSE trunkline' | 'RESUME trunkline') =>
    bouncers.map((bouncer) => tell(bouncer, secrets, what, TELL_LIMIT_MS));
  try {
    await Promise.all(tellAll('PAUSE trunkline'));
    told('the bouncers hold their clients');
    await switchover(layout.nodes, secrets, from, to);
    // Until the old primary is marked DOWN too, HAProxy might still lead a bouncer to it.
    await waitFor(HANDED_OVER_LIMIT_MS, async () => {
      const now = await viewsOf(layout, 'leader', to);
      const before = await viewsOf(layout, 'leader', from);
      const done = now.every(isUp) && !before.some(isUp);
      return done ? undefined : `HAProxy does not lead to ${to} yet`;
    });
    told(`${to} is the primary now; ${from} comes back as its replica in some seconds`);
  } finally {
    await Promise.allSettled(tellAll('RESUME trunkline'));
  }
  return { from, to };
}
