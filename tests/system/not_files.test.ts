/** What is no file, or never ends, is refused or bounded, with a message; pipes are read; nobody else reads the data folder. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { runCommand, startCommand } from '#tests/command.ts';
import { testDatabase } from '#tests/postgres.ts';

const folder = await mkdtemp(join(tmpdir(), 'trunkline-not-files-'));
after(() => rm(folder, { recursive: true, force: true }));
const { url, pool } = await testDatabase();
const env = { DATABASE_URL: url, DATA_DIR: join(folder, 'data') };

const HEADER = 'Customer,From,To,Start,Secs\n';
const row = (minute: string) => `acme,1001,+442079460001,2026-03-02 09:${minute}:00,5\n`;
const MAP = ['Customer=account', 'From=cli', 'To=cld', 'Start=start_time', 'Secs=duration_s'];
const OPTIONS = [...MAP.flatMap((one) => ['--map', one]), '--create-accounts'];
const importOf = (...paths: string[]) => ['import', 'cdrs', ...paths, ...OPTIONS];
const storedCalls = async () => (await pool.query('SELECT count(*)::int AS n FROM calls.cdrs')).rows[0].n;

const mixed = join(folder, 'mixed');
await mkdir(join(mixed, 'folder.csv'), { recursive: true });
await writeFile(join(mixed, 'a.csv'), HEADER + row('01'));
execFileSync('mkfifo', [join(mixed, 'pipe.csv')]);
await symlink('loop.csv', join(mixed, 'loop.csv'));
await symlink('nothing', join(mixed, 'gone.csv'));
await symlink('/dev/zero', join(mixed, 'zero.csv'));
const socket = createServer().listen(join(mixed, 'socket.csv'));
after(() => socket.close());

test('of a folder what is a file goes in, and each thing that is none is told', async () => {
  const { code, err } = await runCommand(importOf(mixed), env);
  assert.equal(code, 1);
  for (const says of [
    /folder\.csv: it is a folder/,
    /pipe\.csv: it is a pipe/,
    /loop\.csv: its symbolic links go round in a circle/,
    /gone\.csv: no such file/,
    /zero\.csv: it is a device/,
    /socket\.csv: it is a socket/,
  ])
    assert.match(err, says);
  assert.equal(await storedCalls(), 1);
});

test('named, they are refused before anything is read', async () => {
  for (const [path, says] of [
    ['/dev/zero', /it is a device/],
    ['/dev/null', /it is a device/],
    [join(mixed, 'socket.csv'), /it is a socket/],
    [join(mixed, 'loop.csv'), /go round in a circle/],
  ] as const) {
    const { code, err } = await runCommand(importOf(path), env);
    assert.equal(code, 1, path);
    assert.match(err, says);
  }
});

test('a pipe that is named is read as a stream; one that nobody writes to can be given up', async () => {
  const pipe = join(mixed, 'pipe.csv');
  const reading = startCommand(importOf(pipe), env);
  const writing = createWriteStream(pipe);
  await once(writing, 'open');
  writing.write(HEADER + row('02'));
  writing.end(row('03'));
  const { code, err } = await reading.ended;
  assert.equal(code, 0, err);
  assert.equal(await storedCalls(), 3);

  const waiting = startCommand(importOf(pipe), env);
  const opened = createWriteStream(pipe);
  await once(opened, 'open'); // it is open at the other end, so it waits for bytes
  waiting.child.kill('SIGINT');
  assert.equal((await waiting.ended).code, 130);
  opened.on('error', () => undefined).destroy();
});

test('standard input by its name', async () => {
  const { code, err } = await runCommand(importOf('/dev/stdin'), env, HEADER + row('04'));
  assert.equal(code, 0, err);
  assert.equal(await storedCalls(), 4);
});

test('what never ends a row is given up with a message; what came before stays', async () => {
  const bomb = join(folder, 'bomb.csv.gz');
  await writeFile(bomb, gzipSync(`${HEADER}${row('05')}${'a'.repeat(300_000_000)}`, { level: 1 }));
  const packed = await runCommand(importOf(bomb), env);
  assert.match(packed.err, /in 256 MiB no row has come to an end/);
  assert.equal(packed.code, 1);
  assert.equal(await storedCalls(), 5);

  const zeros = execFileSync(
    'sh',
    [
      '-c',
      `{ ${JSON.stringify(process.execPath)} main.ts import cdrs - ${OPTIONS.map((one) => `'${one}'`).join(' ')} < /dev/zero; echo "exit $?"; } 2>&1`,
    ],
    { env: { ...process.env, ...env }, encoding: 'utf8' },
  );
  assert.match(zeros, /in 256 MiB no row has come to an end/);
  assert.match(zeros, /exit 1/);
});

test('nobody else looks into the data folder, also where it was there before, nor into its secrets', async () => {
  const data = join(folder, 'own');
  await mkdir(join(data, 'monitor'), { recursive: true });
  await writeFile(join(data, 'monitor', 'key'), 'tlm_0123456789abcdef0123', { mode: 0o644 });
  for (const path of [data, join(data, 'monitor')]) await chmod(path, 0o755);
  const up = startCommand(['up'], {
    DATA_DIR: data,
    CALLS_PORT: '0',
    MONITOR_PORT: '0',
    IDENTITY_PORT: '0',
  });
  await up.said(/Operator key/);
  up.child.kill('SIGTERM');
  await up.ended;
  for (const path of [
    '',
    'monitor',
    'postgres',
    'postgres/users',
    'postgres/cluster',
    'monitor/key',
    'postgres/password',
  ])
    assert.equal((await stat(join(data, path))).mode & 0o077, 0, path || 'the folder itself');
});
