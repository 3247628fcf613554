/** Clients of the calls service that keep asking, whatever happens to it, and note what they get. */
import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

/** What one request got. */
export interface Got {
  /** Milliseconds of performance.now(). */
  readonly askedAt: number;
  readonly ms: number;
  /** 0: the connection broke before the answer was whole. */
  readonly status: number;
  readonly retryAfter: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever JSON the API answers
  readonly body: any;
}

export interface LoadOptions {
  readonly url: string;
  readonly key: string;
  readonly path: string;
  /** Requests begun a second, whether or not earlier ones have been answered. */
  readonly perSecond: number;
  /** `Request-Timeout`. */
  readonly timeoutS?: number;
}

export interface Load {
  readonly got: readonly Got[];
  /** Requests that have no answer yet. */
  readonly open: number;
  /**
   * Waits until requests begun from now on are served, 20 in a row.
   * @returns how long it took until the first of them was begun, in milliseconds
   */
  normalAgain(limitMs: number): Promise<number>;
  /** Begins no more; resolves when all are answered. */
  stop(): Promise<readonly Got[]>;
}

const TICK_MS = 10;
const IN_A_ROW = 20;

/** One request, with its connection closed afterwards unless an agent keeps it. */
export function ask(options: Omit<LoadOptions, 'perSecond'>, agent?: Agent): Promise<Got> {
  const askedAt = performance.now();
  const headers = {
    authorization: `Bearer ${options.key}`,
    ...(options.timeoutS !== undefined && { 'request-timeout': String(options.timeoutS) }),
  };
  return new Promise((done) => {
    const broke = () =>
      done({ askedAt, ms: performance.now() - askedAt, status: 0, retryAfter: undefined, body: undefined });
    const asked = request(options.url + options.path, { headers, agent: agent ?? false }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part) => {
        text += part;
      });
      answer.on('error', broke);
      answer.on('end', () => {
        const { statusCode: status = 0, headers } = answer;
        const body = text === '' ? undefined : JSON.parse(text);
        done({ askedAt, ms: performance.now() - askedAt, status, retryAfter: headers['retry-after'], body });
      });
    });
    asked.on('error', broke);
    asked.end();
  });
}

export function startLoad(options: LoadOptions): Load {
  const agent = new Agent({ keepAlive: true });
  const got: Got[] = [];
  const open = new Set<Promise<void>>();
  const startedAt = performance.now();
  let begun = 0;
  const begin = () => {
    begun++;
    const one = ask(options, agent).then((answer) => {
      got.push(answer);
      open.delete(one);
    });
    open.add(one);
  };
  const timer = setInterval(() => {
    const due = ((performance.now() - startedAt) / 1000) * options.perSecond;
    while (begun < due) begin();
  }, TICK_MS);
  return {
    got,
    get open() {
      return open.size;
    },
    normalAgain: async (limitMs) => {
      const from = performance.now();
      for (;;) {
        const since = got.filter(({ askedAt }) => askedAt >= from).sort((a, b) => a.askedAt - b.askedAt);
        const lastBad = since.findLastIndex(({ status }) => status !== 200);
        const good = since.slice(lastBad + 1);
        if (good.length >= IN_A_ROW) return good[0]!.askedAt - from;
        assert.ok(performance.now() - from < limitMs, `not normal after ${limitMs} ms: ${summary(since)}`);
        await sleep(TICK_MS);
      }
    },
    stop: async () => {
      clearInterval(timer);
      while (open.size > 0) await Promise.all(open);
      agent.destroy();
      return got;
    },
  };
}

/** "250 × 200, 5 × 503 unavailable; p50 3 ms, p99 40 ms, longest 1003 ms" */
export function summary(got: readonly Got[]): string {
  const counts = new Map<string, number>();
  for (const { status, body } of got) {
    const kind = [status, body?.code].filter((word) => word !== undefined).join(' ');
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  const times = got.map(({ ms }) => ms).sort((a, b) => a - b);
  const at = (share: number) =>
    Math.round(times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0);
  const kinds = [...counts].map(([kind, count]) => `${count} × ${kind}`).join(', ');
  return `${kinds || 'nothing'}; p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms`;
}

/** Every answer is whole: calls, or a 503 in the API's words with one of these codes and a time to try again. */
export function assertWhole(got: readonly Got[], codes: readonly string[]): void {
  for (const { status, body, retryAfter } of got) {
    const said = `${status} ${JSON.stringify(body)?.slice(0, 300)}`;
    if (status === 200) {
      assert.equal(body.success, true, said);
      continue;
    }
    assert.equal(status, 503, said);
    assert.equal(body.success, false, said);
    assert.ok(codes.includes(body.code), `${said} is none of: ${codes}`);
    assert.ok(body.error.length > 0 && body.request_id.length > 0, said);
    assert.ok(Number(retryAfter) >= 1, `Retry-After is ${retryAfter}: ${said}`);
  }
}
