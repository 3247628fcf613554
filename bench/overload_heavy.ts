/**
 * Clients that ask for much, without a pause: each begins anew as soon as it is answered, and waits for as long as it is
 * told to where it is turned away. Started by bench/overload_beside.ts:
 *
 *   node bench/overload_heavy.ts '<HeavyOrder as JSON>'      runs until it is ended; then prints HeavyReport as JSON
 */
import { Agent, request } from 'node:http';

export interface HeavyOrder {
  readonly url: string;
  /** Of each, so many clients. */
  readonly clients: number;
  readonly asks: readonly HeavyAsk[];
}

export interface HeavyAsk {
  readonly key: string;
  readonly path: string;
  readonly accept?: string;
  /** Posts an array of so many records that are new, of this account. */
  readonly post?: { readonly account: string; readonly records: number };
}

export interface HeavyReport {
  readonly answered: number;
  readonly turnedAway: number;
  readonly failed: number;
  readonly bytes: number;
}

const order = JSON.parse(process.argv[2]!) as HeavyOrder;
const agent = new Agent({ keepAlive: true });
const report = { answered: 0, turnedAway: 0, failed: 0, bytes: 0 };
let number = 0;

/** @returns seconds to wait before the next one */
function once(ask: HeavyAsk): Promise<number> {
  const body = ask.post && JSON.stringify(records(ask.post));
  const headers = {
    authorization: `Bearer ${ask.key}`,
    accept: ask.accept ?? 'application/json',
    ...(body && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
  };
  return new Promise((done) => {
    const failed = () => {
      report.failed++;
      done(1);
    };
    const sent = request(
      order.url + ask.path,
      { method: body ? 'POST' : 'GET', headers, agent },
      (answer) => {
        answer.on('data', (bytes: Buffer) => {
          report.bytes += bytes.length;
        });
        answer.on('error', failed);
        answer.on('end', () => {
          if (answer.statusCode === 200) report.answered++;
          else if (answer.statusCode === 429 || answer.statusCode === 503) report.turnedAway++;
          else report.failed++;
          done(answer.statusCode === 200 ? 0 : Number(answer.headers['retry-after'] ?? 1));
        });
      },
    );
    sent.on('error', failed);
    sent.end(body);
  });
}

function records({ account, records: count }: NonNullable<HeavyAsk['post']>): object[] {
  const start = Date.now() - 3_600_000;
  return Array.from({ length: count }, () => ({
    account,
    call_id: `heavy-${process.pid}-${number++}`,
    start_time: new Date(start + (number % 3_600) * 1_000).toISOString(),
    cli: `+4930${10_000_000 + (number % 9_000_000)}`,
    cld: `+4420${70_000_000 + (number % 9_000_000)}`,
    duration_s: 60,
    billed_duration_s: 55,
    cost: '0.0123',
    result: 'answered',
  }));
}

process.on('SIGTERM', () => process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0)));
for (const ask of order.asks) {
  for (let client = 0; client < order.clients; client++) {
    void (async () => {
      for (;;) {
        const waitS = await once(ask);
        if (waitS > 0) await new Promise((over) => setTimeout(over, waitS * 1_000));
      }
    })();
  }
}
