/** Drills of planned work: nothing is broken, and nobody may notice. */
import { setServer, statistics } from '../haproxy.ts';
import type { Bouncer, Node } from '../layout.ts';
import { leaderOf, restartPostgres, switchover } from '../patroni.ts';
import { tell } from '../pgbouncer.ts';
import { signal, until } from '../processes.ts';
import { reloadHaproxies } from '../reload.ts';
import type { Drill, DrillContext } from './drill.ts';
import { within } from './verdict.ts';

const UP_LIMIT_MS = 30_000;
const DRAIN_LIMIT_MS = 20_000;
const PAUSE_LIMIT_MS = 10_000;
const AFTER_RELOAD_MS = 2_000;
/** Long enough for work, short enough that a drained bouncer is empty soon. */
const LIFETIME_MS = 3_000;
const SWITCHOVER_PAUSE_MS = 10_000;

export const haproxyReload: Drill = {
  name: 'haproxy-reload',
  purpose: 'HAProxy takes up a new configuration, one process after the other',
  connectionLifetimeMs: LIFETIME_MS,
  promise: { mayFail: 'none', writeSilenceMs: 1_000, readSilenceMs: 1_000, losableMs: 0 },
  run: async (context) => {
    const { tier, clock, say, watch, wait } = context;
    const brokenAt = context.broken('the reload begins');
    await reloadHaproxies(tier, say);
    const servers = tier.layout.bouncers.filter((bouncer) => bouncer.upstream === 'leader');
    const allUp = () => servers.every((bouncer) => watch.server('bouncers', bouncer.name) === 'up');
    const upMs = await wait(allUp, UP_LIMIT_MS);
    await clock.sleep(AFTER_RELOAD_MS);
    return {
      brokenAt,
      routedAroundAt: brokenAt,
      findings: [within('every bouncer is UP at the new workers', upMs, UP_LIMIT_MS)],
    };
  },
};

export const rollingRestart: Drill = {
  name: 'rolling-restart',
  purpose: 'every bouncer, both replicas and the primary are restarted, one after the other',
  connectionLifetimeMs: LIFETIME_MS,
  promise: { mayFail: 'none', writeSilenceMs: SWITCHOVER_PAUSE_MS, readSilenceMs: 1_000, losableMs: 0 },
  run: async (context) => {
    const { tier } = context;
    const brokenAt = context.broken('the rolling restart begins');
    for (const bouncer of tier.layout.bouncers) await restartBouncer(context, bouncer);
    const primary = await leaderOf(tier.layout.nodes);
    if (!primary) throw new Error('there is no primary');
    for (const node of tier.layout.nodes) if (node !== primary) await restartReplica(context, node);
    const candidate = tier.layout.nodes.find((node) => node !== primary)!;
    const pausedMs = await handOver(context, primary, candidate);
    await restartReplica(context, primary);
    return {
      brokenAt,
      routedAroundAt: brokenAt,
      findings: [within('writes are held for the switchover, and go on', pausedMs, SWITCHOVER_PAUSE_MS)],
    };
  },
};

/** Takes a bouncer out for new clients, waits until the last has left, restarts it, and lets clients in again. */
async function restartBouncer({ tier, say, watch, wait }: DrillContext, bouncer: Bouncer): Promise<void> {
  const proxy = bouncer.upstream === 'leader' ? 'bouncers' : 'read_bouncers';
  await setEverywhere(tier.layout, proxy, bouncer.name, 'drain');
  const empty = await until(() => isEmpty(tier.layout, proxy, bouncer.name), DRAIN_LIMIT_MS);
  say(`${bouncer.name}: drained${empty ? '' : ', but for clients that keep their connections'}`);
  const { pid } = await tier.processOf(bouncer.name);
  await tier.hold(bouncer.name);
  // SIGINT ends PgBouncer once no query runs.
  signal(pid, 'SIGINT');
  await until(async () => (await tier.parts())[bouncer.name]?.process === null, DRAIN_LIMIT_MS);
  await tier.release(bouncer.name);
  await setEverywhere(tier.layout, proxy, bouncer.name, 'ready');
  await wait(() => watch.server(proxy, bouncer.name) === 'up', UP_LIMIT_MS);
  say(`${bouncer.name}: restarted`);
}

/** Takes a replica out of the reads, has the read bouncers renew their connections elsewhere, restarts it. */
async function restartReplica({ tier, say, watch, wait }: DrillContext, node: Node): Promise<void> {
  await setEverywhere(tier.layout, 'replicas', node.name, 'drain');
  for (const bouncer of tier.layout.bouncers) {
    if (bouncer.upstream === 'replicas') {
      await tell(bouncer, tier.secrets, 'RECONNECT trunkline', PAUSE_LIMIT_MS);
    }
  }
  const empty = await until(() => isEmpty(tier.layout, 'replicas', node.name), DRAIN_LIMIT_MS);
  say(`${node.name}: drained${empty ? '' : ', but for queries that still run'}`);
  await restartPostgres(node, tier.secrets);
  await setEverywhere(tier.layout, 'replicas', node.name, 'ready');
  await wait(() => watch.server('replicas', node.name) === 'up', UP_LIMIT_MS);
  say(`${node.name}: restarted`);
}

/**
 * Switches the primary while the bouncers hold their clients: PAUSE lets transactions end, so that none is cut.
 * @returns milliseconds for which writes were held
 */
async function handOver(context: DrillContext, primary: Node, candidate: Node): Promise<number> {
  const { tier, say, watch, wait, clock } = context;
  const bouncers = tier.layout.bouncers.filter((bouncer) => bouncer.upstream === 'leader');
  const pausedAt = clock.monotonic();
  try {
    await Promise.all(bouncers.map((b) => tell(b, tier.secrets, 'PAUSE trunkline', PAUSE_LIMIT_MS)));
    say('the bouncers hold their clients');
    await switchover(tier.layout.nodes, tier.secrets, primary.name, candidate.name);
    // Until the old one is marked DOWN too, a bouncer might still be led to it.
    const handedOver = () =>
      watch.server('leader', candidate.name) === 'up' && watch.server('leader', primary.name) === 'down';
    await wait(handedOver, UP_LIMIT_MS);
    say(`${candidate.name} is the primary now`);
  } finally {
    await Promise.allSettled(bouncers.map((b) => tell(b, tier.secrets, 'RESUME trunkline', PAUSE_LIMIT_MS)));
  }
  const heldMs = clock.monotonic() - pausedAt;
  await wait(() => watch.server('replicas', primary.name) === 'up', UP_LIMIT_MS);
  return heldMs;
}

async function setEverywhere(
  layout: DrillContext['tier']['layout'],
  proxy: string,
  server: string,
  state: 'drain' | 'ready',
): Promise<void> {
  for (const haproxy of layout.haproxies) await setServer(haproxy, proxy, server, state);
}

async function isEmpty(
  layout: DrillContext['tier']['layout'],
  proxy: string,
  server: string,
): Promise<boolean> {
  for (const haproxy of layout.haproxies) {
    const rows = await statistics(haproxy);
    if (rows.some((row) => row.proxy === proxy && row.server === server && row.sessions > 0)) return false;
  }
  return true;
}
