import assert from 'node:assert/strict';
import { appendFile, mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { previousLog, rotateLog } from './logs.ts';

const folder = await mkdtemp(join(tmpdir(), 'trunkline-logs-'));
after(() => rm(folder, { recursive: true }));

test('a log beyond its limit becomes the previous generation while its writer goes on', async () => {
  const file = join(folder, 'haproxy1.log');
  const writer = await open(file, 'a');
  await writer.write('the beginning of an outage\n'.repeat(10));
  await rotateLog(file, 100);
  await writer.write('its end\n');
  await writer.close();
  assert.equal(await readFile(file, 'utf8'), 'its end\n');
  assert.match(await readFile(previousLog(file), 'utf8'), /^(the beginning of an outage\n){10}$/);
});

test('a log within its limit, and a missing log, stay as they are', async () => {
  const file = join(folder, 'etcd.log');
  await writeFile(file, 'short\n');
  await rotateLog(file, 100);
  await rotateLog(join(folder, 'none.log'), 100);
  assert.equal(await readFile(file, 'utf8'), 'short\n');
  await assert.rejects(stat(previousLog(file)), { code: 'ENOENT' });
});

test('only two generations are kept', async () => {
  const file = join(folder, 'pgb1.log');
  for (const turn of ['first', 'second', 'third']) {
    await appendFile(file, `${turn}\n`.repeat(50));
    await rotateLog(file, 100);
  }
  assert.match(await readFile(previousLog(file), 'utf8'), /^(third\n)+$/);
});
