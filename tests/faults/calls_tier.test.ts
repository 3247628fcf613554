/** The calls service on the real tier: HAProxy, PgBouncer in transaction mode, Patroni, PostgreSQL with two replicas. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import pg from 'pg';
import { isUp, statistics } from '#engines/cluster/haproxy.ts';
import type { Node } from '#engines/cluster/layout.ts';
import { sessionsOf } from '#engines/cluster/maintenance.ts';
import { leaderOf } from '#engines/cluster/patroni.ts';
import { freezeFamily, postmasterOf, signal, until } from '#engines/cluster/processes.ts';
import { waitFor, whatIsMissing } from '#engines/cluster/readiness.ts';
import { findTier } from '#engines/cluster/tier.ts';
import { createPool } from '#platform/database/pool.ts';
import { migrateAll } from '#platform/database/upgrade.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { importDemo } from '#services/calls/jobs/demo.ts';
import { SCHEMAS } from '#system';
import { testApi } from '#tests/calls_api.ts';
import { clusterSkip, makeTestCluster } from '#tests/cluster.ts';
import { ask, assertWhole, type Got, summary } from '#tests/load.ts';

const PAGE = '/cdrs?i_account=1&limit=100';
const LIFETIME_MS = 4_000;
const READERS = 12;
const READER_PAUSE_MS = 10;
/** Fewer than readers, so that no connection is ever idle for long. */
const POOL_SIZE = 6;
/** Of two bouncers; `leastconn` gives each a half, less what the last moments have changed. */
const SHARE = 0.3;
const SEEN_LIMIT_MS = 30_000;
const WHOLE_LIMIT_MS = 60_000;
const CRASHES = 5;
const BACKENDS = 16;
/** Longer than a read takes with its second try, which must not meet the next backend that is ended. */
const BETWEEN_BACKENDS_MS = 200;
const BEFORE_MS = 1_000;
const AWAY_MS = 3_000;
/** infrastructure/README.md promises it. */
const REPLICA_LOST_MS = 5_000;

const skip = clusterSkip();
suite('the calls service on the tier', { skip, timeout: 300_000 }, async () => {
  if (skip) return;
  const cluster = await makeTestCluster();
  after(() => cluster.destroy());
  await cluster.up();
  const tier = await findTier(cluster.data);
  const url = tier.writeUrl;
  const pool = createPool({ url, applicationName: 'test', size: 5, onIdleError: () => undefined });
  after(() => pool.end());
  await migrateAll(pool, SCHEMAS);
  await importDemo(pool, Date.now());
  const api = await testApi(
    { connectionLifetimeMs: LIFETIME_MS, poolSize: POOL_SIZE },
    { database: { url, pool }, replicaUrls: [tier.readUrl] },
  );
  const operator = await api.key('operator');
  assert.ok(await until(async () => (await api.get(PAGE, operator)).status === 200, SEEN_LIMIT_MS));

  /** Clients that read one page after the other, until they are told to stop. */
  function readers(): { stop(): Promise<Got[]> } {
    let stopping = false;
    const got: Got[] = [];
    const running = Array.from({ length: READERS }, async () => {
      while (!stopping) {
        got.push(await ask({ url: api.calls.url, key: operator, path: PAGE }));
        await systemClock.sleep(READER_PAUSE_MS);
      }
    });
    return {
      stop: async () => {
        stopping = true;
        await Promise.all(running);
        return got;
      },
    };
  }

  async function retried(): Promise<number> {
    const { text } = await api.get('/metrics', null);
    return Number(/^database_read_retries_total\{.*\} (\d+)$/m.exec(text)?.[1] ?? 0);
  }

  const clientsOf = (bouncer: string) => sessionsOf(tier.layout, 'read_bouncers', bouncer);

  test('a bouncer of the reads is killed under load: no read fails; after one lifetime of connections it has its share again', async (t) => {
    const load = readers();
    for (let crash = 1; crash <= CRASHES; crash++) {
      await waitFor(SEEN_LIMIT_MS, async () => {
        const [killed, other] = [await clientsOf('pgr1'), await clientsOf('pgr2')];
        return killed >= SHARE * (killed + other) ? undefined : `pgr1 has ${killed} clients, pgr2 ${other}`;
      });
      if (crash === CRASHES) break;
      const { pid } = await tier.processOf('pgr1');
      signal(pid, 'SIGKILL');
      await waitFor(WHOLE_LIMIT_MS, async () => ((await clientsOf('pgr1')) === 0 ? undefined : 'not gone'));
      await waitFor(WHOLE_LIMIT_MS, () => whatIsMissing(tier));
    }
    const got = await load.stop();
    t.diagnostic(`${summary(got)}; ${await retried()} reads were done once more`);
    assert.deepEqual(
      got.filter(({ status }) => status !== 200),
      [],
    );
    assert.ok((await retried()) > 0, 'a read was under way at one crash at least');
  });

  /** Past HAProxy and PgBouncer, as the superuser. */
  async function onNode<Row>(node: Node, sql: string): Promise<Row[]> {
    const client = new pg.Client({
      host: node.host,
      port: node.port,
      user: 'postgres',
      password: tier.secrets.superuser,
      database: 'trunkline',
    });
    await client.connect();
    try {
      return (await client.query(sql)).rows as Row[];
    } finally {
      await client.end();
    }
  }

  async function byRole(): Promise<{ primary: Node; replicas: Node[] }> {
    const primary = await leaderOf(tier.layout.nodes);
    assert.ok(primary);
    return { primary, replicas: tier.layout.nodes.filter((node) => node !== primary) };
  }

  /** How often the calls were looked at on the primary; a session adds its count within a second. */
  async function readsOf(primary: Node): Promise<number> {
    const [row] = await onNode<{ scans: number }>(
      primary,
      `SELECT sum(seq_scan + coalesce(idx_scan, 0))::int AS scans FROM pg_stat_user_tables
       WHERE schemaname = 'calls' AND relname LIKE 'cdrs%'`,
    );
    return row!.scans;
  }

  test('single backends end during their reads, one after the other: no read fails', async (t) => {
    const { replicas } = await byRole();
    const before = await retried();
    const load = readers();
    let ended = 0;
    for (let turn = 0; turn < BACKENDS; turn++) {
      const rows = await onNode(
        replicas[turn % replicas.length]!,
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'trunkline-calls'
         ORDER BY state = 'active' DESC, random() LIMIT 1`,
      );
      ended += rows.length;
      await systemClock.sleep(BETWEEN_BACKENDS_MS);
    }
    const got = await load.stop();
    t.diagnostic(
      `${summary(got)}; ${ended} backends ended, ${(await retried()) - before} reads done once more`,
    );
    assert.deepEqual(
      got.filter(({ status }) => status !== 200),
      [],
    );
    assert.ok(ended > BACKENDS / 2, `${ended} backends were there to be ended`);
    assert.ok((await retried()) > before, 'a read was under way in one of them at least');
  });

  test('a replica is killed with its Patroni: reads continue on the other replica, never on the primary', async (t) => {
    const { primary, replicas } = await byRole();
    const [killed, other] = replicas as [Node, Node];
    const isDown = async () => {
      const rows = (await Promise.all(tier.layout.haproxies.map((haproxy) => statistics(haproxy)))).flat();
      const views = rows.filter(({ proxy, server }) => proxy === 'replicas' && server === killed.name);
      return !views.some(isUp);
    };
    const scansBefore = await readsOf(primary);
    const load = readers();
    await systemClock.sleep(BEFORE_MS);
    const sessions = () => sessionsOf(tier.layout, 'replicas', killed.name);
    assert.ok(await until(async () => (await sessions()) > 0, SEEN_LIMIT_MS), `${killed.name} is read from`);
    const retriedBefore = await retried();
    await tier.hold(killed.name);
    const processes = [
      ...freezeFamily((await tier.processOf(killed.name)).pid),
      ...freezeFamily(postmasterOf(killed.folder)!.pid),
    ];
    for (const pid of processes) signal(pid, 'SIGKILL');
    const killedAt = performance.now();
    assert.ok(await until(isDown, SEEN_LIMIT_MS), `${killed.name} is DOWN`);
    const downMs = performance.now() - killedAt;
    await systemClock.sleep(AWAY_MS);
    const got = await load.stop();
    await tier.release(killed.name);

    const after = got.filter(({ askedAt }) => askedAt > killedAt);
    const failed = after.filter(({ status }) => status !== 200);
    const lastFailed = Math.max(0, ...failed.map(({ askedAt, ms }) => askedAt + ms - killedAt));
    const longest = Math.max(...after.map(({ ms }) => ms));
    t.diagnostic(
      `DOWN after ${Math.round(downMs)} ms; ${summary(after)}; last failure after ${Math.round(lastFailed)} ms, ` +
        `${(await retried()) - retriedBefore} reads done once more`,
    );
    assertWhole(got, ['unavailable', 'database_down', 'deadline_exceeded']);
    assert.ok(lastFailed <= REPLICA_LOST_MS, `the last failure came after ${lastFailed} ms`);
    assert.ok(longest <= REPLICA_LOST_MS, `the longest read took ${longest} ms`);
    const reads = after.filter(({ status }) => status === 200);
    assert.ok(
      reads.length > 0 && reads.every(({ body }) => body.replica_lag_s !== null),
      'replicas answered',
    );
    assert.ok((await sessionsOf(tier.layout, 'replicas', other.name)) > 0, `${other.name} is read from`);
    assert.equal((await readsOf(primary)) - scansBefore, 0, 'nothing was read from the primary');
    await waitFor(WHOLE_LIMIT_MS, () => whatIsMissing(tier));
  });
});
