import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { said } from './program.ts';
import { aligned, quantile, summary } from './report.ts';

const run = promisify(execFile);
const FOLDER = fileURLToPath(new URL('.', import.meta.url));

/** A process that runs this code as a module beside the benchmarks. */
const inline = (code: string) =>
  spawn(process.execPath, ['--input-type=module', '-e', code], {
    cwd: FOLDER,
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });

test('the one table has every headline, what was skipped, and what failed', () => {
  const headlines = [
    { figure: 'pages', value: '9,000/s', ratio: '52 % of pgbench', expected: '≥ 50 %' },
    { figure: 'pages through PgBouncer', value: '5,000/s' },
  ];
  assert.deepEqual(
    summary([
      ['page', { headlines }],
      ['connections', { skipped: 'not installed: haproxy' }],
      ['start', undefined],
    ]),
    [
      ['bench', 'figure', 'value', 'ratio', 'expected'],
      ['page', 'pages', '9,000/s', '52 % of pgbench', '≥ 50 %'],
      ['', 'pages through PgBouncer', '5,000/s', '', ''],
      ['connections', 'skipped: not installed: haproxy', '', '', ''],
      ['start', 'failed: see above', '', '', ''],
    ],
  );
});

test('columns are as wide as their widest cell, in rows of any length', () => {
  const rows = [['', 'rate'], ['a long name', 7, 'note'], [], ['b', 12_345]];
  assert.equal(aligned(rows), '             rate\na long name  7      note\n\nb            12345');
});

test('quantiles', () => {
  assert.equal(quantile([5, 1, 3], 0.5), 3);
  assert.equal(quantile([5, 1, 3], 0.99), 5);
  assert.ok(Number.isNaN(quantile([], 0.5)));
});

test('a benchmark tells its headlines, or why it is skipped, to the process that started it', async () => {
  const head = `import { benchOptions, finish, skip } from './report.ts';
    const options = benchOptions('sample', 'a sample', {});`;
  const headlines = [{ figure: 'speed', value: '3/s' }];
  const done = inline(`${head} finish(options, 'title', [['speed', 3]], ${JSON.stringify(headlines)})`);
  assert.deepEqual((await once(done, 'message'))[0], { headlines });
  const skipped = inline(`${head} await skip(options, 'no engine'); throw new Error('not ended')`);
  const [[message], [code]] = await Promise.all([once(skipped, 'message'), once(skipped, 'exit')]);
  assert.deepEqual([message, code], [{ skipped: 'no engine' }, 0]);
});

test('the run ends with one table, and refuses a name that it does not know', async () => {
  const { stdout } = await run(process.execPath, [`${FOLDER}run.ts`, 'queue_order']);
  const [, table = ''] = stdout.split('── all\n');
  assert.match(table, /^bench +figure +value +ratio +expected\nqueue_order +\S/m);
  await assert.rejects(run(process.execPath, [`${FOLDER}run.ts`, 'nothing']), /no benchmark named nothing/);
});

test('what a benchmark started is ended when it is interrupted, and when it fails', async () => {
  const head = `import { runBench, temporaryFolder } from './ending.ts';`;
  const waiting = inline(`${head} await runBench(async (atEnd) => {
    process.stdout.write(await temporaryFolder(atEnd) + '\\n');
    await new Promise((done) => setTimeout(done, 60_000));
  })`);
  const folder = await said(waiting, /\S+/);
  assert.ok(existsSync(folder));
  waiting.kill('SIGINT');
  assert.deepEqual(await once(waiting, 'exit'), [130, null]);
  assert.ok(!existsSync(folder));

  const failing = inline(`${head} await runBench(async (atEnd) => {
    atEnd(() => { throw new Error('also at the end') });
    process.stdout.write(await temporaryFolder(atEnd) + '\\n');
    throw new Error('failed on purpose');
  }).catch(() => process.exit(3))`);
  const other = await said(failing, /\S+/);
  assert.deepEqual(await once(failing, 'exit'), [3, null]);
  assert.ok(!existsSync(other));
});

test('an option that a benchmark does not have, or cannot read, is named, and its help', async () => {
  for (const [bench, option, value, said] of [
    ['import', '--rounds', '1', /^Unknown option '--rounds'.*node bench\/import\.ts --help/],
    ['import', '--rows', 'many', /^--rows wants a number, not 'many'; node bench\/import\.ts --help/],
    [
      'consumption',
      '--sizes',
      '1000,10M',
      /^--sizes wants numbers of calls, .*; node bench\/consumption\.ts --help/,
    ],
    [
      'page',
      '--ways',
      'pg,pgx',
      /^there is no way pgx; there are trunkline, .*; node bench\/page\.ts --help/,
    ],
  ] as const) {
    const started = run(process.execPath, [`${FOLDER}${bench}.ts`, option, value]);
    await assert.rejects(started, ({ code, stderr }) => {
      assert.equal(code, 2);
      assert.match(stderr, said);
      return true;
    });
  }
});
