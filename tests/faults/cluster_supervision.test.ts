/** What the supervisor of a tier does about parts that hang, drills that were killed, and others that want its place. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { freezeFamily, signal, until } from '#engines/cluster/processes.ts';
import { waitFor, whatIsMissing } from '#engines/cluster/readiness.ts';
import { readState } from '#engines/cluster/state.ts';
import { findTier, type Tier } from '#engines/cluster/tier.ts';
import { isAlive } from '#engines/processes.ts';
import { clusterSkip, makeTestCluster, type TestCluster } from '#tests/cluster.ts';
import { runCommand, startCommand } from '#tests/command.ts';

const GONE_LIMIT_MS = 10_000;
const LET_GO_LIMIT_MS = 5_000;
/** Three questions of 5 s at most, a start, and checks. */
const HUNG_LIMIT_MS = 90_000;
const WRITERS = 8;

suite('the supervisor of a tier', { skip: clusterSkip(), timeout: 600_000 }, () => {
  let cluster: TestCluster;
  let tier: Tier;
  const up = () => cluster.up();
  const whole = () => waitFor(HUNG_LIMIT_MS, () => whatIsMissing(tier));

  before(async () => {
    cluster = await makeTestCluster();
    await up();
    tier = await findTier(cluster.data);
  });
  after(() => cluster?.destroy());

  async function query(sql: string): Promise<void> {
    const client = new pg.Client({ connectionString: tier.writeUrl, connectionTimeoutMillis: 5_000 });
    client.on('error', () => {});
    await client.connect();
    try {
      await client.query(sql);
    } finally {
      await client.end();
    }
  }

  test('frozen parts are killed after three unanswered checks, one of each kind at a time, and come back', async () => {
    const before = await tier.parts();
    const frozen = ['haproxy2', 'pgb3', 'etcd'];
    for (const name of frozen) freezeFamily(before[name]!.process!.pid);
    for (const name of frozen) {
      const isNew = async () => {
        const now = (await tier.parts())[name]?.process;
        return now != null && now.pid !== before[name]!.process!.pid;
      };
      assert.ok(await until(isNew, HUNG_LIMIT_MS), `${name} is frozen still`);
    }
    await whole();
    const log = readFileSync(join(cluster.data, 'log', 'supervisor.log'), 'utf8');
    for (const name of frozen) {
      const afterS = name === 'pgb3' ? 15 : 6;
      assert.match(log, new RegExp(`${name} +hung, it answered nothing for ${afterS} s`));
    }
  });

  test("the log of HAProxy has the time of each change of a server's state", () => {
    const log = readFileSync(join(cluster.data, 'log', 'haproxy1.log'), 'utf8');
    assert.match(log, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+\S* Server bouncers\/pgb3 is DOWN/m);
  });

  test('clients that a killed drill held are released, and parts that it froze are woken', async () => {
    const drill = startCommand(['drill', 'pgbouncer-freeze', '--data', cluster.data], {});
    await drill.said(/pgb2 frozen/);
    drill.child.kill('SIGKILL');
    await drill.ended;
    await whole();
    const held = async () => Object.entries(await tier.parts()).filter(([, part]) => part.held);
    await until(async () => (await held()).length === 0, LET_GO_LIMIT_MS);
    assert.deepEqual(await held(), []);
  });

  test('two drills at once: the second is refused', async () => {
    const first = startCommand(['drill', 'pgbouncer-freeze', '--data', cluster.data], {});
    await first.said(/pgb2 frozen/);
    const { code, err } = await runCommand(['drill', 'pgbouncer-crash', '--data', cluster.data], {});
    assert.deepEqual([code, /another drill runs on the tier/.test(err)], [1, true], err);
    first.child.kill('SIGINT');
    assert.equal((await first.ended).code, 130);
    await whole();
  });

  test('two ups at once after a killed supervisor: one starts the tier, and no write goes to a replica', async (t) => {
    const state = (await readState(cluster.data))!;
    signal(state.supervisor.pid, 'SIGKILL');
    assert.ok(await until(() => !isAlive(state.supervisor), GONE_LIMIT_MS));
    const got = new Map<string, number>();
    let stopping = false;
    const writing = Array.from({ length: WRITERS }, async () => {
      while (!stopping) {
        const said = await query('CREATE TABLE IF NOT EXISTS written (n int)').then(
          () => 'written',
          (error: Error) => error.message,
        );
        got.set(said, (got.get(said) ?? 0) + 1);
        await sleep(20);
      }
    });
    const ups = await Promise.allSettled([up(), up()]);
    stopping = true;
    await Promise.all(writing);
    t.diagnostic(JSON.stringify(Object.fromEntries(got)));
    const refused = ups.flatMap((one) => (one.status === 'rejected' ? [String(one.reason)] : []));
    assert.equal(refused.length, 1, refused.join('\n'));
    assert.match(refused.join(), /already|starts in .* just now/);
    assert.ok((got.get('written') ?? 0) > 0, 'writes went through at the end');
    assert.deepEqual(
      [...got.keys()].filter((said) => /read-only/.test(said)),
      [],
    );
  });
});
