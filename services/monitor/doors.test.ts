import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '#platform/lifecycle/fake_clock.ts';
import { createDoors, type DoorSource } from './doors.ts';

const SOURCES: readonly DoorSource[] = [
  { name: 'writes', url: 'postgresql://writes' },
  { name: 'reads', url: 'postgresql://reads' },
];

/** Doors whose tests hang, fail or are answered, by `how` at the time of the test. */
function setUp() {
  const clock = createFakeClock();
  const how: Record<string, 'answers' | 'hangs' | 'refuses'> = { writes: 'answers', reads: 'answers' };
  let changes = 0;
  let asked = 0;
  const doors = createDoors({
    sources: SOURCES,
    clock,
    ask: async ({ name }, signal) => {
      asked++;
      if (how[name] === 'refuses') throw new Error('connection refused');
      await clock.sleep(how[name] === 'hangs' ? 3_600_000 : 5, signal);
    },
    onChange: () => changes++,
  });
  const stopping = new AbortController();
  const running = doors.run(stopping.signal);
  const silent = () => doors.readings().map(({ silentS }) => silentS);
  const stop = async () => {
    stopping.abort();
    await clock.advance(10_000);
    await running;
    assert.equal(clock.pendingTimers, 0);
  };
  return { clock, how, doors, silent, stop, changes: () => changes, asked: () => asked };
}

test('before the first test nothing is known; doors that answer are tested every 2 s', async () => {
  const { clock, doors, silent, stop, changes, asked } = setUp();
  assert.ok(silent().every(Number.isNaN));
  await clock.advance(9_000);
  assert.deepEqual([silent(), changes(), asked(), doors.takeOutages()], [[0, 0], 0, 10, []]);
  await stop();
});

test('a door that hangs is silent within 4 s of its last answer; the other one is not', async () => {
  for (const fault of ['hangs', 'refuses'] as const) {
    const { clock, how, silent, stop, changes } = setUp();
    await clock.advance(10);
    how.writes = fault;
    await clock.advance(4_000);
    assert.ok(silent()[0]! >= 3.9 && silent()[1] === 0, `${fault}: ${silent()}`);
    assert.equal(changes(), 1);
    await clock.advance(10_000);
    assert.ok(silent()[0]! >= 13.9);
    assert.equal(changes(), 1);
    await stop();
  }
});

test('an outage is reported once, when it is over, with its length', async () => {
  const { clock, how, doors, silent, stop, changes } = setUp();
  await clock.advance(10);
  how.writes = 'refuses';
  await clock.advance(12_000);
  how.writes = 'answers';
  await clock.advance(3_000);
  assert.equal(changes(), 2);
  assert.deepEqual(silent(), [0, 0]);
  const [outage, ...others] = doors.takeOutages();
  assert.deepEqual([outage?.door, others], ['writes', []]);
  assert.ok(outage!.lastedMs >= 12_000 && outage!.lastedMs <= 14_100, `${outage!.lastedMs}`);
  assert.deepEqual(doors.takeOutages(), []);
  await stop();
});

test('one test without an answer is repeated at once, and is no outage', async () => {
  const { clock, how, doors, silent, stop, changes } = setUp();
  await clock.advance(1_900);
  how.reads = 'hangs';
  await clock.advance(600);
  how.reads = 'answers';
  await clock.advance(2_000);
  assert.deepEqual([silent(), changes(), doors.takeOutages()], [[0, 0], 0, []]);
  await stop();
});

test('while half of all connections hang, as behind a frozen HAProxy process of two, the door is not silent', async () => {
  const clock = createFakeClock();
  let asked = 0;
  const doors = createDoors({
    sources: SOURCES.slice(0, 1),
    clock,
    // Three of four hang: both hops go through HAProxy.
    ask: (_source, signal) => clock.sleep(++asked % 4 === 0 ? 5 : 3_600_000, signal),
    onChange: () => assert.fail('the door was taken for silent'),
  });
  const stopping = new AbortController();
  const running = doors.run(stopping.signal);
  await clock.advance(30_000);
  assert.deepEqual([doors.readings()[0]!.silentS, doors.takeOutages()], [0, []]);
  stopping.abort();
  await clock.advance(10_000);
  await running;
  assert.equal(clock.pendingTimers, 0);
});
