import assert from 'node:assert/strict';
import dns from 'node:dns';
import { type AddressInfo, createServer } from 'node:net';
import { after, mock, test } from 'node:test';
import { sql } from 'kysely';
import { createFakeClock } from '#platform/lifecycle/fake_clock.ts';
import { testDatabase } from '#tests/postgres.ts';
import { renewalTime } from './connection_lifetime.ts';
import { jsonQuery } from './fast_read/fast_read.ts';
import { createPool, withSession } from './pool.ts';
import { createProbe } from './probe.ts';
import type { Session } from './session.ts';
import { sqlBuilder } from './statement.ts';

const MAX_MS = 60_000;
const database = await testDatabase();

const pidOf = async ({ client }: Session) =>
  (await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]!.pid;

test('lifetimes lie between half of the longest and the longest, each connection has its own', () => {
  const clock = createFakeClock();
  const lifetimeOf = (random: number) =>
    renewalTime({ maxMs: MAX_MS, clock, random: () => random }) - clock.monotonic();
  assert.deepEqual([0, 0.5, 1].map(lifetimeOf), [30_000, 45_000, 60_000]);
});

test('connections made together are renewed one by one, between two uses and never in one', async () => {
  const clock = createFakeClock();
  const randoms = [0, 0.5, 0.99];
  const lifetime = { maxMs: MAX_MS, clock, random: () => randoms.shift() ?? 0.99 };
  const pool = createPool({
    url: database.url,
    applicationName: 'lifetimes',
    size: 3,
    lifetime,
    onIdleError: assert.fail,
  });
  after(() => pool.end());

  /** Uses all three at once; gives whom PostgreSQL knows them by. */
  const useAll = async (meanwhile = async () => {}) => {
    let arrived = 0;
    const all = Promise.withResolvers<void>();
    return Promise.all(
      [1, 2, 3].map(() =>
        withSession(pool, async (session) => {
          const before = await pidOf(session);
          if (++arrived === 3) void meanwhile().then(all.resolve);
          await all.promise;
          assert.equal(await pidOf(session), before);
          return before;
        }),
      ),
    );
  };
  const kept = (a: number[], b: number[]) => a.filter((pid) => b.includes(pid)).length;

  const first = await useAll();
  await clock.advance(29_999);
  assert.equal(kept(first, await useAll()), 3, 'half of the lifetime is not over');
  const inUse = await useAll(() => clock.advance(1));
  assert.equal(kept(first, inUse), 3, 'what is in use stays');
  assert.equal(kept(first, await useAll()), 2);
  await clock.advance(15_000);
  await useAll();
  assert.equal(kept(first, await useAll()), 1);
  await clock.advance(15_000);
  await useAll();
  assert.equal(kept(first, await useAll()), 0, 'after the longest lifetime none is left');
});

test('once cut off, no further statement begins, of whatever kind', async () => {
  const pool = createPool({
    url: database.url,
    applicationName: 'cut off',
    size: 1,
    onIdleError: assert.fail,
  });
  after(() => pool.end());
  const one = sql`SELECT 1 AS one`.compile(sqlBuilder<unknown>());
  const kinds = {
    rows: (session: Session) => session.rows(one),
    row: (session: Session) => session.row(one),
    run: (session: Session) => session.run(one),
    json: (session: Session) => session.pipeline(jsonQuery(one)),
  };
  for (const [kind, begin] of Object.entries(kinds)) {
    const client = new AbortController();
    const work = (session: Session) => {
      client.abort(new Error('the client has hung up'));
      return begin(session);
    };
    await assert.rejects(withSession(pool, work, { signal: client.signal }), /hung up/, kind);
  }
});

test('the connection of health checks is renewed too', async () => {
  const clock = createFakeClock();
  const pids: number[] = [];
  const probe = createProbe(
    database.url,
    'lifetime-probe',
    { maxMs: MAX_MS, clock, random: () => 0 },
    async (client) => void pids.push(await pidOf({ client } as Session)),
  );
  after(() => probe.close());
  const check = (anew = false) => probe.check(new AbortController().signal, anew);
  await check();
  await check();
  await clock.advance(30_000);
  await check();
  await check();
  assert.equal(pids[0], pids[1]);
  assert.notEqual(pids[1], pids[2]);
  assert.equal(pids[2], pids[3], 'the old one takes nothing with it when it goes');
  await check(true);
  assert.notEqual(pids[3], pids[4], 'a check that is to ask anew does');
});

test('a name with several addresses: each is tried, so that one dead HAProxy of two closes no door', async () => {
  const { port } = new URL(database.url);
  const url = database.url.replace('127.0.0.1', 'haproxy');
  // Nobody listens at the first one.
  const addresses = ['127.0.0.2', '127.0.0.1'].map((address) => ({ address, family: 4 }));
  const lookup = mock.method(dns, 'lookup', (...words: unknown[]) => {
    const told = words.at(-1) as (error: null, found: typeof addresses) => void;
    assert.equal(words[0], 'haproxy');
    told(null, addresses);
  });
  const pool = createPool({ url, applicationName: 'two-addresses', size: 1, onIdleError: () => undefined });
  try {
    const found = await pool.query('SELECT inet_server_port() AS port');
    assert.equal(found.rows[0].port, Number(port));
    assert.ok(lookup.mock.callCount() > 0);
  } finally {
    lookup.mock.restore();
    await pool.end();
  }
});

/** A message of PostgreSQL's protocol: its type, its length, its content. */
function wireMessage(type: string, content: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(content.length + 4, 1);
  return Buffer.concat([head, content]);
}

test('a server that ends a connection as soon as it is made fails a statement, not the process', async () => {
  const ready = [wireMessage('R', Buffer.alloc(4)), wireMessage('Z', Buffer.from('I'))];
  const ending = wireMessage(
    'E',
    Buffer.from('SFATAL\0C57P01\0Mterminating connection due to administrator command\0\0'),
  );
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(Buffer.concat([...ready, ending])));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  const pool = createPool({
    url: `postgres://somebody@127.0.0.1:${port}/calls`,
    applicationName: 'test',
    size: 1,
    onIdleError: () => undefined,
  });
  for (let round = 0; round < 3; round++)
    await assert.rejects(withSession(pool, ({ client }) => client.query('SELECT 1')));
  await pool.end();
  server.close();
});
