import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { releaseBallast } from './ballast.ts';

const folder = await mkdtemp(join(tmpdir(), 'trunkline-ballast-'));
after(() => rm(folder, { recursive: true, force: true }));

const FULL = 'FATAL: could not write lock file "postmaster.pid": No space left on device';

test('for want of room the ballast is given up, and what a kill left of one that was being made', async () => {
  for (const name of ['ballast', 'ballast.new']) {
    await writeFile(join(folder, name), 'x');
    assert.equal(await releaseBallast(folder, 'FATAL: invalid value for parameter'), false);
    assert.deepEqual(await readdir(folder), [name]);
    assert.equal(await releaseBallast(folder, FULL), true);
    assert.deepEqual(await readdir(folder), []);
  }
  assert.equal(await releaseBallast(folder, FULL), false);
});
