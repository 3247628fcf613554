/** A process of bench/connections.ts that holds some thousand clients; told what to do by messages. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Login, openRawClient, type RawClient } from './raw_client.ts';

const LOGIN_LIMIT_MS = 10_000;
const QUERY = 'SELECT 1';
const BACKOFF_FIRST_MS = 50;
const BACKOFF_MAX_MS = 1_000;

export type Order =
  /** Opens clients, `atOnce` at a time. */
  | { readonly do: 'open'; readonly login: Login; readonly count: number; readonly atOnce: number }
  /** One query on each of `count` clients, `atOnce` at a time. */
  | { readonly do: 'query'; readonly count: number; readonly atOnce: number }
  /** From now on clients whose connection ends come back, with backoff and full jitter. */
  | { readonly do: 'return' }
  /** Nothing; the answer tells how many were displaced and are still away. */
  | { readonly do: 'tell' }
  | { readonly do: 'close' };

export interface Answer {
  /** Of each step, in milliseconds. */
  readonly times: readonly number[];
  readonly errors: readonly string[];
  /** Clients that lost their connection, and of these those that are not answered again yet. */
  readonly displaced: number;
  readonly away: number;
}

const clients = new Set<RawClient>();
let login: Login | undefined;
let returning = false;
let away = 0;
let displaced = 0;
let errors: string[] = [];

const words = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** Runs `work` for 0 … count-1, `atOnce` at a time; @returns the milliseconds that each took */
async function timed(count: number, atOnce: number, work: (i: number) => Promise<void>): Promise<number[]> {
  const times: number[] = [];
  let next = 0;
  const worker = async () => {
    while (next < count) {
      const i = next++;
      const start = performance.now();
      try {
        await work(i);
        times.push(performance.now() - start);
      } catch (error) {
        errors.push(words(error));
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return times;
}

function keep(client: RawClient): void {
  clients.add(client);
  void client.closed.then(() => {
    if (clients.delete(client) && returning) void comeBack();
  });
}

/** Exponential backoff with full jitter, as the services' pools do; back means answered. */
async function comeBack(): Promise<void> {
  away += 1;
  displaced += 1;
  for (let attempt = 0; ; attempt++) {
    try {
      const client = await openRawClient(login!, LOGIN_LIMIT_MS);
      await client.query(QUERY);
      keep(client);
      away -= 1;
      return;
    } catch {
      await sleep(Math.random() * Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** attempt));
    }
  }
}

async function obey(order: Order): Promise<number[]> {
  switch (order.do) {
    case 'open':
      login = order.login;
      return timed(order.count, order.atOnce, async () =>
        keep(await openRawClient(order.login, LOGIN_LIMIT_MS)),
      );
    case 'query': {
      const chosen = [...clients].sort(() => Math.random() - 0.5).slice(0, order.count);
      return timed(chosen.length, order.atOnce, (i) => chosen[i]!.query(QUERY));
    }
    case 'return':
      returning = true;
      return [];
    case 'tell':
      return [];
    case 'close': {
      returning = false;
      const closing = [...clients];
      for (const client of closing) client.close();
      await Promise.all(closing.map((client) => client.closed));
      return [];
    }
  }
}

process.on('message', async (order: Order) => {
  const times = await obey(order);
  const answer: Answer = { times, errors, displaced, away };
  errors = [];
  process.send!(answer);
});
