import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeDataFolder, makeOwnFolder, readEnd, readOwnFile } from './own_files.ts';

const folder = await mkdtemp(join(tmpdir(), 'trunkline-own-files-'));
after(() => rm(folder, { recursive: true, force: true }));
const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);

test('a path that is no file, or a file that is far too large, is refused at once with the reason', async () => {
  const path = (name: string) => join(folder, name);
  execFileSync('mkfifo', [path('pipe')]);
  await mkdir(path('folder'));
  await symlink(path('loop'), path('loop'));
  await symlink('/dev/zero', path('zero'));
  await writeFile(path('large'), '');
  await truncate(path('large'), 5_000_000_000);
  const server = createServer().listen(path('socket'));
  after(() => server.close());
  for (const [name, says] of [
    ['pipe', /pipe is no file/],
    ['folder', /folder is a directory and no file/],
    ['zero', /zero is no file/],
    ['socket', /socket/],
    ['loop', /ELOOP/],
    ['large', /has 5000000000 bytes, and may have at most 1048576/],
    ['none', /ENOENT/],
  ] as const) {
    await assert.rejects(readOwnFile(path(name)), says, name);
  }
  // /proc reports 0 bytes for its generated files.
  assert.match(await readOwnFile('/proc/self/status'), /^Name:/);
});

test('a secret that other users may read becomes private', async () => {
  const file = join(folder, 'secret');
  await writeFile(file, 'x', { mode: 0o644 });
  assert.equal(await readOwnFile(file), 'x');
  assert.equal(await modeOf(file), '644');
  assert.equal(await readOwnFile(file, { secret: true }), 'x');
  assert.equal(await modeOf(file), '600');
});

test('a folder of the program is open to its owner alone, also when it existed before', async () => {
  const [made, before] = [join(folder, 'a', 'b'), join(folder, 'before')];
  await makeOwnFolder(made);
  assert.deepEqual([await modeOf(join(folder, 'a')), await modeOf(made)], ['700', '700']);
  await mkdir(before);
  await chmod(before, 0o755);
  await makeDataFolder(before, ['postgres']);
  assert.equal(await modeOf(before), '700');
});

test('a folder that holds other things as well stays as it is', async () => {
  const shared = join(folder, 'shared');
  await mkdir(join(shared, 'postgres'), { recursive: true });
  await writeFile(join(shared, 'index.html'), '');
  await chmod(shared, 0o755);
  await makeDataFolder(shared, ['postgres']);
  assert.equal(await modeOf(shared), '755');
});

test('only the end of a log is read', async () => {
  const log = join(folder, 'log');
  await writeFile(log, `${'old '.repeat(100)}\nnew words\n`);
  assert.equal(await readEnd(log, 400), 'new words');
  assert.equal(await readEnd(log, 0, 6), 'words');
  assert.equal(await readEnd(log, 100_000), '');
});
