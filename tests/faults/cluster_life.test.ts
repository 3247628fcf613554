/** Up, down, killed and up again: nothing stays behind, and the data does. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import pg from 'pg';
import { signal, until } from '#engines/cluster/processes.ts';
import { readState } from '#engines/cluster/state.ts';
import { findTier } from '#engines/cluster/tier.ts';
import { isAlive } from '#engines/processes.ts';
import { clusterSkip, makeTestCluster, type TestCluster } from '#tests/cluster.ts';
import { runCommand, startCommand } from '#tests/command.ts';

const GONE_LIMIT_MS = 10_000;

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
  const up = () => cluster.command('cluster', 'up', '--detach', '--port-base', String(cluster.portBase));

  test('up: writes go to the primary, reads to a replica, the role has its limits, N-1 holds', async () => {
    await up();
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

  test('statistics answer as a page, as CSV and as metrics', async () => {
    const { layout } = await findTier(cluster.data);
    for (const haproxy of layout.haproxies) {
      const root = `http://${haproxy.host}:${haproxy.statsPort}`;
      assert.match(await (await fetch(`${root}/stats`)).text(), /<html/i);
      assert.match(await (await fetch(`${root}/stats;csv`)).text(), /bouncers,pgb2,/);
      assert.match(await (await fetch(`${root}/metrics`)).text(), /haproxy_server_status\{.*server="pgb2"/);
    }
  });

  test('commands and up --cluster with its DATA_DIR join it, and leave it running', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'trunkline-joined-'));
    symlinkSync(cluster.data, join(folder, 'cluster'));
    const environment = { DATA_DIR: folder, CALLS_PORT: '0', MONITOR_PORT: '0' };
    try {
      const made = await runCommand(['accounts', 'create', 'joined'], environment);
      assert.equal(made.code, 0, made.err);
      assert.match(made.err, /PostgreSQL tier in/);
      const { code, out } = await runCommand(['cluster', 'status'], environment);
      assert.equal(code, 0, out);
      const up = startCommand(['up', '--cluster', '--no-demo'], environment);
      await up.said(/which ran already/);
      await up.said(/Ctrl-C stops it/);
      up.child.kill('SIGTERM');
      assert.equal((await up.ended).code, 0);
      const { writeUrl } = await findTier(cluster.data);
      assert.deepEqual(await query(writeUrl, 'SELECT code FROM calls.accounts'), [{ code: 'joined' }]);
      assert.equal(existsSync(join(folder, 'postgres')), false);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('a second up is refused, and a wrong password too', async () => {
    await assert.rejects(up(), /a tier runs in/);
    const url = new URL((await findTier(cluster.data)).writeUrl);
    url.password = 'wrong';
    await assert.rejects(query(url.href, 'SELECT 1'), { code: /^(28P01|08P01)$/ });
  });

  test('down leaves no process; up again finds the data', async () => {
    await cluster.command('cluster', 'down');
    assert.deepEqual(processesOf(cluster.data), []);
    assert.equal(existsSync(`${cluster.data}/state.json`), false);
    await up();
    const tier = await findTier(cluster.data);
    assert.deepEqual(await query(tier.writeUrl, 'SELECT answer FROM kept'), [{ answer: 42 }]);
  });

  test('the supervisor killed: the tier goes on serving, and down ends every process that it left', async () => {
    const state = await readState(cluster.data);
    assert.ok(state && isAlive(state.supervisor));
    const tier = await findTier(cluster.data);
    signal(state.supervisor.pid, 'SIGKILL');
    assert.ok(await until(() => !isAlive(state.supervisor), GONE_LIMIT_MS));
    assert.deepEqual(await query(tier.writeUrl, 'SELECT answer FROM kept'), [{ answer: 42 }]);
    await assert.rejects(cluster.command('cluster', 'status'), /no tier runs/);
    await cluster.command('cluster', 'down');
    assert.deepEqual(processesOf(cluster.data), []);
  });

  test('destroy wants a yes, and deletes the folder', async () => {
    await assert.rejects(cluster.command('cluster', 'destroy'), /--yes/);
    await cluster.command('cluster', 'destroy', '--yes');
    assert.equal(existsSync(cluster.data), false);
  });
});
