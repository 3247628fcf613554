/** Redis of a test's own. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { freePort } from '#engines/postgres.ts';
import { type RunningRedis, startRedis } from '#engines/redis.ts';

/** Starts it; it ends after the test file. */
export async function testRedis(): Promise<RunningRedis> {
  const folder = await mkdtemp(join(tmpdir(), 'trunkline-redis-'));
  const running = await startRedis({ folder, port: await freePort(), password: 'secret-of-a-test' });
  after(async () => {
    await running.stop();
    await rm(folder, { recursive: true, force: true });
  });
  return running;
}
