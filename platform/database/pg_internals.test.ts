/** What pg must have for pg_internals.ts: a version of pg that lacks one of these fails here, and says which. */
import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { after, test } from 'node:test';
import pg from 'pg';
import { testDatabase } from '#tests/postgres.ts';
import {
  type Connection,
  cancelTarget,
  destroyConnection,
  isReadyForQuery,
  prepareValue,
  processOf,
  type Submittable,
  settingsOf,
  socketOf,
  submit,
} from './pg_internals.ts';

const { url } = await testDatabase();
const { version } = (await import('pg/package.json', { with: { type: 'json' } })).default;
/** The version first, so that whoever upgrades sees what it found. */
const says = (what: string) => `pg ${version}: ${what}`;

async function connected(config: pg.ClientConfig = {}): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, ...config });
  client.on('error', () => undefined);
  after(() => client.end().catch(() => undefined));
  await client.connect();
  return client;
}

test('a client knows its socket, its process and whether it is ready', async () => {
  const client = await connected();
  assert.ok(socketOf(client) instanceof Socket, says('client.connection.stream is the socket'));
  assert.equal(socketOf(client).listenerCount('data'), 1, says('it listens to its data once'));
  const { rows } = await client.query('SELECT pg_backend_pid() AS pid');
  assert.equal(processOf(client), rows[0].pid, says('client.processID is the process that answers'));
  const { host, port, processID, secretKey } = cancelTarget(client);
  const { hostname, port: expected } = new URL(url);
  assert.deepEqual([host, port, processID], [hostname, Number(expected), rows[0].pid], says('host, port'));
  assert.ok(Number.isInteger(secretKey), says(`client.secretKey is a number, not ${typeof secretKey}`));

  assert.equal(isReadyForQuery(client), true, says('client.readyForQuery between two statements'));
  const running = client.query('SELECT pg_sleep(0.01)');
  assert.equal(isReadyForQuery(client), false, says('client.readyForQuery while a statement runs'));
  await running;
  assert.equal(client.getTransactionStatus(), 'I', says('client.getTransactionStatus()'));
});

test('a connection that is destroyed ends its statement', async () => {
  const client = await connected();
  const running = client.query('SELECT pg_sleep(600)');
  destroyConnection(client);
  await assert.rejects(running, Error, says('destroying its socket rejects a query'));
});

test('a query of ours gets its turn, the connection, and every end that there is', async () => {
  const client = await connected({ query_timeout: 100 });
  const told: string[] = [];
  let sent: Connection | undefined;
  const failed = Promise.withResolvers<unknown>();
  const query: Submittable = {
    submit(connection) {
      told.push('submit');
      sent = connection;
      return undefined; // it sends nothing, so that the client's query_timeout ends it
    },
    handleError: failed.resolve,
    handleReadyForQuery: () => told.push('ready'),
    handleCopyInResponse: () => undefined,
  };
  const before = client.query('SELECT 1');
  submit(client, query);
  assert.deepEqual(told, [], says('submit() waits for the query before'));
  await before;
  assert.match(String(await failed.promise), /Query read timeout/, says('query_timeout calls handleError'));
  assert.deepEqual(told, ['submit'], says('submit() is called when the turn has come'));
  assert.equal(sent?.stream, socketOf(client), says('submit() gets the connection'));
  assert.equal(typeof query.callback, 'function', says('client.query() sets callback, which stops the time'));
  for (const name of ['sendCopyFail', 'sync'] as const)
    assert.equal(typeof sent?.[name], 'function', says(`connection.${name}()`));
});

test('an error that submit() gives ends the query, and the next one gets its turn', async () => {
  const client = await connected();
  const failed = Promise.withResolvers<unknown>();
  submit(client, {
    submit: () => new Error('cannot be sent'),
    handleError: failed.resolve,
    handleReadyForQuery: () => undefined,
    handleCopyInResponse: () => undefined,
  });
  assert.match(String(await failed.promise), /cannot be sent/, says('handleError gets what submit() gave'));
  assert.deepEqual((await client.query('SELECT 1 AS one')).rows, [{ one: 1 }], says('the next query runs'));
});

test('parameters become what pg itself would send', () => {
  const given = [7, true, null, undefined, 'é', [1, 'a"b'], { a: 1 }];
  const sent = ['7', 'true', null, null, 'é', '{"1","a\\"b"}', '{"a":1}'];
  assert.deepEqual(given.map(prepareValue), sent, says('utils.prepareValue'));
  const bytes = Buffer.from([1, 2]);
  assert.equal(prepareValue(bytes), bytes, says('utils.prepareValue leaves bytes as they are'));
});

test("what is changed in a pool's settings counts for its next connection", async () => {
  const pool = new pg.Pool({ connectionString: url, statement_timeout: 1_234, max: 1 });
  after(() => pool.end());
  assert.equal(settingsOf(pool).statement_timeout, 1_234, says('pool.options'));
  delete settingsOf(pool).statement_timeout;
  const { rows } = await pool.query('SHOW statement_timeout');
  assert.deepEqual(rows, [{ statement_timeout: '0' }], says('pool.options is read for each connection'));
});
