import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createFakeClock, type FakeClock } from '#platform/lifecycle/fake_clock.ts';
import { printedSeed } from '#tests/seed.ts';
import { createCircuitBreaker } from './circuit_breaker.ts';
import { createHealthMonitor, type HealthMonitorOptions } from './health_monitor.ts';

const RUNS = 2_000;

/** How one check goes: how long it takes, whether it fails, whether it ends when it is told to. */
interface Script {
  readonly takesMs: number;
  readonly fails: boolean;
  readonly deaf: boolean;
}
const PASSES: Script = { takesMs: 10, fails: false, deaf: false };
const FAILS: Script = { takesMs: 10, fails: true, deaf: false };
const HANGS: Script = { takesMs: 3_600_000, fails: false, deaf: false };

/** A monitor whose checks follow `next`, and what it told. */
function setUp(next: () => Script, options: Partial<HealthMonitorOptions> = {}) {
  const clock: FakeClock = createFakeClock();
  const told: string[] = [];
  let underWay = 0;
  let begun = 0;
  const monitor = createHealthMonitor({
    clock,
    check: async (signal) => {
      const { takesMs, fails, deaf } = next();
      begun++;
      underWay++;
      assert.equal(underWay, 1, 'checks never overlap');
      try {
        await clock.sleep(takesMs, deaf ? undefined : signal);
      } finally {
        underWay--;
      }
      if (fails) throw new Error('connection refused');
    },
    onChange: (change) =>
      void told.push(change.healthy ? `up after ${change.downMs}` : `down: ${change.error}`),
    breaker: {
      databaseDown: (cause) => void told.push(`breaker: down: ${cause}`),
      databaseUp: () => {},
    },
    ...options,
  });
  return { clock, monitor, told, begun: () => begun };
}

test('before the first check nothing is known', () => {
  const { monitor } = setUp(() => PASSES);
  assert.deepEqual(monitor.status, {
    healthy: false,
    consecutiveFailures: 0,
    consecutiveSuccesses: 0,
    uptimePercent: null,
    timeSinceDown: null,
    lastCheck: null,
    lastError: null,
  });
});

test('checks at once and every 2 s; a healthy database is nothing to tell', async () => {
  const { clock, monitor, told, begun } = setUp(() => PASSES);
  monitor.start();
  monitor.start();
  await clock.advance(7_999);
  assert.equal(begun(), 4);
  const { lastCheck, ...rest } = monitor.status;
  assert.deepEqual(rest, {
    healthy: true,
    consecutiveFailures: 0,
    consecutiveSuccesses: 4,
    uptimePercent: 100,
    timeSinceDown: null,
    lastError: null,
  });
  assert.deepEqual(lastCheck, { at: clock.now() - 1_989, tookMs: 10, passed: true });
  assert.deepEqual(told, []);
  await monitor.stop();
  assert.equal(clock.pendingTimers, 0);
});

test('of an error without words of its own, what its parts say is kept', async () => {
  const refused = ['::1', '127.0.0.1'].map((address) => new Error(`connect ECONNREFUSED ${address}`));
  const check = () => Promise.reject(new AggregateError(refused));
  const { monitor } = setUp(() => FAILS, { check });
  const { lastError } = await monitor.runOnce();
  assert.equal(lastError, 'connect ECONNREFUSED ::1; connect ECONNREFUSED 127.0.0.1');
});

test('a failure and a recovery are told once each', async () => {
  let script = PASSES;
  const { clock, monitor, told } = setUp(() => script);
  monitor.start();
  await clock.advance(4_000 - 1);
  script = FAILS;
  await clock.advance(6_000);
  assert.equal(monitor.status.consecutiveFailures, 3);
  assert.equal(monitor.status.timeSinceDown, 5_989);
  assert.equal(monitor.status.lastError, 'connection refused');
  script = PASSES;
  await clock.advance(6_000);
  assert.deepEqual(told, [
    'down: Error: connection refused',
    'breaker: down: Error: connection refused',
    'up after 6000',
  ]);
  assert.equal(monitor.status.timeSinceDown, null);
  assert.equal(monitor.status.lastError, 'connection refused', 'kept for whoever looks later');
  await monitor.stop();
});

test('a single failure is told, but the breaker hears only of a second', async () => {
  const scripts = [FAILS, PASSES, FAILS, FAILS];
  const { clock, monitor, told } = setUp(() => scripts.shift() ?? PASSES);
  monitor.start();
  await clock.advance(2_000);
  assert.deepEqual(told, ['down: Error: connection refused']);
  await clock.advance(6_000);
  assert.deepEqual(told.slice(1), [
    'up after 2000',
    'down: Error: connection refused',
    'breaker: down: Error: connection refused',
  ]);
  await monitor.stop();
});

test('the breaker hears of each outage, and with each success when its check began', async () => {
  const scripts = [HANGS, HANGS, PASSES, FAILS, FAILS, PASSES];
  const heard: string[] = [];
  const clock = createFakeClock();
  const start = clock.monotonic();
  const monitor = createHealthMonitor({
    clock,
    check: async (signal) => {
      const { takesMs, fails } = scripts.shift() ?? PASSES;
      await clock.sleep(takesMs, signal);
      if (fails) throw new Error('connection refused');
    },
    breaker: {
      databaseDown: () => void heard.push(`down at ${clock.monotonic() - start}`),
      databaseUp: (checkedFrom) => void heard.push(`up from ${checkedFrom - start}`),
    },
  });
  monitor.start();
  await clock.advance(17_500);
  assert.deepEqual(heard, ['down at 10000', 'up from 10000', 'down at 14010', 'up from 16000']);
  await monitor.stop();
});

test('a check that times out is asked once more, at once, before the breaker hears of it', async () => {
  const scripts = [HANGS, PASSES, HANGS, PASSES];
  const { clock, monitor, told } = setUp(() => scripts.shift() ?? PASSES);
  monitor.start();
  await clock.advance(30_000);
  const timedOut = 'down: TimeoutError: health check took longer than 5000 ms';
  assert.deepEqual(told, [timedOut, 'up after 10', timedOut, 'up after 10']);
  await monitor.stop();
});

test('a frozen database opens the breaker within 12 s, and probes follow its recovery at once', async () => {
  let script = PASSES;
  const clock = createFakeClock();
  const breaker = createCircuitBreaker({ clock });
  const monitor = createHealthMonitor({
    clock,
    breaker,
    check: (signal) => clock.sleep(script.takesMs, signal),
  });
  const name = () => breaker.state.name;
  monitor.start();
  await clock.advance(11);
  script = HANGS;
  await clock.advance(11_999);
  assert.equal(name(), 'OPEN');
  assert.match(monitor.status.lastError ?? '', /health check took longer than 5000 ms/);
  await clock.advance(8_000);
  script = PASSES;
  await clock.advance(5_000);
  assert.equal(name(), 'HALF_OPEN');
  await clock.advance(6_000);
  assert.equal(name(), 'CLOSED', 'without a request');
  await monitor.stop();
  breaker.stop();
  assert.equal(clock.pendingTimers, 0);
});

test('while a check that was given up on has not ended, no other begins, and each turn is a failure', async () => {
  const scripts: Script[] = [{ takesMs: 12_000, fails: false, deaf: true }];
  const { clock, monitor, begun } = setUp(() => scripts.shift() ?? PASSES);
  monitor.start();
  await clock.advance(11_999);
  assert.equal(begun(), 1);
  assert.equal(monitor.status.consecutiveFailures, 6, 'at 5, and at 5.1, 5.1, 7.1, 9.1 and 11.1 s');
  await clock.advance(2_000);
  assert.equal(monitor.status.healthy, true);
  await monitor.stop();
});

test('stopping aborts the check under way and does not count it', async () => {
  const { clock, monitor, told } = setUp(() => HANGS);
  monitor.start();
  await clock.advance(1_000);
  await monitor.stop();
  assert.equal(monitor.status.lastCheck, null);
  assert.deepEqual(told, []);
  assert.equal(clock.pendingTimers, 0);
  await monitor.stop();
});

test('it can be started again after it was stopped', async () => {
  const { clock, monitor, begun } = setUp(() => PASSES);
  monitor.start();
  await clock.advance(100);
  await monitor.stop();
  await clock.advance(60_000);
  assert.equal(begun(), 1);
  monitor.start();
  await clock.advance(2_500);
  assert.equal(begun(), 3);
  await monitor.stop();
});

test('runOnce checks without a loop; callers at the same time share a check', async () => {
  const { clock, monitor, begun } = setUp(() => PASSES);
  const both = [monitor.runOnce(), monitor.runOnce()];
  await clock.advance(10);
  for (const status of await Promise.all(both)) assert.equal(status.healthy, true);
  assert.equal(begun(), 1);
});

const script = fc.record({
  takesMs: fc.constantFrom(0, 10, 1_999, 4_999, 5_001, 9_000),
  fails: fc.boolean(),
  deaf: fc.constant(false),
});

test('property: counts, uptime and outages are those of a plain list of what the checks found', async (t) => {
  const property = fc.asyncProperty(fc.array(script, { minLength: 1, maxLength: 30 }), async (scripts) => {
    let next = 0;
    const { clock, monitor, told } = setUp(() => scripts[next++ % scripts.length]!);
    const start = clock.monotonic();
    monitor.start();
    await clock.advance(60_000);

    const found: { at: number; passed: boolean }[] = [];
    let checks = 0;
    for (let turn = 0, time = 0; turn <= 60_000; turn = Math.max(turn + 2_000, time)) {
      time = turn;
      const check = () => {
        const { takesMs, fails } = scripts[checks++ % scripts.length]!;
        const timedOut = takesMs > 5_000;
        const isFirst = found.at(-1)?.passed ?? true;
        time += Math.min(takesMs, 5_000);
        if (time <= 60_000) found.push({ at: time, passed: !fails && !timedOut });
        return isFirst && timedOut;
      };
      // The first failure of an outage that is a time-out is followed by another check at once.
      if (check()) check();
    }

    const { status } = monitor;
    const last = found.at(-1)!;
    const run = (passed: boolean) => {
      const streak = found.toReversed().findIndex((f) => f.passed !== passed);
      return streak === -1 ? found.length : streak;
    };
    assert.equal(clock.monotonic() - start, 60_000);
    assert.equal(status.healthy, last.passed);
    assert.equal(status.consecutiveSuccesses, run(true));
    assert.equal(status.consecutiveFailures, run(false));

    const spans = found.map((f, i) => ({ ms: (found[i + 1]?.at ?? 60_000) - f.at, passed: f.passed }));
    const sum = (list: { ms: number }[]) => list.reduce((total, { ms }) => total + ms, 0);
    const total = sum(spans);
    if (total > 0) {
      const expected = (100 * sum(spans.filter((s) => s.passed))) / total;
      assert.ok(Math.abs(status.uptimePercent! - expected) < 1e-9, `${status.uptimePercent} is ${expected}`);
    }
    const downs = found.filter((f, i) => !f.passed && (found[i - 1]?.passed ?? true));
    const ups = found.filter((f, i) => f.passed && found[i - 1]?.passed === false);
    assert.equal(told.filter((t) => t.startsWith('down')).length, downs.length);
    assert.equal(told.filter((t) => t.startsWith('up')).length, ups.length);
    assert.equal(status.timeSinceDown, last.passed ? null : 60_000 - downs.at(-1)!.at);
    await monitor.stop();
    assert.equal(clock.pendingTimers, 0);
  });
  await fc.assert(property, { numRuns: RUNS, seed: printedSeed(t) });
});
