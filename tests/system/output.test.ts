/** What a command does when what it says can't be written: on a full disk, to a reader that has gone. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runCommand } from '#tests/command.ts';
import { testDatabase } from '#tests/postgres.ts';

const MAIN = fileURLToPath(new URL('../../main.ts', import.meta.url));
const FULL = '/dev/full';

const database = await testDatabase();
const folder = await mkdtemp(join(tmpdir(), 'trunkline-output-'));
after(() => rm(folder, { recursive: true, force: true }));
const env = { DATABASE_URL: database.url };
const sample = fileURLToPath(new URL('../samples/asterisk-master.csv', import.meta.url));

/** Runs a command with each output into a file or device, or into a pipe whose reader leaves after `lines` lines. */
async function runInto(
  args: readonly string[],
  to: { out?: string; err?: string; lines?: number },
): Promise<{ code: number | null; err: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdio: [
      'ignore',
      to.out === undefined ? 'pipe' : openSync(to.out, 'w'),
      to.err === undefined ? 'pipe' : openSync(to.err, 'w'),
    ],
  });
  let err = '';
  let seen = 0;
  child.stderr?.setEncoding('utf8').on('data', (text) => (err += text));
  child.stdout?.on('data', (chunk: Buffer) => {
    seen += chunk.toString('latin1').split('\n').length - 1;
    if (to.lines !== undefined && seen >= to.lines) child.stdout!.destroy();
  });
  const code = await new Promise<number | null>((done) => child.on('close', done));
  return { code, err };
}

const skip = process.platform === 'linux' ? false : 'a device that is always full is Linux';

suite('output that cannot be written', { skip }, () => {
  for (const args of [
    ['accounts', 'list', '--json'],
    ['keys', 'list'],
    ['import', 'rejected', 'list', '--json'],
    ['doctor'],
  ]) {
    test(`${args.join(' ')} on a full disk: one sentence, and not 0`, async () => {
      const { code, err } = await runInto(args, { out: FULL });
      assert.equal(code, 1);
      assert.match(
        err,
        /^trunkline: standard output can't be written to: ENOSPC: no space left on device, write$/m,
      );
      assert.doesNotMatch(err, / at .*:\d+:\d+/, 'no stack');
    });
  }

  test('an import whose summary or whose progress cannot be written stores its rows all the same', async () => {
    const silent = await runInto(['import', 'cdrs', sample, '--create-accounts'], { out: FULL });
    assert.equal(silent.code, 1);
    assert.match(silent.err, /standard output can't be written to/);
    const again = await runInto(['import', 'cdrs', sample], { err: FULL });
    assert.equal(again.code, 0);
    const { rows } = await database.pool.query('SELECT count(*)::int AS calls FROM calls.cdrs');
    assert.ok(rows[0].calls > 0);
  });

  test('an export to a full disk says so; a reader that has gone ends it quietly', async () => {
    const bad = join(folder, 'bad.csv');
    const row =
      '"acct","100","+442079460000","","","","","","","2026-10-01 10:00:00","","2026-10-01 10:00:00",x,0,"NO ANSWER","DOCUMENTATION","1790848800.';
    await writeFile(bad, Array.from({ length: 30_000 }, (_, n) => `${row}${n}",""\n`).join(''));
    const imported = await runCommand(
      ['import', 'cdrs', bad, '--format', 'asterisk-csv', '--create-accounts'],
      env,
    );
    assert.equal(imported.code, 3, imported.err);
    const toDisk = await runInto(['import', 'rejected', 'export', '--output', FULL], {});
    assert.equal(toDisk.code, 1);
    assert.match(toDisk.err, /^trunkline: ENOSPC: no space left on device, write$/m);
    const full = await runInto(['import', 'rejected', 'export'], { out: FULL });
    assert.deepEqual([full.code, full.err.match(/ENOSPC/g)?.length], [1, 1], full.err);
    for (const args of [
      ['import', 'rejected', 'export'],
      ['import', 'rejected', 'list', '--json'],
    ])
      assert.deepEqual(await runInto(args, { lines: 1 }), { code: 0, err: '' });
  });
});
