/** Reported outages are the true ones: random ups and downs, seen by one or two HAProxy processes and by polls. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '#platform/lifecycle/seeded_random.ts';
import type { StatsRow } from './haproxy_csv.ts';
import { compareViews, emptyOutageBook, type HaproxyView } from './outages.ts';
import { changedAt } from './state_times.ts';

const RUNS = 15_000;
/** The largest time between the checks of two processes that find the same outage. */
const SKEW_MS = 1_500;
/** HAProxy's times are whole seconds. */
const PRECISION_MS = 1_000;
const NAME = 'bouncers/pgb1';
const LABELS = { proxy: 'bouncers', server: 'pgb1' };
const BEGIN = 1_700_000_000_000;

interface Outage {
  readonly from: number;
  readonly to: number;
}

/** The row of a server on HAProxy's page at an instant; it counts in seconds of its clock. */
function rowAt(outages: readonly Outage[], now: number): StatsRow {
  const second = (ms: number) => Math.floor(ms / 1_000);
  const begun = outages.filter(({ from }) => from <= now);
  const over = begun.filter(({ to }) => to <= now);
  const isDown = begun.length > over.length;
  const changed = isDown ? begun.at(-1)!.from : (over.at(-1)?.to ?? BEGIN - 500_000);
  const current = isDown ? second(now) - second(changed) : 0;
  return {
    ...{ proxy: 'bouncers', server: 'pgb1', status: isDown ? 'DOWN' : 'UP', check: 'L7OK', checkWords: '' },
    ...{ sessions: 0, limit: null, sessionsTotal: 0, sessionRate: 0, errors: 0, retries: 0, redispatches: 0 },
    timesDown: begun.length,
    lastChangeS: second(now) - second(changed),
    downtimeS: over.reduce((sum, { from, to }) => sum + second(to) - second(from), current),
  };
}

/** Outages that are reported one by one, with times; or several together, with their number. */
interface Told {
  readonly one: Outage[];
  readonly several: number;
  /** The total of all of them. */
  readonly downMs: number;
}

/** Watches as the monitor does: a server that is DOWN at a poll is an alert, an outage between two polls a notice. */
function told(random: () => number, processes: readonly (readonly Outage[])[], end: number): Told {
  const book = emptyOutageBook();
  const between = (low: number, high: number) => Math.round(low + random() * (high - low));
  const isQuiet = (now: number) =>
    processes.every((one) =>
      one.every(({ from, to }) => [from, to].every((at) => Math.abs(at - now) > 2 * SKEW_MS)),
    );
  const one: Outage[] = [];
  let several = 0;
  let severalMs = 0;
  let since: number | undefined;
  let isFirst = true;
  for (let now = BEGIN; now <= end; now += between(1_000, random() < 0.3 ? 60_000 : 12_000)) {
    const mayMiss = !isFirst && now + 60_000 < end && isQuiet(now);
    const views: HaproxyView[] = processes.flatMap((outages, index) =>
      mayMiss && random() < 0.3 ? [] : [{ haproxy: `haproxy${index}`, rows: [rowAt(outages, now)] }],
    );
    isFirst = false;
    if (views.length === 0) continue;
    const happenings = compareViews(book, views, now, new Set(since === undefined ? [] : [NAME]));
    const isDown = views.some(({ rows }) => rows[0]!.status === 'DOWN');
    const at = changedAt({ holds: 'any is DOWN' }, LABELS, isDown, views, now)!;
    if (isDown) since ??= at;
    const ended = !isDown && since !== undefined ? [{ from: since, to: at }] : [];
    if (!isDown) since = undefined;
    for (const happening of happenings) {
      assert.equal(happening.kind, 'short_outage');
      if (happening.kind !== 'short_outage') continue;
      const { span, isAlerted } = happening;
      if (isAlerted) ended.pop();
      if (span.times === 1 && span.to - span.from - span.downMs <= 2 * PRECISION_MS) one.push(span);
      else {
        several += span.times;
        severalMs += span.downMs;
      }
    }
    one.push(...ended);
  }
  const downMs = one.reduce((sum, { from, to }) => sum + to - from, severalMs);
  return { one, several, downMs };
}

test('the reported outages are the true ones, each once, with its time and length', () => {
  let singles = 0;
  for (let seed = 1; seed <= RUNS; seed++) {
    const random = seededRandom(seed);
    const between = (low: number, high: number) => Math.round(low + random() * (high - low));
    const truth: Outage[] = [];
    let at = BEGIN + between(15_000, 40_000);
    for (let n = between(1, 8); n > 0; n--) {
      const to = at + between(2_500, random() < 0.5 ? 6_000 : 40_000);
      truth.push({ from: at, to });
      // As soon as three checks in a row can fail again.
      at = to + between(5_000, random() < 0.5 ? 9_000 : 60_000);
    }
    const processes = Array.from({ length: between(1, 2) }, () =>
      truth.map(({ from, to }) => ({ from: from + between(0, SKEW_MS), to: to + between(0, SKEW_MS) })),
    );
    const { one, several, downMs } = told(random, processes, at + 120_000);
    const words = () => JSON.stringify({ seed, truth, processes, one, several });
    assert.equal(one.length + several, truth.length, words());
    const matched = new Set<Outage>();
    for (const { from, to } of one) {
      const near = truth.find(
        (true_) =>
          Math.abs(true_.from - from) <= SKEW_MS + PRECISION_MS &&
          Math.abs(true_.to - to) <= SKEW_MS + PRECISION_MS,
      );
      assert.ok(near && !matched.has(near), `${from - BEGIN}…${to - BEGIN}: ${words()}`);
      matched.add(near);
    }
    const trueMs = truth.reduce((sum, { from, to }) => sum + to - from, 0);
    assert.ok(
      Math.abs(downMs - trueMs) <= truth.length * (SKEW_MS + 2 * PRECISION_MS),
      `${downMs} ms of ${trueMs}: ${words()}`,
    );
    singles += one.length;
  }
  assert.ok(singles > RUNS, `${singles} were told one by one`);
});
