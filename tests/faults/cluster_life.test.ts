/** Up, down, killed and up again: nothing stays behind, and the data does. */
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { localLayout } from '#engines/cluster/layout.ts';
import { signal, until } from '#engines/cluster/processes.ts';
import { readOrMakeSecrets } from '#engines/cluster/secrets.ts';
import { readState } from '#engines/cluster/state.ts';
import { findTier } from '#engines/cluster/tier.ts';
import { isAlive, run } from '#engines/processes.ts';
import { clusterSkip, makeTestCluster, type TestCluster } from '#tests/cluster.ts';
import { runCommand, startCommand } from '#tests/command.ts';

const GONE_LIMIT_MS = 10_000;
/** A supervisor that does not obey is killed after 150 s. */
const DOWN_LIMIT_MS = 90_000;

/** Processes that name the folder in their command line; this test's own commands have ended by then. */
function processesOf(folder: string): string[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((pid) => {
      try {
        return [readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')];
      } catch {
        return [];
      }
    })
    .filter((command) => command.includes(folder));
}

const layoutOf = ({ data, portBase }: TestCluster) => localLayout({ data, portBase, haproxies: 2 });

async function query<Row>(url: string, sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows as Row[];
  } finally {
    await client.end();
  }
}

suite('the life of a tier', { skip: clusterSkip(), timeout: 300_000 }, () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = await makeTestCluster();
  });
  after(() => cluster?.destroy());
  const up = () => cluster.up();

  /** A first start in the foreground, until it has said this. */
  async function starting(said: RegExp) {
    const words = ['cluster', 'up', '--port-base', String(cluster.portBase), '--data', cluster.data];
    const started = startCommand(words, {});
    await started.said(said);
    return started;
  }

  test('the supervisor is killed right after it has started the parts: down finds and ends every part', async () => {
    const { child, ended } = await starting(/haproxy1 +started/);
    child.kill('SIGKILL');
    await ended;
    await cluster.command('cluster', 'down');
    assert.deepEqual(processesOf(cluster.data), []);
  });

  test('up is killed while it makes the database: nobody can have written to it, so the next up makes it again', async () => {
    const { child, ended } = await starting(/haproxy2 +started/);
    const making = () => layoutOf(cluster).nodes.some(({ folder }) => existsSync(`${folder}/pg_wal`));
    assert.ok(await until(making, GONE_LIMIT_MS), 'initdb has begun');
    child.kill('SIGKILL');
    await ended;
    await cluster.command('cluster', 'down');
    assert.deepEqual(processesOf(cluster.data), []);
    assert.ok(
      layoutOf(cluster).nodes.some(({ folder }) => existsSync(folder)),
      'something is left of it',
    );
  });

  test('Ctrl-C while up --detach waits: the start ends, and nothing runs', async () => {
    const words = [
      'cluster',
      'up',
      '--detach',
      '--port-base',
      String(cluster.portBase),
      '--data',
      cluster.data,
    ];
    const { child, ended } = startCommand(words, {});
    assert.ok(await until(async () => (await readState(cluster.data)) !== undefined, GONE_LIMIT_MS));
    child.kill('SIGINT');
    assert.equal((await ended).code, 130);
    assert.deepEqual(processesOf(cluster.data), []);
  });

  test('two ups at once: one starts the tier, the other is refused', async () => {
    const both = await Promise.allSettled([up(), up()]);
    const refused = both.flatMap((one) => (one.status === 'rejected' ? [String(one.reason)] : []));
    assert.equal(refused.length, 1);
    assert.match(refused.join(), /already|starts in .* just now/);
  });

  test('up: writes go to the primary, reads to a replica, the role has its limits, N-1 holds', async () => {
    const tier = await findTier(cluster.data);
    await query(tier.writeUrl, 'CREATE TABLE kept AS SELECT 42 AS answer');
    const sql = `SELECT pg_is_in_recovery() AS replica, current_setting('statement_timeout') AS patience,
      current_setting('timezone') AS zone, current_database() AS database`;
    const limits = { patience: '30s', zone: 'UTC', database: 'trunkline' };
    assert.deepEqual(await query(tier.writeUrl, sql), [{ replica: false, ...limits }]);
    assert.deepEqual(await query(tier.readUrl, sql), [{ replica: true, ...limits }]);
    const { stdout } = await cluster.command('cluster', 'status', '--json');
    const status = JSON.parse(stdout);
    assert.deepEqual([status.holdsNMinusOne, status.because], [true, []]);
    assert.equal(status.parts.length, 2 + 5 + 3 + 1);
  });

  test('the statistics are a page, CSV and metrics', async () => {
    const { layout } = await findTier(cluster.data);
    for (const haproxy of layout.haproxies) {
      const root = `http://${haproxy.host}:${haproxy.statsPort}`;
      assert.match(await (await fetch(`${root}/stats`)).text(), /<html/i);
      assert.match(await (await fetch(`${root}/stats;csv`)).text(), /bouncers,pgb2,/);
      assert.match(await (await fetch(`${root}/metrics`)).text(), /haproxy_server_status\{.*server="pgb2"/);
    }
  });

  test('a reload from a shell with a low limit of open files keeps the size of the tier', async () => {
    const file = join(layoutOf(cluster).folders.configuration, 'haproxy1.cfg');
    const maxconn = () => /^ +maxconn \d+$/m.exec(readFileSync(file, 'utf8'))?.[0];
    const before = maxconn();
    const main = fileURLToPath(new URL('../../main.ts', import.meta.url));
    const words = 'ulimit -n 1024 && exec "$0" "$1" cluster reload --data "$2"';
    await run('/bin/sh', ['-c', words, process.execPath, main, cluster.data]);
    assert.ok(before);
    assert.equal(maxconn(), before);
  });

  test('a second up is refused, and so is a wrong password', async () => {
    await assert.rejects(up(), /a tier runs in/);
    const url = new URL((await findTier(cluster.data)).writeUrl);
    url.password = 'wrong';
    await assert.rejects(query(url.href, 'SELECT 1'), { code: /^(28P01|08P01)$/ });
  });

  test('down leaves no process, even if the supervisor was frozen; the next up finds the data', async () => {
    signal((await readState(cluster.data))!.supervisor.pid, 'SIGSTOP');
    const askedAt = performance.now();
    await cluster.command('cluster', 'down');
    const tookMs = performance.now() - askedAt;
    assert.ok(tookMs < DOWN_LIMIT_MS, `it was woken, not waited for: ${tookMs} ms`);
    assert.deepEqual(processesOf(cluster.data), []);
    assert.equal(existsSync(`${cluster.data}/state.json`), false);
    assert.equal(existsSync(`${cluster.data}/run`), false, 'no socket is left');
    await up();
    const tier = await findTier(cluster.data);
    assert.deepEqual(await query(tier.writeUrl, 'SELECT answer FROM kept'), [{ answer: 42 }]);
  });

  test('trunkline up --cluster runs the services on the running tier in DATA_DIR, and leaves the tier running; commands find it, too', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'trunkline-data-'));
    symlinkSync(cluster.data, join(folder, 'cluster'));
    try {
      const settings = { DATA_DIR: folder, CALLS_PORT: '0', MONITOR_PORT: '0', IDENTITY_PORT: '0' };
      const { said, child, ended } = startCommand(['up', '--cluster', '--no-demo'], settings);
      await said(/database +PostgreSQL tier in .*cluster/);
      await said('Ctrl-C stops it.');
      const { writeUrl } = await findTier(cluster.data);
      const clients = "SELECT FROM pg_stat_activity WHERE application_name LIKE 'trunkline-calls%'";
      assert.ok((await query(writeUrl, clients)).length > 0, 'the service is connected to it');
      child.kill('SIGTERM');
      assert.equal((await ended).code, 0);
      assert.deepEqual(await query(writeUrl, 'SELECT answer FROM kept'), [{ answer: 42 }]);
      const made = await runCommand(['accounts', 'create', 'joined'], settings);
      assert.match(made.err, /PostgreSQL tier in/);
      assert.deepEqual(await query(writeUrl, 'SELECT code FROM calls.accounts'), [{ code: 'joined' }]);
      const { code, out } = await runCommand(['cluster', 'status'], settings);
      assert.equal(code, 0, out);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('the supervisor is killed: the tier continues to serve, and down ends every remaining process', async () => {
    const state = await readState(cluster.data);
    assert.ok(state && isAlive(state.supervisor));
    const tier = await findTier(cluster.data);
    signal(state.supervisor.pid, 'SIGKILL');
    assert.ok(await until(() => !isAlive(state.supervisor), GONE_LIMIT_MS));
    assert.deepEqual(await query(tier.writeUrl, 'SELECT answer FROM kept'), [{ answer: 42 }]);
    await assert.rejects(cluster.command('cluster', 'status'), /no tier runs/);
    await cluster.command('cluster', 'down');
    assert.deepEqual(processesOf(cluster.data), []);
    assert.equal(existsSync(`${cluster.data}/run`), false, 'no socket is left');
  });

  test('destroy needs a yes, and deletes the folder; a folder without a tier remains, and no tier is made in it', async () => {
    await assert.rejects(cluster.command('cluster', 'destroy'), /--yes/);
    const own = join(cluster.data, 'letters');
    writeFileSync(own, 'Dear …');
    await cluster.command('cluster', 'destroy', '--yes');
    assert.deepEqual(readdirSync(cluster.data), ['letters']);
    await assert.rejects(cluster.command('cluster', 'destroy', '--yes'), /no tier was ever made/);
    await assert.rejects(up(), /holds other things/);
    mkdirSync(join(cluster.data, 'run'));
    await cluster.command('cluster', 'down');
    assert.ok(existsSync(join(cluster.data, 'run')), 'a folder of that name may be of others');
    assert.equal(readFileSync(own, 'utf8'), 'Dear …');
  });

  test('destroy leaves no folder if nothing else is in it', async () => {
    const empty = await makeTestCluster();
    await readOrMakeSecrets(empty.data);
    await empty.command('cluster', 'destroy', '--yes');
    assert.equal(existsSync(empty.data), false);
  });
});
