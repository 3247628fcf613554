/**
 * Clients that come at random at a given rate, whatever becomes of those before them, and hang up when their time is
 * over. Started by bench/overload.ts:
 *
 *   node bench/overload_load.ts '<LoadOrder as JSON>'      prints LoadReport as JSON
 */
import { Agent, request } from 'node:http';
import { seededRandom } from '#platform/lifecycle/seeded_random.ts';

export interface LoadOrder {
  readonly url: string;
  /** A customer each, taken in turn. */
  readonly customers: readonly { readonly key: string; readonly path: string }[];
  readonly perSecond: number;
  /** Before it is counted, and counted. */
  readonly warmUpS: number;
  readonly seconds: number;
  /** How long a client waits. */
  readonly deadlineS: number;
}

export interface LoadReport {
  /** A second, of the time that is counted. */
  readonly offered: number;
  readonly answered: number;
  readonly turnedAway: number;
  readonly hungUp: number;
  readonly failed: number;
  /** Of those that were answered. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers in time from the first request to the last, the warm-up included. */
  readonly answeredInAll: number;
}

type Outcome = 'answered' | 'turnedAway' | 'hungUp' | 'failed';

const TICK_MS = 2;
const order = JSON.parse(process.argv[2]!) as LoadOrder;
const agent = new Agent({ keepAlive: true });
const counts: Record<Outcome, number> = { answered: 0, turnedAway: 0, hungUp: 0, failed: 0 };
const times: number[] = [];
let answeredInAll = 0;
let offered = 0;

const startedAt = performance.now();
const from = startedAt + order.warmUpS * 1000;
const to = from + order.seconds * 1000;
const open = new Set<Promise<void>>();
let begun = 0;
let nextAt = startedAt;
/** Every run has the same arrivals. */
const random = seededRandom(1);

await new Promise<void>((done) => {
  const timer = setInterval(() => {
    const now = performance.now();
    for (; nextAt <= now; nextAt += (-Math.log(1 - random()) * 1000) / order.perSecond) {
      const one = ask(order.customers[begun++ % order.customers.length]!).then(() => void open.delete(one));
      open.add(one);
      if (now >= from && now < to) offered++;
    }
    if (now < to) return;
    clearInterval(timer);
    done();
  }, TICK_MS);
});
await Promise.all(open);
agent.destroy();

times.sort((a, b) => a - b);
const at = (share: number) => Math.round((times[Math.floor(times.length * share)] ?? 0) * 10) / 10;
const perSecond = (count: number) => Math.round(count / order.seconds);
const report: LoadReport = {
  offered: perSecond(offered),
  answered: perSecond(counts.answered),
  turnedAway: perSecond(counts.turnedAway),
  hungUp: perSecond(counts.hungUp),
  failed: perSecond(counts.failed),
  p50Ms: at(0.5),
  p99Ms: at(0.99),
  answeredInAll,
};
process.stdout.write(`${JSON.stringify(report)}\n`);

function ask({ key, path }: LoadOrder['customers'][number]): Promise<void> {
  const askedAt = performance.now();
  const headers = { authorization: `Bearer ${key}`, 'request-timeout': String(order.deadlineS) };
  return new Promise((done) => {
    const ended = (outcome: Outcome) => {
      clearTimeout(patience);
      const now = performance.now();
      if (outcome === 'answered') answeredInAll++;
      if (now >= from && now < to) {
        counts[outcome]++;
        if (outcome === 'answered') times.push(now - askedAt);
      }
      done();
    };
    let hungUp = false;
    const asked = request(order.url + path, { headers, agent }, (answer) => {
      answer.on('end', () =>
        ended(answer.statusCode === 200 ? 'answered' : answer.statusCode === 503 ? 'turnedAway' : 'failed'),
      );
      answer.on('error', () => ended(hungUp ? 'hungUp' : 'failed'));
      answer.resume();
    });
    const patience = setTimeout(() => {
      hungUp = true;
      asked.destroy();
    }, order.deadlineS * 1000);
    asked.on('error', () => ended(hungUp ? 'hungUp' : 'failed'));
    asked.end();
  });
}
