import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { freeBytes } from '#engines/ballast.ts';
import { run } from '#engines/processes.ts';
import { dropAbandoned, emptyDisk, fillDisk } from './small_disk.ts';

/** More than other programs write to this disk meanwhile. */
const TAKEN_BYTES = 32 * 1024 * 1024;
const place = await mkdtemp(join(tmpdir(), 'trunkline-filler-'));
after(() => rm(place, { recursive: true }));
const node = { folder: join(place, 'data') };
await mkdir(node.folder);
const fillers = async () => (await readdir(place)).filter((name) => name !== 'data');

test('the file with which a drill fills a disk lives as long as the drill, and goes when the drill was killed', async () => {
  await fillDisk(node, (await freeBytes(place)) - TAKEN_BYTES);
  await dropAbandoned(node);
  assert.equal((await fillers()).length, 1, 'this process runs');
  await emptyDisk(node);
  assert.deepEqual(await fillers(), []);
  const [module, arguments_] = [new URL('small_disk.ts', import.meta.url), JSON.stringify(node)];
  const leave = (await freeBytes(place)) - TAKEN_BYTES;
  const script = `import('${module}').then(({ fillDisk }) => fillDisk(${arguments_}, ${leave})).then(() => process.kill(process.pid, 'SIGKILL'))`;
  await assert.rejects(run(process.execPath, ['-e', script]));
  assert.equal((await fillers()).length, 1, 'no process has removed it yet');
  await dropAbandoned(node);
  assert.deepEqual(await fillers(), []);
});
