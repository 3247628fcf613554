import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { after, test } from 'node:test';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import pg, { type Client, type ClientBase } from 'pg';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { createFakeClock } from '#platform/lifecycle/fake_clock.ts';
import { isConnectionLost } from '#platform/resilience/failure_rule.ts';
import { testDatabase } from '#tests/postgres.ts';
import { rowsAsJson } from '#tests/rows_as_json.ts';
import { CANCEL_LIMIT_MS } from '../cancel_request.ts';
import { processOf, socketOf } from '../pg_internals.ts';
import { createPool, withSession } from '../pool.ts';
import { streamRows } from './row_stream.ts';

const { url, pool } = await testDatabase();
const THOUSAND = 'SELECT i, repeat(md5(i::text), 10) AS filler FROM generate_series(1, 1000) AS i';
/** 100 GB in rows of 1 kB, made one by one: it ends when it is made to. */
const ENDLESS = "SELECT generate_series(1, 100000000) AS i, repeat('x', 1000) AS filler";
const LIMIT_MS = 20_000;

const EVENTS = ['data', 'readable', 'end', 'close', 'error', 'drain', 'timeout'];
const listeners = (client: ClientBase) => EVENTS.map((event) => socketOf(client).listenerCount(event));

interface Run {
  readonly clock?: Clock;
  /** Called with each row's number. */
  readonly onRow?: (count: number) => void;
}

/** Runs a query; gives how many rows came. */
async function count(client: ClientBase, sql: string, { clock, onRow }: Run = {}): Promise<number> {
  let rows = 0;
  const sink = {
    columns: () => undefined,
    row() {
      rows++;
      onRow?.(rows);
    },
  };
  await streamRows(client, [{ query: { sql, parameters: [] }, sink }], clock);
  return rows;
}

/** A connection of the test's own, which must be as good after `work` as before. */
async function onGoodClient(work: (client: Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  client.on('error', (error) => assert.fail(error));
  const before = listeners(client);
  try {
    await work(client);
    assert.deepEqual((await client.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
    assert.equal(await count(client, THOUSAND), 1000);
    assert.deepEqual(listeners(client), before);
  } finally {
    await client.end();
  }
}

test('a client is as good as before after every kind of query', async () => {
  await onGoodClient(async (client) => {
    assert.equal(await count(client, THOUSAND), 1000);
    assert.equal(await count(client, 'SELECT 1 WHERE false'), 0);
    assert.equal(await count(client, 'CREATE TEMPORARY TABLE t (a int)'), 0);
    assert.equal(await count(client, 'INSERT INTO t VALUES (1), (2)'), 0);
    assert.equal(await count(client, 'INSERT INTO t VALUES (3) RETURNING a'), 1);
    assert.equal(await count(client, ''), 0);
  });
});

test('errors of the server come with their fields, before the first row and in the middle', async () => {
  await onGoodClient(async (client) => {
    const refused = (sql: string, code: string) =>
      assert.rejects(count(client, sql), (error) => error instanceof pg.DatabaseError && error.code === code);
    await refused('SELEKT 1', '42601');
    await refused('SELECT 1; SELECT 2', '42601');
    await refused('SELECT * FROM nowhere', '42P01');
    let seen = 0;
    const divided = `SELECT 1000 / (500 - i), repeat('x', 1000) FROM generate_series(1, 1000) AS i`;
    await assert.rejects(
      count(client, divided, {
        onRow: (n) => {
          seen = n;
        },
      }),
      { code: '22012', message: 'division by zero' },
    );
    assert.ok(seen > 0 && seen < 500, `${seen} rows`);
    await client.query('BEGIN');
    await refused('SELECT 1/0', '22012');
    await refused('SELECT 1', '25P02');
    await client.query('ROLLBACK');
  });
});

test('COPY is refused, and does not hang the connection', async () => {
  await onGoodClient(async (client) => {
    await client.query('CREATE TEMPORARY TABLE t (a int)');
    await assert.rejects(count(client, 'COPY t FROM STDIN'), { code: '57014', message: /pg-copy-streams/ });
    await assert.rejects(count(client, 'COPY (SELECT 1) TO STDOUT'), /pg-copy-streams/);
  });
});

test('what throws while rows are written ends the query and comes out', async () => {
  await onGoodClient(async (client) => {
    const failing = (at: number) => ({
      onRow: (n: number) => {
        if (n === at) throw new RangeError(`row ${n}`);
      },
    });
    await assert.rejects(count(client, THOUSAND, failing(1)), /RangeError: row 1/);
    await assert.rejects(count(client, THOUSAND, failing(1000)), /RangeError: row 1000/);
    await assert.rejects(count(client, ENDLESS, failing(2000)), /RangeError: row 2000/);
    const circular: { toPostgres?: () => unknown } = {};
    circular.toPostgres = () => circular;
    const sink = { columns: () => undefined, row: () => undefined };
    const query = { sql: 'SELECT $1', parameters: [circular] };
    await assert.rejects(streamRows(client, [{ query, sink }]), /circular/);
  });
});

test('a connection that is cut off is as good as before: before the first row, in the middle, with the last', async () => {
  const one = createPool({ url, applicationName: 'cut off', size: 1, onIdleError: assert.fail });
  after(() => one.end());
  const pid = () => withSession(one, async ({ client }) => processOf(client));
  const first = await pid();
  const run = (sql: string, onRow: (n: number, cut: AbortController) => void = () => undefined) => {
    const cut = new AbortController();
    // A clock that stands still: the connection is not destroyed since a busy machine was slow to cancel.
    const borrowing = { signal: cut.signal, clock: createFakeClock() };
    const rows = withSession(
      one,
      ({ client }) => count(client, sql, { onRow: (n) => onRow(n, cut) }),
      borrowing,
    );
    return { cut, rows };
  };
  const slow = run('SELECT pg_sleep(600)');
  await untilActive('pg_sleep(600)');
  slow.cut.abort();
  await assert.rejects(slow.rows, { code: '57014' });
  await assert.rejects(run(ENDLESS, (n, cut) => n === 5000 && cut.abort()).rows, { code: '57014' });
  for (let i = 0; i < 50; i++) {
    // The cancel request finds the statement, or comes too late.
    const [outcome] = await Promise.allSettled([run('SELECT 1', (_, cut) => cut.abort()).rows]);
    if (outcome.status === 'rejected') assert.equal(outcome.reason.code, '57014');
    assert.equal(await run(THOUSAND).rows, 1000);
  }
  assert.equal(await pid(), first, 'the same connection all the time');
});

test('queries that wait for the client come in turn', async () => {
  await onGoodClient(async (client) => {
    const first = count(client, 'SELECT pg_sleep(0.2)');
    const plain = client.query('SELECT 2 AS two');
    const last = count(client, THOUSAND);
    assert.equal(await first, 1);
    assert.deepEqual((await plain).rows, [{ two: 2 }]);
    assert.equal(await last, 1000);
  });
});

test("pg's query_timeout ends a query", async () => {
  const client = new pg.Client({ connectionString: url, query_timeout: 500 });
  await client.connect();
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  const before = timers();
  await assert.rejects(count(client, 'SELECT pg_sleep(600)'), /Query read timeout/);
  assert.equal(timers(), before, 'a timer left behind would have a later query cancelled');
  assert.equal(await count(client, THOUSAND), 1000);
  await client.end();
});

test('notices, settings and notifications reach the client while rows come', async () => {
  await onGoodClient(async (client) => {
    const told: string[] = [];
    client.on('notice', (notice) => told.push(`notice ${notice.message}`));
    client.on('notification', ({ channel, payload }) => told.push(`${channel} ${payload}`));
    await client.query(`
      LISTEN news;
      CREATE FUNCTION pg_temp.say(i int) RETURNS int LANGUAGE plpgsql AS $$
        BEGIN
          RAISE NOTICE 'row %', i;
          PERFORM set_config('application_name', 'row ' || i, false);
          PERFORM pg_notify('news', 'from row ' || i);
          RETURN i;
        END $$`);
    assert.equal(await count(client, 'SELECT pg_temp.say(i) FROM generate_series(1, 3) AS i'), 3);
    await client.query('SELECT 1');
    const expected = [
      'notice row 1',
      'notice row 2',
      'notice row 3',
      'news from row 1',
      'news from row 2',
      'news from row 3',
    ];
    assert.deepEqual(told, expected);
  });
});

test('a connection that is lost in the middle rejects, and the pool throws the client away', async () => {
  const small = createPool({ url, applicationName: 'lost', size: 1, onIdleError: () => undefined });
  const kill = (pid: number) => pool.query('SELECT pg_terminate_backend($1)', [pid]);
  let first = 0;

  const terminated = withSession(small, ({ client }) => {
    first = processOf(client)!;
    return count(client, ENDLESS, { onRow: (n) => n === 5000 && void kill(first) });
  });
  // A server that is just then held up by a full socket goes without its last words (57P01).
  await assert.rejects(terminated, isConnectionLost);

  const cut = withSession(small, ({ client }) => {
    assert.notEqual(processOf(client), first);
    return count(client, ENDLESS, { onRow: (n) => n === 5000 && socketOf(client).destroy() });
  });
  await assert.rejects(cut, /Connection terminated unexpectedly/);

  const ended = withSession(small, ({ client }) =>
    count(client, ENDLESS, { onRow: (n) => n === 5000 && void (client as Client).end() }),
  );
  await assert.rejects(ended, /Connection terminated/);
  const still = await withSession(small, ({ client }) => count(client, THOUSAND));
  assert.equal(still, 1000);
  await small.end();
});

test('a cancel request that nobody hears: the connection is closed after CANCEL_LIMIT_MS.rows', async () => {
  // As behind a balancer, where the request may reach a server that does not know the connection.
  const proxy = await startProxy({ chunkSizes: [65_536], connections: 1 });
  const client = new pg.Client({ connectionString: proxy.url });
  await client.connect();
  const errors: string[] = [];
  client.on('error', (error) => errors.push(error.message));
  const clock = createFakeClock();
  const failed = Promise.withResolvers<void>();
  const onRow = () => {
    failed.resolve();
    throw new Error('hung up');
  };
  const rows = count(client, ENDLESS, { onRow, clock });
  let outcome = 'open';
  rows.catch((error: Error) => {
    outcome = error.message;
  });
  await failed.promise;
  await clock.advance(CANCEL_LIMIT_MS.rows - 1);
  assert.equal(outcome, 'open');
  await clock.advance(1);
  await assert.rejects(rows, /hung up/);
  assert.deepEqual(errors, ['Connection terminated unexpectedly']);
  assert.equal(clock.pendingTimers, 0);
});

test('rows are whole wherever the network cuts them', async () => {
  const sql = `SELECT i, repeat('"é', i % 700) AS a, NULL AS b, 1.5 AS c FROM generate_series(1, 300) AS i`;
  const query = { sql, parameters: [] };
  const expected = await withSession(pool, ({ client }) => rowsAsJson(client, query, { keep: ['a'] }));
  for (const chunkSizes of [[1, 7, 300], [5], [13, 4096, 1], [2000, 3]]) {
    const proxy = await startProxy({ chunkSizes, connections: 2 });
    const client = new pg.Client({ connectionString: proxy.url });
    await client.connect();
    const { bytes, last } = await rowsAsJson(client, query, { keep: ['a'] });
    assert.deepEqual([bytes, last], [expected.bytes, expected.last]);
    await assert.rejects(count(client, 'SELECT 1/(i-50) FROM generate_series(1, 100) AS i'), {
      code: '22012',
    });
    assert.deepEqual((await client.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
    await client.end();
  }
});

/** Waits until a query with this text runs, and waits for `event` if one is given. */
async function untilActive(text: string, event?: string): Promise<void> {
  const deadline = Date.now() + LIMIT_MS;
  for (;;) {
    const { rows } = await pool.query(
      `SELECT wait_event FROM pg_stat_activity
       WHERE state = 'active' AND pid <> pg_backend_pid() AND strpos(query, $1) > 0 AND wait_event = coalesce($2, wait_event)`,
      [text, event],
    );
    if (rows.length > 0) return;
    assert.ok(Date.now() < deadline, `no query with ${text} runs`);
    await sleep(20);
  }
}

interface ProxyOptions {
  /** What it passes on to the client goes in writes of these sizes, over and over. */
  readonly chunkSizes: readonly number[];
  /** Later ones are accepted, and nothing more. */
  readonly connections: number;
}

/** A network in between. Ends with the tests. */
async function startProxy({ chunkSizes, connections }: ProxyOptions): Promise<{ url: string }> {
  const target = new URL(url);
  const sockets: Socket[] = [];
  let accepted = 0;
  const server = createServer({ noDelay: true }, (client) => {
    sockets.push(client);
    client.on('error', () => undefined);
    if (++accepted > connections) return void client.resume();
    const upstream = connect(Number(target.port), target.hostname);
    sockets.push(upstream);
    upstream.on('error', () => undefined);
    client.pipe(upstream);
    passOn(upstream, client, chunkSizes).catch(() => client.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  assert.ok(address && typeof address === 'object');
  const through = new URL(url);
  through.port = String(address.port);
  return { url: through.href };
}

async function passOn(from: Socket, to: Socket, chunkSizes: readonly number[]): Promise<void> {
  let i = 0;
  for await (const chunk of from as AsyncIterable<Buffer>) {
    for (let at = 0; at < chunk.length; i++) {
      const size = chunkSizes[i % chunkSizes.length]!;
      to.write(chunk.subarray(at, at + size));
      at += size;
      await turn(); // the reader, in the same process, takes it before the next is written
    }
  }
  to.end();
}
