import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { takeFolderLock } from './folder_lock.ts';

const folder = await mkdtemp(join(tmpdir(), 'trunkline-lock-'));
after(() => rm(folder, { recursive: true }));
const skip = process.platform === 'linux' ? false : 'a tier runs on Linux only';

suite('the lock of a folder', { skip }, () => {
  test('one holder, by any path; other purposes are independent; a released lock is free', async () => {
    const free = await takeFolderLock(folder, 'start');
    assert.ok(free);
    await symlink(folder, `${folder}-link`);
    assert.equal(await takeFolderLock(`${folder}-link`, 'start'), undefined);
    await rm(`${folder}-link`);
    const other = await takeFolderLock(folder, 'drill');
    assert.ok(other);
    other();
    free();
    const again = await takeFolderLock(folder, 'start');
    assert.ok(again);
    again();
  });

  test('of twenty callers at once one gets the lock', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => takeFolderLock(folder, 'start')));
    const got = all.filter((one) => one !== undefined);
    assert.equal(got.length, 1);
    got[0]!();
  });

  test('kill -9 of its holder frees it', async () => {
    const code = `
      const { takeFolderLock } = await import(${JSON.stringify(import.meta.resolve('./folder_lock.ts'))});
      await takeFolderLock(${JSON.stringify(folder)}, 'start');
      process.stdout.write('held');
      setInterval(() => {}, 1000);`;
    const holder = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(holder.stdout!, 'data');
    assert.equal(await takeFolderLock(folder, 'start'), undefined);
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    const free = await takeFolderLock(folder, 'start');
    assert.ok(free);
    free();
  });
});
