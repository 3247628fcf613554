/** Drills of planned work: no part is broken, and no client may notice. */
import type { Bouncer, Node } from '../layout.ts';
import { handOver, proxyOf, sessionsOf, setEverywhere } from '../maintenance.ts';
import { leaderOf, restartPostgres } from '../patroni.ts';
import { tell } from '../pgbouncer.ts';
import { postmasterOf, signal, until } from '../processes.ts';
import { reloadHaproxies } from '../reload.ts';
import type { Tier } from '../tier.ts';
import type { Drill, DrillContext, ServicePromise } from './drill.ts';
import { within } from './verdict.ts';

const UP_LIMIT_MS = 30_000;
/** A client that keeps its connection for longer loses it between two transactions. */
const DRAIN_LIMIT_MS = 8_000;
const PAUSE_LIMIT_MS = 10_000;
const AFTER_RELOAD_MS = 2_000;
/** Long enough for work, short enough that a drained bouncer is soon empty. */
const LIFETIME_MS = 3_000;
/** A longer hold would fail the health checks of services (5 s), and open their circuit breakers for 60 s. */
const SWITCHOVER_PAUSE_MS = 5_000;
/** No request fails, and no health check of a service either: its limit is the same. */
const SILENT_MS = 5_000;
/** After the hold a dozen callers repeat the held requests, and share two CPUs with the whole tier and its work. */
const CATCH_UP_MS = 2_000;

/** Planned work requires no alert, but allows some. @param writesMs the longest time in which no post is answered */
const planned = (writesMs: number, criticals: number, alsoBy: readonly string[]): ServicePromise => ({
  mayFail: 'none',
  limits: { readsMs: SILENT_MS, writesMs },
  told: { by: [], severity: 'warning', criticals, withinMs: 0, alsoBy },
});

export const haproxyReload: Drill = {
  name: 'haproxy-reload',
  purpose: 'HAProxy loads a new configuration, one process after the other',
  connectionLifetimeMs: LIFETIME_MS,
  promise: { mayFail: 'none', writeSilenceMs: 1_000, readSilenceMs: 1_000, losableMs: 0 },
  service: planned(SILENT_MS, 0, ['haproxyrestarted']),
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
  // For the seconds of the switchover there is indeed no primary. A post on a connection that its bouncer is closing is
  // answered 503, and the service does not retry it: the client must send it again.
  service: {
    ...planned(SWITCHOVER_PAUSE_MS + CATCH_UP_MS, 1, [
      ...['noprimary', 'leaderchanged', 'pgbouncertakenout', 'pgbouncerdown', 'nosparebouncer'],
      ...['postgresdown', 'replicalag', 'poolwait', 'slowanswers', 'doorsilent'],
    ]),
    mayFail: 'any',
  },
  run: async (context) => {
    const { tier } = context;
    const before = await startsOf(tier);
    const brokenAt = context.broken('the rolling restart begins');
    for (const bouncer of tier.layout.bouncers) await restartBouncer(context, bouncer);
    const primary = await leaderOf(tier.layout.nodes);
    if (!primary) throw new Error('there is no primary');
    for (const node of tier.layout.nodes) if (node !== primary) await restartReplica(context, node);
    const pausedAt = context.clock.monotonic();
    await handOver(tier, undefined, context.say);
    const pausedMs = context.clock.monotonic() - pausedAt;
    await context.wait(() => context.watch.server('replicas', primary.name) === 'up', UP_LIMIT_MS);
    await restartReplica(context, primary);
    const after = await startsOf(tier);
    const untouched = [...before].flatMap(([name, start]) => (after.get(name) === start ? [name] : []));
    return {
      brokenAt,
      routedAroundAt: brokenAt,
      findings: [
        within('writes are held for the switchover, and go on', pausedMs, SWITCHOVER_PAUSE_MS),
        {
          about: 'parts',
          promise: 'every bouncer and every PostgreSQL was restarted',
          measured: untouched.length === 0 ? `all ${before.size}` : `not ${untouched.join(', ')}`,
          kept: untouched.length === 0,
        },
      ],
    };
  },
};

/** The process of each bouncer and each PostgreSQL, as text that changes with a restart. */
async function startsOf(tier: Tier): Promise<Map<string, string>> {
  const parts = await tier.parts();
  return new Map([
    ...tier.layout.bouncers.map(({ name }) => [name, JSON.stringify(parts[name]?.process)] as const),
    ...tier.layout.nodes.map(({ name, folder }) => [name, JSON.stringify(postmasterOf(folder))] as const),
  ]);
}

/** Closes a bouncer for new clients, waits until the last has left, restarts the bouncer, and opens it again. */
async function restartBouncer({ tier, say, watch, wait }: DrillContext, bouncer: Bouncer): Promise<void> {
  const proxy = proxyOf(bouncer);
  const { pid } = await tier.processOf(bouncer.name);
  try {
    await setEverywhere(tier.layout, proxy, bouncer.name, 'drain');
    const empty = await until(
      async () => (await sessionsOf(tier.layout, proxy, bouncer.name)) === 0,
      DRAIN_LIMIT_MS,
    );
    say(`${bouncer.name}: drained${empty ? '' : ', except for clients that keep their connections'}`);
    await tier.hold(bouncer.name);
    // SIGINT ends PgBouncer once no query runs.
    signal(pid, 'SIGINT');
    await until(async () => (await tier.parts())[bouncer.name]?.process === null, DRAIN_LIMIT_MS);
  } finally {
    await tier.release(bouncer.name);
    await setEverywhere(tier.layout, proxy, bouncer.name, 'ready');
  }
  await wait(() => watch.server(proxy, bouncer.name) === 'up', UP_LIMIT_MS);
  say(`${bouncer.name}: restarted`);
}

/** Takes a replica out of the reads, makes the read bouncers connect elsewhere, and restarts the replica. */
async function restartReplica({ tier, say, watch, wait }: DrillContext, node: Node): Promise<void> {
  try {
    await setEverywhere(tier.layout, 'replicas', node.name, 'drain');
    for (const bouncer of tier.layout.bouncers) {
      if (bouncer.upstream === 'replicas') {
        await tell(bouncer, tier.secrets, 'RECONNECT trunkline', PAUSE_LIMIT_MS);
      }
    }
    const empty = await until(
      async () => (await sessionsOf(tier.layout, 'replicas', node.name)) === 0,
      DRAIN_LIMIT_MS,
    );
    say(`${node.name}: drained${empty ? '' : ', except for queries that still run'}`);
    await restartPostgres(node, tier.secrets);
  } finally {
    await setEverywhere(tier.layout, 'replicas', node.name, 'ready');
  }
  await wait(() => watch.server('replicas', node.name) === 'up', UP_LIMIT_MS);
  say(`${node.name}: restarted`);
}
