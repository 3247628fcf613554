/** The calls service on the real tier: HAProxy, PgBouncer in transaction mode, Patroni, PostgreSQL with two replicas. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { sessionsOf } from '#engines/cluster/maintenance.ts';
import { signal, until } from '#engines/cluster/processes.ts';
import { waitFor, whatIsMissing } from '#engines/cluster/readiness.ts';
import { findTier } from '#engines/cluster/tier.ts';
import { migrate } from '#platform/database/migrate.ts';
import { createPool } from '#platform/database/pool.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { importDemo } from '#services/calls/demo.ts';
import { callsMigrations } from '#services/calls/schema.ts';
import { testApi } from '#tests/calls_api.ts';
import { clusterSkip, makeTestCluster } from '#tests/cluster.ts';
import { ask, type Got, summary } from '#tests/load.ts';

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

const skip = clusterSkip();
suite('the calls service on the tier', { skip, timeout: 300_000 }, async () => {
  if (skip) return;
  const cluster = await makeTestCluster();
  after(() => cluster.destroy());
  await cluster.command('cluster', 'up', '--detach', '--port-base', String(cluster.portBase));
  const tier = await findTier(cluster.data);
  const url = tier.writeUrl;
  const pool = createPool({ url, applicationName: 'test', size: 5, onIdleError: () => undefined });
  after(() => pool.end());
  await migrate(pool, callsMigrations);
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

  test('a bouncer of the reads is killed under load: no read fails; a lifetime later it has its share again', async (t) => {
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
});
