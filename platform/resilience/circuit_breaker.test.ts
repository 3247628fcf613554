import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { createFakeClock } from '#platform/lifecycle/fake_clock.ts';
import { printedSeed } from '#tests/seed.ts';
import { createCircuitBreaker, OPEN_MS, type Pass, type Transition } from './circuit_breaker.ts';
import type { Outcome } from './failure_rule.ts';

const RUNS = 4_000;

/** The arrows of the diagram in README.md, as "FROM --> TO: reason". */
function drawnTransitions(): string[] {
  const readme = readFileSync(new URL('./README.md', import.meta.url), 'utf8');
  const diagram = readme.split('```mermaid').find((part) => part.includes('[*] --> CLOSED'))!;
  return [...diagram.split('```')[0]!.matchAll(/^ *([A-Z_]+ --> [A-Z_]+: \w+)$/gm)].map((match) => match[1]!);
}

type Step =
  | { readonly do: 'begin' }
  | { readonly do: 'end'; readonly which: number; readonly outcome: Outcome }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'database down' | 'database up' | 'open' | 'close' | 'release' };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: fc.constant({ do: 'begin' as const }) },
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('end' as const),
      which: fc.nat(20),
      outcome: fc.constantFrom<Outcome>('failure', 'failure', 'failure', 'success', 'success', 'neutral'),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.constantFrom(1, 30_000, OPEN_MS - 1, OPEN_MS),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom(
        ...([
          'database down',
          'open',
          'close',
          'release',
          'database up',
          'database up',
          'database up',
        ] as const),
      ),
    }),
  },
);

/** The breaker as the README tells it, as one table of ifs; work remembers the state that it began in. */
class PlainBreaker {
  now = 0;
  name: 'CLOSED' | 'OPEN' | 'HALF_OPEN' | 'HELD_OPEN' = 'CLOSED';
  /** Every state ever entered has a number; work that began in another one does not count. */
  visit = 0;
  failures = 0;
  successes = 0;
  openUntil = 0;
  work: { visit: number; ended: boolean }[] = [];
  transitions: string[] = [];

  go(to: PlainBreaker['name'], reason: string): void {
    this.transitions.push(`${this.name} --> ${to}: ${reason}`);
    this.name = to;
    this.visit++;
    this.failures = 0;
    this.successes = 0;
    this.openUntil = this.now + OPEN_MS;
  }

  get probes(): number {
    return this.work.filter((w) => w.visit === this.visit && !w.ended).length;
  }

  begin(): boolean {
    const may = this.name === 'CLOSED' || (this.name === 'HALF_OPEN' && this.probes < 3);
    if (may) this.work.push({ visit: this.visit, ended: false });
    return may;
  }

  end(which: number, outcome: Outcome): void {
    const work = this.work[which]!;
    if (work.ended) return;
    work.ended = true;
    if (work.visit !== this.visit || outcome === 'neutral') return;
    if (outcome === 'failure') {
      this.failures++;
      if (this.name === 'HALF_OPEN') this.go('OPEN', 'probe_failed');
      else if (this.failures === 5) this.go('OPEN', 'consecutive_failures');
    } else {
      this.failures = 0;
      this.successes++;
      if (this.name === 'HALF_OPEN' && this.successes === 3) this.go('CLOSED', 'probes_succeeded');
    }
  }

  wait(ms: number): void {
    this.now += ms;
    if (this.name === 'OPEN' && this.now >= this.openUntil) this.go('HALF_OPEN', 'open_time_over');
  }

  signal(what: 'database down' | 'database up' | 'open' | 'close' | 'release'): void {
    if (what === 'database down') {
      if (this.name === 'CLOSED' || this.name === 'HALF_OPEN') this.go('OPEN', 'database_down');
    } else if (what === 'database up') {
      if (this.name === 'OPEN') this.go('HALF_OPEN', 'database_up');
      else if (this.name === 'HALF_OPEN' && this.probes === 0) {
        this.successes++;
        if (this.successes === 3) this.go('CLOSED', 'checks_passed');
      }
    } else if (what === 'open') this.go('HELD_OPEN', 'opened_by_hand');
    else if (what === 'close') {
      if (this.name !== 'CLOSED') this.go('CLOSED', 'closed_by_hand');
    } else if (this.name === 'HELD_OPEN') this.go('HALF_OPEN', 'released_by_hand');
  }
}

async function compare(steps: readonly Step[], seen: Set<string>): Promise<void> {
  const clock = createFakeClock();
  const transitions: string[] = [];
  const breaker = createCircuitBreaker({
    clock,
    onTransition: ({ from, to, reason, at }) => {
      assert.equal(at, clock.now());
      transitions.push(`${from} --> ${to}: ${reason}`);
    },
  });
  const model = new PlainBreaker();
  const passes: Pass[] = [];
  for (const next of steps) {
    if (next.do === 'begin') {
      const pass = breaker.tryPass();
      assert.equal(pass !== undefined, model.begin());
      if (pass) passes.push(pass);
    } else if (next.do === 'end') {
      if (passes.length === 0) continue;
      const which = passes.length - 1 - (next.which % passes.length);
      passes[which]!.report(next.outcome);
      model.end(which, next.outcome);
    } else if (next.do === 'wait') {
      await clock.advance(next.ms);
      model.wait(next.ms);
    } else {
      if (next.do === 'database down') breaker.databaseDown(new Error('no answer'));
      if (next.do === 'database up') breaker.databaseUp(clock.monotonic());
      if (next.do === 'open') breaker.openByHand('ann');
      if (next.do === 'close') breaker.closeByHand('ann');
      if (next.do === 'release') breaker.releaseByHand('ann');
      model.signal(next.do);
    }
    const { state } = breaker;
    assert.equal(state.name, model.name);
    assert.equal(breaker.blocked, model.name !== 'CLOSED');
    if (state.name === 'CLOSED') assert.equal(state.consecutiveFailures, model.failures);
    if (state.name === 'HALF_OPEN') {
      assert.equal(state.probes, model.probes);
      assert.equal(state.consecutiveSuccesses, model.successes);
      assert.ok(state.probes <= 3);
    }
    assert.equal(breaker.nextProbeInMs, state.name === 'OPEN' ? model.openUntil - model.now : undefined);
    assert.equal(clock.pendingTimers, state.name === 'OPEN' ? 1 : 0);
  }
  assert.deepEqual(transitions, model.transitions);
  for (const transition of transitions) seen.add(transition);
}

test('does what a plain model does; its transitions are those of the diagram, all of them and no others', async (t) => {
  const seen = new Set<string>();
  const property = fc.asyncProperty(fc.array(step, { maxLength: 150, size: 'max' }), (steps) =>
    compare(steps, seen),
  );
  await fc.assert(property, { numRuns: RUNS, seed: printedSeed(t) });
  assert.deepEqual([...seen].sort(), drawnTransitions().sort());
});

function setUp() {
  const clock = createFakeClock();
  const transitions: Transition[] = [];
  const breaker = createCircuitBreaker({ clock, onTransition: (t) => void transitions.push(t) });
  const fail = (times: number) => {
    for (let i = 0; i < times; i++) breaker.tryPass()!.report('failure', new Error(`failure ${i + 1}`));
  };
  return { clock, breaker, transitions, fail };
}

test('tells what tipped it, and when the next probe is', () => {
  const { clock, breaker, transitions, fail } = setUp();
  fail(5);
  assert.deepEqual(breaker.state, {
    name: 'OPEN',
    since: clock.now(),
    nextProbeAt: clock.now() + 60_000,
    reason: 'consecutive_failures',
  });
  assert.equal((transitions[0]!.cause as Error).message, 'failure 5');
});

test('a late success from before it opened does not close it, a late failure does not fail the probes', async () => {
  const { clock, breaker, fail } = setUp();
  const late = Array.from({ length: 4 }, () => breaker.tryPass()!);
  fail(5);
  await clock.advance(OPEN_MS);
  for (const pass of late.slice(0, 3)) pass.report('success');
  assert.deepEqual(breaker.state, {
    name: 'HALF_OPEN',
    since: clock.now(),
    consecutiveSuccesses: 0,
    probes: 0,
  });
  late[3]!.report('failure');
  assert.equal(breaker.state.name, 'HALF_OPEN');
});

test('setting the wall clock changes neither how long it stays open nor when it closes', async () => {
  const { clock, breaker, fail } = setUp();
  fail(5);
  clock.setWallClock(clock.now() + 24 * 3_600_000);
  await clock.advance(OPEN_MS - 1);
  assert.equal(breaker.state.name, 'OPEN');
  assert.equal(breaker.nextProbeInMs, 1);
  await clock.advance(1);
  assert.equal(breaker.state.name, 'HALF_OPEN');
});

test('a check that passes half-opens it at once, each time, where it began after the opening', async () => {
  const { clock, breaker, fail } = setUp();
  const checkedFrom = clock.monotonic();
  await clock.advance(10);
  fail(5);
  breaker.databaseUp(checkedFrom);
  assert.equal(breaker.state.name, 'OPEN');
  const name = (): string => breaker.state.name;
  for (let time = 0; time < 3; time++) {
    await clock.advance(2_000);
    breaker.databaseUp(clock.monotonic());
    assert.equal(name(), 'HALF_OPEN');
    fail(1);
    assert.equal(name(), 'OPEN');
  }
});

test('without requests, checks that pass close it; while a request is a probe, that one decides', async () => {
  const { clock, breaker, fail, transitions } = setUp();
  const pass = async () => {
    await clock.advance(2_000);
    breaker.databaseUp(clock.monotonic());
  };
  fail(5);
  await pass();
  const probe = breaker.tryPass()!;
  for (let check = 0; check < 5; check++) await pass();
  assert.equal(breaker.state.name, 'HALF_OPEN');
  probe.report('neutral');
  for (let check = 0; check < 3; check++) await pass();
  assert.equal(breaker.state.name, 'CLOSED');
  assert.equal(transitions.at(-1)!.reason, 'checks_passed');
});

test('held open by hand it bears the name of who did it, and neither time nor the monitor ends that', async () => {
  const { clock, breaker, transitions } = setUp();
  breaker.openByHand('ann');
  assert.deepEqual(breaker.state, { name: 'HELD_OPEN', since: clock.now(), heldBy: 'ann' });
  await clock.advance(10 * OPEN_MS);
  breaker.databaseUp(clock.monotonic());
  breaker.databaseDown(new Error('no answer'));
  assert.equal(breaker.state.name, 'HELD_OPEN');
  assert.equal(breaker.tryPass(), undefined);
  breaker.closeByHand('bob');
  assert.deepEqual(
    transitions.map(({ to, by }) => [to, by]),
    [
      ['HELD_OPEN', 'ann'],
      ['CLOSED', 'bob'],
    ],
  );
});

test('a probe that said nothing frees its place, and whoever waits is told', async () => {
  const { clock, breaker, fail } = setUp();
  fail(5);
  await clock.advance(OPEN_MS);
  const probes = [breaker.tryPass()!, breaker.tryPass()!, breaker.tryPass()!];
  assert.equal(breaker.tryPass(), undefined);
  let told = 0;
  breaker.onChange(() => told++);
  probes[0]!.report('neutral');
  assert.equal(told, 1);
  assert.ok(breaker.tryPass());
});

test('stopping leaves no timer; listeners are told until they leave', () => {
  const { clock, breaker, fail } = setUp();
  let told = 0;
  const leave = breaker.onChange(() => told++);
  fail(5);
  assert.equal(told, 1);
  leave();
  breaker.closeByHand('ann');
  assert.equal(told, 1);
  fail(5);
  breaker.stop();
  assert.equal(clock.pendingTimers, 0);
});
