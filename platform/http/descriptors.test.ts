import assert from 'node:assert/strict';
import type { Server } from 'node:net';
import { test } from 'node:test';
import { createFakeClock } from '#platform/lifecycle/fake_clock.ts';
import type { Logger } from '#platform/telemetry/logger.ts';
import { watchDescriptors } from './descriptors.ts';

test('while no file can be opened, a warning comes once a minute; when one can again, one line says so', async () => {
  const clock = createFakeClock();
  const stop = new AbortController();
  const told: string[] = [];
  let code: string | undefined;
  const logger = {
    warn: ({ connections }: { connections: number }) => told.push(`warn ${connections}`),
    info: (words: string) => told.push(words),
  } as unknown as Logger;
  const server = {
    getConnections: (done: (error: Error | null, count: number) => void) => done(null, 300),
  } as unknown as Server;
  const open = () => {
    if (code) throw Object.assign(new Error(code), { code });
  };
  // Two services of one process.
  const watching = [1, 2].map(() => watchDescriptors({ logger, clock, open, server }, stop.signal));
  await clock.advance(5_000);
  assert.deepEqual(told, []);
  code = 'EMFILE';
  await clock.advance(150_000);
  assert.deepEqual(told, ['warn 300', 'warn 300', 'warn 300']);
  code = 'EACCES';
  await clock.advance(2_000);
  assert.deepEqual(told.slice(3), ['connections are accepted again']);
  stop.abort(new Error('stopping'));
  await Promise.all(watching);
  assert.equal(clock.pendingTimers, 0);
});
