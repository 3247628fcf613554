/** What commands say to who has just begun: the next step, the whole of a result, and nothing of what is not there. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { runCommand, startCommand } from '#tests/command.ts';
import { testDatabase } from '#tests/postgres.ts';

const folder = await mkdtemp(join(tmpdir(), 'trunkline-says-'));
after(() => rm(folder, { recursive: true, force: true }));
const { pool, url } = await testDatabase();
const env = { DATABASE_URL: url, DATA_DIR: join(folder, 'data') };
const run = (...args: string[]) => runCommand(args, env);
const file = join(folder, 'calls.csv');
const row = (start: string) => `acme,+493023125001,+442079460001,${start},60`;
const MAPS = ['Customer=account', 'From=cli', 'To=cld', 'Start=start_time', 'Secs=duration_s'];

test('without the sample, the line to try first is answered', async () => {
  const own = await testDatabase();
  const settings = { ...env, DATABASE_URL: own.url, CALLS_PORT: '0', MONITOR_PORT: '0', IDENTITY_PORT: '0' };
  const { child, said, ended } = startCommand(['up', '--no-demo'], settings);
  try {
    const line = await said(/curl -H .*(?=\n)/);
    await said('Ctrl-C stops it');
    const { stdout } = await promisify(execFile)('sh', ['-c', `${line} --silent --fail`]);
    assert.deepEqual(JSON.parse(stdout).data, []);
  } finally {
    child.kill('SIGINT');
  }
  assert.equal((await ended).code, 0);
});

test('an import with broken rows says what comes next; what is exported then is none where nothing waits', async () => {
  await writeFile(file, `Customer,From,To,Start,Secs\n${row('2026-10-01T10:00:00Z')}\n${row('no time')}\n`);
  const imported = await run(
    'import',
    'cdrs',
    file,
    '--create-accounts',
    ...MAPS.flatMap((map) => ['--map', map]),
  );
  assert.equal(imported.code, 3, imported.err);
  assert.match(imported.out, /rejected export --output mend\.csv[^\n]*import cdrs mend\.csv/);
  const output = join(folder, 'mend.csv');
  const none = await run('import', 'rejected', 'export', '--code', 'too_large', '--output', output);
  assert.deepEqual([none.code, none.out], [0, '']);
  assert.match(none.err, /There are no rows to mend; no file is written/);
  await assert.rejects(access(output));
  assert.equal((await run('import', 'rejected', 'export', '--output', output)).code, 0);
  await access(output);
});

test('imports are listed by their file, however its path is written', async () => {
  for (const path of [file, relative(process.cwd(), file)]) {
    const { out } = await run('imports', 'list', '--file', path, '--json');
    assert.deepEqual(
      JSON.parse(out).map((one: { waiting: number }) => one.waiting),
      [1],
      path,
    );
  }
});

test('keys are listed with the code of their account', async () => {
  await run('keys', 'create', '--scope', 'customer', '--account', 'acme', '--name', 'console');
  const { out } = await run('keys', 'list');
  assert.match(out, /console +tl_\S+ +customer +acme +valid/);
});

test('an erasure that is not confirmed prints one document, and the same figures as the one that is done', async () => {
  const asked = await run('accounts', 'erase', 'acme', '--json');
  assert.equal(asked.code, 2, asked.err);
  const told = JSON.parse(asked.out);
  assert.deepEqual([told.applied, told.counts.cdrs, told.counts.accounts], [false, 1, 1]);
  assert.equal((await pool.query('SELECT 1 FROM calls.cdrs')).rowCount, 1);
  const done = JSON.parse((await run('accounts', 'erase', 'acme', '--json', '--yes')).out);
  assert.deepEqual([done.applied, done.counts], [true, told.counts]);
});
