import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '#platform/lifecycle/fake_clock.ts';
import { createRoom, type PrimaryDisk } from './room.ts';

const disk = (used: number, path = '/data'): PrimaryDisk => {
  return { node: 'node1', path, sizeBytes: 100_000, freeBytes: 100_000 - used * 1_000 };
};

/** A room whose disks are what `now.disks` says; `waits` says who waits, and what was told of why. */
function roomOf(disks: readonly PrimaryDisk[]) {
  const clock = createFakeClock();
  const now: { disks: readonly PrimaryDisk[] | Error | 'silent' } = { disks };
  const room = createRoom({
    pausePercent: 95,
    clock,
    read: async () => {
      if (now.disks === 'silent') return new Promise(() => undefined);
      if (now.disks instanceof Error) throw now.disks;
      return now.disks;
    },
  });
  const stop = new AbortController();
  const told: string[] = [];
  const isThrough = async () => {
    let isDone = false;
    const waiting = room
      .wait(stop.signal, (why) => told.push(why))
      .then(() => {
        isDone = true;
      });
    waiting.catch(() => undefined);
    await clock.flush();
    return () => isDone;
  };
  return { clock, now, room, stop, told, isThrough };
}

for (const [used, waits] of [
  [0, false],
  [94.9, false],
  [95, true],
  [100, true],
] as const)
  test(`at ${used} % of the primary's disk a file ${waits ? 'waits' : 'is taken in'}`, async () => {
    const { isThrough, told } = roomOf([disk(10), disk(used, '/wal')]);
    assert.equal((await isThrough())(), !waits);
    assert.equal(told.length, Number(waits));
    if (waits) assert.match(told[0]!, new RegExp(`^node1: ${used} % of /wal is used`));
  });

test('it is told once why, and goes on by itself once there is room again, which a hair less is not', async () => {
  const { clock, now, isThrough, told, room } = roomOf([disk(96)]);
  const done = await isThrough();
  await clock.advance(60_000);
  now.disks = [disk(94.5)];
  await clock.advance(5_000);
  assert.deepEqual([done(), told.length, room.shortage !== ''], [false, 1, true]);
  now.disks = [disk(93.9)];
  await clock.advance(2_000);
  assert.deepEqual([done(), told.length, room.shortage], [true, 1, '']);
  now.disks = [disk(94.5)];
  await clock.advance(2_000);
  assert.equal((await isThrough())(), true, 'it has not been full since');
});

test('a disk of which nobody tells holds nothing up: none, a fault, no answer at all', async () => {
  for (const disks of [[], new Error('no'), 'silent'] as const) {
    const { clock, now, isThrough, room } = roomOf([]);
    now.disks = disks;
    const done = await isThrough();
    await clock.advance(5_000);
    assert.deepEqual([done(), room.shortage], [true, '']);
  }
});

test('what was seen last holds while nobody tells for a moment, and no longer', async () => {
  const { clock, now, isThrough } = roomOf([disk(99)]);
  const done = await isThrough();
  now.disks = new Error('the supervisor is gone');
  await clock.advance(10_000);
  assert.equal(done(), false);
  await clock.advance(10_000);
  assert.equal(done(), true);
});

test('who waits is let go by its signal', async () => {
  const { clock, stop, room } = roomOf([disk(99)]);
  const waiting = room.wait(stop.signal);
  await clock.advance(3_000);
  stop.abort(new Error('stop'));
  await assert.rejects(waiting, /stop/);
  await assert.rejects(room.wait(stop.signal), /stop/);
  assert.equal(clock.pendingTimers, 0);
});
