import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { createFakeClock } from '#platform/lifecycle/fake_clock.ts';
import { BOUNCER_INTERVAL_MS, countPools, createBouncers, readBouncer } from './bouncer_reader.ts';

const pool = (user: string, more: Record<string, string> = {}) => ({
  database: 'trunkline',
  user,
  cl_active: '3',
  cl_waiting: '0',
  sv_active: '3',
  maxwait: '0',
  maxwait_us: '0',
  ...more,
});
const database = { name: 'trunkline', pool_size: '70', max_connections: '100', paused: '0' };
const CONSOLE = pool('trunkline_stats', { database: 'pgbouncer', cl_waiting: '9', maxwait: '9' });

test('the pools of all users count together, up to the limit of the database; the console does not count', () => {
  const waiting = pool('trunkline', { cl_waiting: '5', sv_active: '70', maxwait: '2', maxwait_us: '500000' });
  assert.deepEqual(countPools([pool('reports'), waiting, CONSOLE], [database]), {
    waiting: 5,
    maxWaitS: 2.5,
    inUse: 73,
    size: 100,
  });
});

test('clients that PAUSE holds do not count as waiting for a connection', () => {
  const held = pool('trunkline', { cl_waiting: '5', maxwait: '3' });
  assert.equal(countPools([held], [{ ...database, paused: '1' }]).maxWaitS, 0);
});

test('without a limit of the database its pools have their size; without a pool the size is unknown', () => {
  assert.equal(countPools([pool('a'), pool('b')], [{ ...database, max_connections: '0' }]).size, 140);
  assert.ok(Number.isNaN(countPools([CONSOLE], [database]).size));
});

test('a bouncer that does not answer gives no figures and no error', async () => {
  const source = { name: 'pgb1', door: 'writes', url: 'postgresql://stats:x@127.0.0.1:1/pgbouncer' } as const;
  const reading = await readBouncer(source, systemClock);
  assert.ok([reading.waiting, reading.maxWaitS, reading.inUse, reading.size].every(Number.isNaN));
});

test('a wait that is over before it is read is reported once, with any later figures', async () => {
  const clock = createFakeClock();
  const source = { name: 'pgr1', door: 'reads', url: 'postgresql://unused' } as const;
  const waits = [0, 2.5, 0.5, Number.NaN];
  const read = async () => ({ source, waiting: 0, maxWaitS: waits.shift() ?? 0, inUse: 1, size: 70 });
  let told = 0;
  const bouncers = createBouncers([source], clock, () => void told++, read);
  const stop = new AbortController();
  const running = bouncers.run(stop.signal);
  for (let n = 0; n < 3; n++) {
    await clock.flush();
    await clock.advance(BOUNCER_INTERVAL_MS);
  }
  assert.equal(bouncers.readings()[0]!.maxWaitS, 2.5);
  assert.ok(Number.isNaN(bouncers.readings()[0]!.maxWaitS), 'as it was at the last look');
  assert.equal(told, 1, 'the monitor is woken when the wait begins');
  stop.abort();
  await running;
  assert.equal(clock.pendingTimers, 0);
});
