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

test('without free space the ballast is deleted, and so is the draft of a killed process', async () => {
  for (const name of ['ballast', 'ballast.new', 'ballast.new.4194303']) {
    await writeFile(join(folder, name), 'x');
    assert.equal(await releaseBallast(folder, 'FATAL: invalid value for parameter'), false);
    assert.deepEqual(await readdir(folder), [name]);
    assert.equal(await releaseBallast(folder, FULL), true);
    assert.deepEqual(await readdir(folder), []);
  }
  assert.equal(await releaseBallast(folder, FULL), false);
});

/** Makes the ballast in a separate process; the line that it prints says whether it succeeded. */
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

test('of processes that make it at once one succeeds, the others find it made, and none leaves its draft or deletes another one', async () => {
  // The draft of a killed process.
  await writeFile(join(folder, 'ballast.new.4194303'), 'x');
  const said = await Promise.all([makeInOther(), makeInOther(), makeInOther()]);
  assert.deepEqual(said.toSorted(), ['false', 'false', 'true']);
  assert.deepEqual(await readdir(folder), ['ballast']);
  assert.equal((await stat(join(folder, 'ballast'))).size, BALLAST_BYTES);
  assert.equal(await makeBallast(folder), false);
});
