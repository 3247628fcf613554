import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { formerData, formerDataWords } from './former_data.ts';

const root = await mkdtemp(join(tmpdir(), 'trunkline-former-'));
after(() => rm(root, { recursive: true }));

async function database(folder: string): Promise<string> {
  await mkdir(join(folder, 'postgres', 'cluster'), { recursive: true });
  await writeFile(join(folder, 'postgres', 'cluster', 'PG_VERSION'), '18\n');
  return folder;
}

test('a new data folder beside data of the previous version is reported, until the new folder has a database', async () => {
  const program = join(root, 'trunkline');
  const own = join(root, 'var');
  assert.deepEqual(await formerData(own, program), []);
  const before = await database(join(root, 'trunkline-before', 'data'));
  assert.deepEqual(await formerData(own, program), [before]);
  const inside = await database(join(program, 'data'));
  assert.deepEqual(await formerData(own, program), [inside, before]);
  assert.match(
    formerDataWords(own, [inside, before]),
    /has no database.*trunkline\/data and in .*trunkline-before\/data/,
  );
  assert.deepEqual(await formerData(inside, program), [], 'the folder in use is not reported');
  await database(own);
  assert.deepEqual(await formerData(own, program), []);
});
