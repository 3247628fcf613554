/** A program with few file descriptors, and more clients than it has: it says so, and nothing is taken for dead. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { platform, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { until } from '#engines/cluster/processes.ts';

const MAIN = fileURLToPath(new URL('../../main.ts', import.meta.url));
const skip = platform() === 'linux' ? false : 'the limit is set by bash';
const DESCRIPTORS = 128;
const CLIENTS = 300;
const START_LIMIT_MS = 120_000;
/** Longer than the embedded PostgreSQL is looked at, and a warning would come again if it came each second. */
const HELD_MS = 5_000;

test('300 idle connections at 128 descriptors: one warning, PostgreSQL is not restarted, and requests work when the connections close', {
  skip,
}, async () => {
  const data = await mkdtemp(join(tmpdir(), 'trunkline-descriptors-'));
  const env = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    DATA_DIR: data,
    CALLS_PORT: '0',
    MONITOR_PORT: '0',
    IDENTITY_PORT: '0',
  };
  const child = spawn(
    'bash',
    ['-c', `ulimit -n ${DESCRIPTORS}; exec "$0" "$@"`, process.execPath, MAIN, 'up'],
    {
      env: { ...env, LOG_LEVEL: 'info' },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const ended = new Promise((resolve) => child.once('close', resolve));
  after(async () => {
    child.kill('SIGTERM');
    await ended;
    await rm(data, { recursive: true, force: true });
  });
  let said = '';
  for (const out of [child.stdout, child.stderr]) out.on('data', (bytes) => (said += bytes));
  const address = () => /^calls +(http:\S+)/m.exec(said)?.[1];
  assert.ok(await until(() => address() !== undefined, START_LIMIT_MS), said);
  const url = new URL(address()!);
  const postmaster = async () =>
    (await readFile(join(data, 'postgres', 'cluster', 'postmaster.pid'), 'utf8')).split('\n')[0];
  const before = await postmaster();

  const clients: Socket[] = [];
  for (let n = 0; n < CLIENTS; n++) {
    clients.push(connect({ host: url.hostname, port: Number(url.port) }).on('error', () => undefined));
  }
  const warnings = () => said.split('\n').filter((line) => line.includes('no file descriptors left')).length;
  assert.ok(await until(() => warnings() > 0, 30_000), said);
  await sleep(HELD_MS);
  assert.equal(warnings(), 1);
  assert.doesNotMatch(said, /"died"|restarted|up again|database down/);
  assert.equal(await postmaster(), before);

  for (const client of clients) client.destroy();
  const answers = async () =>
    (await fetch(new URL('/health/ready', url)).catch(() => undefined))?.status === 200;
  assert.ok(await until(answers, 30_000), said);
  assert.ok(await until(() => said.includes('connections are accepted again'), 10_000));
  assert.equal(await postmaster(), before);
});
