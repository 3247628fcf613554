/**
 * What each order of the request queue makes of a database that turns slow: 10 slots, 200 waiting, clients that wait
 * for 5 s, and a database that takes 50 ms for a request and then, for a minute, 20 times as long.
 *
 *   plain array   first come, first served, and nobody leaves: what most services have; the peer
 *   fifo          platform/resilience/request_queue.ts, its standard order: who cannot be in time is not begun
 *   adaptive      the same, newest first while the queue stands
 *
 * Counted over that minute: slot-seconds spent on answers that came after their client had stopped waiting. The queue is
 * the real code, time is a fake clock, arrivals and service times are the same for all (seeded). Work that has begun is
 * not cut off at its deadline, so that the order alone makes the difference.
 */
import { createFakeClock, type FakeClock } from '#platform/lifecycle/fake_clock.ts';
import { seededRandom } from '#platform/lifecycle/seeded_random.ts';
import type { RequestContext } from '#platform/resilience/request_context.ts';
import {
  type Admission,
  createRequestQueue,
  QUEUE_LIMIT,
  type Slot,
} from '#platform/resilience/request_queue.ts';
import { benchOptions, finish, type Headline, quantile, type Row, ratio } from './report.ts';

const SLOTS = 10;
const CLIENT_WAITS_MS = 5_000;
const SERVICE_MS = 50;
const SLOWER = 20;
const WARM_UP_MS = 10_000;
const SLOW_MS = 60_000;

interface Policy {
  enter(context: RequestContext): Promise<Admission>;
}

const options = benchOptions(
  'queue_order',
  'the orders of the request queue when the database turns 20 times slower',
  {
    load: '0.8',
    accounts: '20',
    seed: '1',
  },
);
const load = positive('load');
const accounts = positive('accounts');
const seed = positive('seed');

/** Of the slow minute. */
interface Run {
  readonly wastedS: number;
  readonly usedS: number;
  readonly inTime: number;
  readonly medianMs: number;
  readonly p99Ms: number;
}

const rows: Row[] = [['order', 'slot-seconds wasted', 'of', 'answers in time', 'median ms', 'p99 ms']];
const headlines: Headline[] = [];
const policies: Record<string, (clock: FakeClock) => Policy> = {
  'plain array': () => createArrayQueue(),
  fifo: (clock) => createRequestQueue({ slots: SLOTS, order: 'fifo', clock }),
  adaptive: (clock) => createRequestQueue({ slots: SLOTS, order: 'adaptive', clock }),
};
/** Answers in time of the first policy, the peer. */
let peersInTime: number | undefined;
for (const [name, create] of Object.entries(policies)) {
  const { wastedS, usedS, inTime, medianMs, p99Ms } = await simulate(create);
  rows.push([name, wastedS, usedS, inTime, medianMs, p99Ms]);
  peersInTime ??= inTime;
  headlines.push({
    figure: `database work for nothing, ${name}`,
    value: ratio(wastedS, usedS),
    ratio: `${(inTime / peersInTime).toFixed(1)} × the plain array's answers in time`,
  });
}
const capacity = (SLOTS * 1_000) / SERVICE_MS;
finish(
  options,
  `${SLOTS} slots, ${QUEUE_LIMIT} waiting, clients wait ${CLIENT_WAITS_MS / 1_000} s; ${load * capacity} requests/s of ` +
    `${accounts} accounts; capacity ${capacity}/s, then ${capacity / SLOWER}/s for ${SLOW_MS / 1_000} s`,
  rows,
  headlines,
);

/** One run of a policy: wasted and all slot-seconds of the slow minute, answers in time, and how long those took. */
async function simulate(create: (clock: FakeClock) => Policy): Promise<Run> {
  const clock = createFakeClock();
  const policy = create(clock);
  const random = seededRandom(seed);
  const slowFrom = clock.monotonic() + WARM_UP_MS;
  const slowUntil = slowFrom + SLOW_MS;
  let wastedMs = 0;
  let usedMs = 0;
  const answeredMs: number[] = [];
  const never = new AbortController().signal;

  async function request(tenant: string, serviceMs: number): Promise<void> {
    const arrivedAt = clock.monotonic();
    const deadline = arrivedAt + CLIENT_WAITS_MS;
    const admission = await policy.enter({ priority: 'customer', tenant, deadline, signal: never });
    if (!admission.admitted) return;
    const startedAt = clock.monotonic();
    const slow = startedAt >= slowFrom && startedAt < slowUntil;
    await clock.sleep(slow ? serviceMs * SLOWER : serviceMs);
    const endedAt = clock.monotonic();
    admission.slot.release('success');
    const inSlowMs = Math.max(0, Math.min(endedAt, slowUntil) - Math.max(startedAt, slowFrom));
    usedMs += inSlowMs;
    if (endedAt > deadline) wastedMs += inSlowMs;
    else if (inSlowMs > 0) answeredMs.push(endedAt - arrivedAt);
  }

  const meanGapMs = SERVICE_MS / (SLOTS * load);
  while (clock.monotonic() < slowUntil) {
    await clock.advance(-Math.log(1 - random()) * meanGapMs);
    // From half to one and a half times the mean.
    void request(`${Math.floor(random() * accounts)}`, SERVICE_MS * (0.5 + random()));
  }
  await clock.advance(SLOW_MS);
  return {
    wastedS: Math.round(wastedMs / 1_000),
    usedS: Math.round(usedMs / 1_000),
    inTime: answeredMs.length,
    medianMs: Math.round(quantile(answeredMs, 0.5)),
    p99Ms: Math.round(quantile(answeredMs, 0.99)),
  };
}

/** First come, first served, in an array; nobody leaves before it was served. */
function createArrayQueue(): Policy {
  const waiting: ((admission: Admission) => void)[] = [];
  let running = 0;
  const slot: Slot = {
    waitedMs: 0,
    probe: false,
    release() {
      running--;
      start();
    },
  };
  const start = () => {
    while (running < SLOTS && waiting.length > 0) {
      running++;
      waiting.shift()!({ admitted: true, slot });
    }
  };
  return {
    async enter() {
      if (waiting.length >= QUEUE_LIMIT) return { admitted: false, refusal: 'queue_overload', waitedMs: 0 };
      const admission = new Promise<Admission>((resolve) => void waiting.push(resolve));
      start();
      return admission;
    },
  };
}

function positive(option: string): number {
  const value = Number(options.values[option]);
  if (Number.isFinite(value) && value > 0) return value;
  process.stderr.write(`--${option} must be a number above 0, not "${options.values[option]}"\n`);
  process.exit(1);
}
