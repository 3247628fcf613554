/** Clients of the tier that take nothing of what they asked for, and such as are only slow. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { DRILL_ACCOUNT } from '#engines/cluster/drills/callers.ts';
import { runDrill } from '#engines/cluster/drills/drill.ts';
import { drillsFolder } from '#engines/cluster/drills/results.ts';
import { startDrillServices } from '#engines/cluster/drills/services.ts';
import { startSlowClient } from '#engines/cluster/drills/slow_client.ts';
import { slowReaders } from '#engines/cluster/drills/slow_readers.ts';
import { poolCounts } from '#engines/cluster/pgbouncer.ts';
import { until } from '#engines/cluster/processes.ts';
import { findTier } from '#engines/cluster/tier.ts';
import { createPool } from '#platform/database/pool.ts';
import { migrateAll } from '#platform/database/upgrade.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { SCHEMAS } from '#system';
import { testApi } from '#tests/calls_api.ts';
import { clusterSkip, makeTestCluster } from '#tests/cluster.ts';
import { followedRow } from '#tests/followed_file.ts';
import { importBytes } from '#tests/import_bytes.ts';

const MAIN = fileURLToPath(new URL('../../main.ts', import.meta.url));
const CUT_LIMIT_MS = 10_000;
const SLOW_MS = 20_000;
const PIECE_BYTES = 1_024;
const CALLS = 60_000;
/** More than the kernel keeps of an answer whose reader is slow. */
const ON_THE_WAY_BYTES = 10_000_000;

const skip = clusterSkip();
suite('clients that take little or nothing', { skip, timeout: 300_000 }, async () => {
  if (skip) return;
  const cluster = await makeTestCluster();
  after(() => cluster.destroy());
  await cluster.up();
  const tier = await findTier(cluster.data);
  const clientsOf = async (upstream: string) => {
    const counts = tier.layout.bouncers
      .filter((bouncer) => bouncer.upstream === upstream)
      .map((bouncer) => poolCounts(bouncer, tier.secrets));
    return (await Promise.all(counts)).reduce((sum, { clients }) => sum + clients, 0);
  };

  test('140 clients that read nothing are cut, other readers get answers within 5 s, and clients that read 1 kB/s continue', async () => {
    const lines: string[] = [];
    const services = await startDrillServices(tier, [process.execPath, MAIN], drillsFolder(cluster.data));
    const report = await runDrill(slowReaders, {
      tier,
      services,
      clock: systemClock,
      synchronous: false,
      onLine: ({ atMs, text }) => lines.push(`${atMs} ${text}`),
    }).finally(() => services.stop());
    assert.ok(report.passed, [...lines, JSON.stringify(report.findings, null, 2)].join('\n'));
  });

  test('at the door for writes a single client that reads nothing is cut as well, and its slow neighbour is not', async () => {
    const before = await clientsOf('leader');
    const slow = await startSlowClient(tier.writeUrl, '1 kB/s');
    const stuck = await startSlowClient(tier.writeUrl, 'nothing');
    assert.equal(await clientsOf('leader'), before + 2);
    assert.ok(await until(async () => (await clientsOf('leader')) === before + 1, CUT_LIMIT_MS));
    await sleep(CUT_LIMIT_MS);
    assert.equal(await clientsOf('leader'), before + 1);
    assert.ok(slow.taken >= (PIECE_BYTES * CUT_LIMIT_MS) / 1_500, `it has taken ${slow.taken} bytes`);
    slow.close();
    stuck.close();
  });

  test('an export continues while its client reads 1 kB/s, and when the client reads at full speed afterwards', async () => {
    const pool = createPool({
      ...{ url: tier.writeUrl, applicationName: 'test', size: 5, onIdleError: () => undefined },
    });
    after(() => pool.end());
    await migrateAll(pool, SCHEMAS);
    // All of one account: followedRow has seven.
    const calls = Array.from({ length: CALLS }, (_, n) => followedRow(7 * n)).join('');
    await importBytes(pool, Buffer.from(calls));
    const [account] = (
      await pool.query('SELECT i_account FROM calls.accounts WHERE code <> $1', [DRILL_ACCOUNT])
    ).rows;
    const api = await testApi({}, { database: { url: tier.writeUrl, pool }, replicaUrls: [tier.readUrl] });
    const key = await api.key('operator');
    const path = `/cdrs?i_account=${account.i_account}&from=2026-09-30&to=2026-11-30`;
    const headers = { accept: 'text/csv' };
    const linesOf = (text: string) => text.split('\n').length - 2;
    const isThere = async () => linesOf((await api.get(path, key, headers)).text) === CALLS;
    assert.ok(await until(isThere, CUT_LIMIT_MS), 'the replicas have them');
    const whole = (await api.get(path, key, headers)).text;
    assert.ok(whole.length > ON_THE_WAY_BYTES, `the export has ${whole.length} bytes`);
    const { taken, rest } = readSlowly(new URL(api.calls.url), path, key);
    await sleep(SLOW_MS);
    assert.ok(taken() > 0 && taken() < 2 * PIECE_BYTES * (SLOW_MS / 1_000), `${taken()} bytes`);
    const body = bodyOf(await rest());
    assert.equal(body.length, whole.length);
    assert.equal(body, whole);
  });
});

/** A browser that takes a kilobyte a second, until it is told to take the rest. */
function readSlowly(url: URL, path: string, key: string) {
  const pieces: Buffer[] = [];
  let isSlow = true;
  const socket = connect({
    port: Number(url.port),
    host: url.hostname,
    onread: {
      buffer: Buffer.alloc(PIECE_BYTES),
      callback: (count, buffer) => {
        pieces.push(Buffer.from(buffer.subarray(0, count)));
        if (isSlow) setTimeout(() => socket.resume(), 1_000);
        return !isSlow;
      },
    },
  });
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: text/csv\r\nAuthorization: Bearer ${key}\r\n\r\n`,
  );
  const ended = new Promise((resolve) => socket.once('close', resolve));
  return {
    taken: () => pieces.reduce((sum, { length }) => sum + length, 0),
    rest: async () => {
      isSlow = false;
      socket.resume();
      await ended;
      return Buffer.concat(pieces).toString();
    },
  };
}

/** The body of an answer in chunks; the chunks of ASCII have as many characters as bytes. */
function bodyOf(answer: string): string {
  let at = answer.indexOf('\r\n\r\n') + 4;
  let body = '';
  for (;;) {
    const end = answer.indexOf('\r\n', at);
    const length = Number.parseInt(answer.slice(at, end), 16);
    if (!(length > 0)) return body;
    body += answer.slice(end + 2, end + 2 + length);
    at = end + 2 + length + 2;
  }
}
