/**
 * Many pages at once on few connections, of callers who see different things, by clients that send several requests
 * ahead, read slowly or hang up in the middle, while the connections to PostgreSQL lose their statements: every answer
 * must be the one to its own request, to the byte.
 */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { withSession } from '#platform/database/pool.ts';
import { callRow, testImportSource } from '#tests/calls.ts';
import { testApi } from '#tests/calls_api.ts';
import type { CallRow } from '../../call_fields.ts';
import { CALL_TYPES, ORDERS } from '../../contract.ts';
import { takeIn } from '../../intake/intake.ts';
import { pageOfCalls } from '../../store/calls.ts';
import { maskCall } from './masking.ts';

const CLIENTS = 8;
const CONNECTIONS_EACH = 25;
const LIMITS = [1, 3, 100, 1000];
const DAY_MS = 86_400_000;

const api = await testApi({ poolSize: 3 });
const { pool } = api.database;
const codes = { acme: 900, branch: 300, other: 1_200, empty: 0 };
const acme = await api.account('acme');
const accounts = [
  acme,
  await api.account('branch', { parent: acme }),
  await api.account('other'),
  await api.account('empty'),
] as const;
const [, branch, other] = accounts;
const now = Date.now();
await takeIn(
  pool,
  await testImportSource(pool),
  Object.entries(codes).flatMap(([accountCode, count]) =>
    Array.from({ length: count }, (_, n) => {
      const startTime = now - (1 + (n % 10 === 0 ? 40 * n : n)) * (DAY_MS / 40);
      const failed = n % 5 === 0;
      return callRow({
        accountCode,
        callId: `${accountCode} ${n} "é\\ 漢${'x'.repeat(n % 97 === 0 ? 3_000 : n % 40)}`,
        startTime,
        connectTime: failed ? null : startTime + 1,
        billedDurationS: n % 7 === 0 ? 0 : 60,
        result: failed ? 'failed' : 'answered',
        flags: n % 4 === 0 ? ['in_the_future'] : [],
      });
    }),
  ),
);

const callers = [
  { key: await api.key('operator'), sees: accounts, masked: false },
  { key: await api.key('support'), sees: accounts, masked: true },
  { key: await api.key('customer', acme), sees: [acme, branch], masked: false },
  { key: await api.key('customer', other), sees: [other], masked: false },
] as const;

const listName = (account: number, type: string, order: string) => `${account} ${type} ${order}`;
const lists = new Map<string, readonly CallRow[]>();
await withSession(pool, async (session) => {
  for (const account of accounts)
    for (const type of CALL_TYPES)
      for (const order of ORDERS) {
        const all = pageOfCalls({ iAccount: account, type }, order, undefined, 1_000_000);
        lists.set(listName(account, type, order), await session.rows(all));
      }
});

/** A request, and what must come back. */
interface Ask {
  readonly path: string;
  readonly key: string;
  /** Undefined: the account is not there for this caller. */
  readonly page:
    | { readonly data: readonly CallRow[]; readonly total: number; readonly more: boolean }
    | undefined;
}

/** Always the same run of numbers from 0 up to, not including, 1. */
function randomFrom(seed: number): () => number {
  const modulus = 2 ** 31 - 1;
  let state = seed;
  return () => {
    state = (state * 48_271) % modulus;
    return state / modulus;
  };
}

function makeAsk(random: () => number): Ask {
  const oneOf = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!;
  const { key, sees, masked } = oneOf(callers);
  const account = oneOf(accounts);
  const [type, order, limit] = [oneOf(CALL_TYPES), oneOf(ORDERS), oneOf(LIMITS)];
  const path = `/cdrs?i_account=${account}&type=${type}&order=${order}&limit=${limit}`;
  if (!(sees as readonly number[]).includes(account)) return { path, key, page: undefined };
  const all = lists.get(listName(account, type, order))!;
  const shown = all.slice(0, limit);
  const data = masked ? shown.map(maskCall) : shown;
  return { path, key, page: { data, total: all.length, more: all.length > limit } };
}

function check({ path, page }: Ask, status: number, body: string): void {
  assert.equal(status, page ? 200 : 404, `${path}: ${body.slice(0, 300)}`);
  const { data, total, next_cursor } = JSON.parse(body);
  if (page) assert.deepEqual({ data, total, more: next_cursor !== null }, page, path);
}

const { hostname, port } = new URL(api.calls.url);

/** One connection with some requests sent ahead; every third hangs up in the middle. Resolves with the answers checked. */
function ask(asks: readonly Ask[], random: () => number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const hangsUpAfter = random() < 0.33 ? random() * 300_000 : Number.POSITIVE_INFINITY;
  const isSlow = random() < 0.3;
  let got = Buffer.alloc(0);
  let bytes = 0;
  let answered = 0;
  const socket = connect(Number(port), hostname);
  socket.on('error', reject);
  socket.on('close', () => {
    if (answered === asks.length || bytes > hangsUpAfter) resolve(answered);
    else reject(new Error(`closed behind ${answered} of ${asks.length} answers`));
  });
  socket.on('data', (chunk) => {
    bytes += chunk.length;
    if (bytes > hangsUpAfter) return void socket.destroy();
    got = Buffer.concat([got, chunk]);
    for (let head = got.indexOf('\r\n\r\n'); head >= 0; head = got.indexOf('\r\n\r\n')) {
      const headers = got.toString('latin1', 0, head);
      const end = head + 4 + Number(/content-length: (\d+)/i.exec(headers)![1]);
      if (got.length < end) break;
      try {
        check(asks[answered]!, Number(headers.split(' ')[1]), got.toString('utf8', head + 4, end));
      } catch (error) {
        reject(error);
        return void socket.destroy();
      }
      got = got.subarray(end);
      answered++;
      if (answered === asks.length) return void socket.destroy();
    }
    if (isSlow) {
      socket.pause();
      setTimeout(() => socket.resume(), 20 * random());
    }
  });
  for (const { path, key } of asks)
    socket.write(`GET ${path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer ${key}\r\n\r\n`);
  return promise;
}

test('every answer is the one to its own request', async () => {
  let answers = 0;
  const forget = ['DEALLOCATE ALL', 'DISCARD ALL'];
  const change = (n: number) =>
    `ALTER TABLE calls.cdrs ALTER COLUMN user_agent TYPE ${n % 2 ? 'text' : 'varchar'}`;
  const client = async (_: unknown, seed: number) => {
    const random = randomFrom(seed + 1_000);
    for (let n = 0; n < CONNECTIONS_EACH; n++) {
      const asks = Array.from({ length: 1 + Math.floor(5 * random()) }, () => makeAsk(random));
      const answered = await ask(asks, random);
      answers += answered;
      if (n % 4 === 0) await api.calls.pool.query(forget[seed % 2]!);
      if (seed === 0 && n % 8 === 7) await pool.query(change(n));
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  assert.ok(answers > CLIENTS * CONNECTIONS_EACH);
});
