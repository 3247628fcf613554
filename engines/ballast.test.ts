import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { BALLAST_BYTES, makeBallast, releaseBallast } from './ballast.ts';

const folder = await mkdtemp(join(tmpdir(), 'trunkline-ballast-'));
after(() => rm(folder, { recursive: true, force: true }));

const FULL = 'FATAL: could not write lock file "postmaster.pid": No space left on device';

test('for want of room the ballast is given up, and what a kill left of one that was being made', async () => {
  for (const name of ['ballast', 'ballast.new', 'ballast.new.4194303']) {
    await writeFile(join(folder, name), 'x');
    assert.equal(await releaseBallast(folder, 'FATAL: invalid value for parameter'), false);
    assert.deepEqual(await readdir(folder), [name]);
    assert.equal(await releaseBallast(folder, FULL), true);
    assert.deepEqual(await readdir(folder), []);
  }
  assert.equal(await releaseBallast(folder, FULL), false);
});

/** Makes the ballast in a process of its own; the line that it prints tells whether it did. */
function makeInOther(): Promise<string> {
  const program = `
    const { makeBallast } = await import(${JSON.stringify(new URL('./ballast.ts', import.meta.url).href)});
    console.log(await makeBallast(process.argv[1]).catch((error) => error.message));
  `;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program, folder]);
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  return once(child, 'close').then(() => said.trim());
}

test('of processes that make it at once one makes it, the others find it made, and none leaves or takes away a draft', async () => {
  // What a kill left of a process that is gone.
  await writeFile(join(folder, 'ballast.new.4194303'), 'x');
  const said = await Promise.all([makeInOther(), makeInOther(), makeInOther()]);
  assert.deepEqual(said.toSorted(), ['false', 'false', 'true']);
  assert.deepEqual(await readdir(folder), ['ballast']);
  assert.equal((await stat(join(folder, 'ballast'))).size, BALLAST_BYTES);
  assert.equal(await makeBallast(folder), false);
});
