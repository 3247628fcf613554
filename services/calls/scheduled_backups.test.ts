/** A running program makes back-ups by itself, keeps the newest, and goes on after one that failed. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { listBackups } from '#platform/database/backup/backup_files.ts';
import { openBackup } from '#platform/database/backup/frames.ts';
import {
  BACKUP_RETRY_MS,
  readBackupTimes,
  startScheduledBackups,
} from '#platform/database/backup/scheduled.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { createLifetime } from '#platform/lifecycle/lifetime.ts';
import { backedUpOf } from '#platform/service/definition.ts';
import { createLogger } from '#platform/telemetry/logger.ts';
import { SERVICES } from '#system';
import { testDatabase } from '#tests/postgres.ts';

const { url } = await testDatabase();
const folder = await mkdtemp(join(tmpdir(), 'trunkline-scheduled-'));
after(() => rm(folder, { recursive: true, force: true }));

const until = async (what: () => Promise<boolean>) => {
  for (let tries = 0; tries < 300 && !(await what()); tries++) await sleep(50);
  assert.ok(await what());
};

test('one that was missed is made at once, of those before the newest are kept, and a stop ends it', async () => {
  for (const day of ['01', '02', '03'])
    await writeFile(join(folder, `trunkline-2026-11-${day}T031500Z.backup`), 'x');
  await writeFile(join(folder, 'notes.txt'), 'x');
  const waits: number[] = [];
  const clock = {
    ...systemClock,
    sleep: (ms: number, signal?: AbortSignal) => {
      waits.push(ms);
      return systemClock.sleep(Math.min(ms, 20), signal);
    },
  };
  const lifetime = createLifetime((what, error) => assert.fail(`${what}: ${String(error)}`));
  // It can't write there at first.
  const away = `${folder}-away`;
  await rename(folder, away);
  startScheduledBackups(
    {
      ...{ url, services: backedUpOf(SERVICES), folder, times: readBackupTimes('03:15')!, keep: 2 },
      ...{ program: 'test', secret: undefined, clock, logger: createLogger('test', 'silent') },
    },
    lifetime,
  );
  await until(async () => waits.includes(BACKUP_RETRY_MS));
  await rename(away, folder);
  await until(async () => (await listBackups(folder).catch(() => [])).length === 2);
  await until(async () => (await readdir(folder)).length === 3);
  await lifetime.stop();
  const [newest, before] = await listBackups(folder);
  assert.match(before!.path, /2026-11-03T031500Z/);
  assert.ok(Math.abs(newest!.at - Date.now()) < 60_000);
  const backup = await openBackup(newest!.path);
  assert.equal(backup.header.program, 'test');
  await backup.close();
  await mkdir(folder, { recursive: true });
});
