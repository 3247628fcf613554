/** Messages of services, as their definitions say: on one database, on two, through RabbitMQ, with kills and duplicates. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once as nextEvent } from 'node:events';
import { after, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { until } from '#engines/cluster/processes.ts';
import { noRabbitmq } from '#engines/rabbitmq.ts';
import { withTransaction } from '#platform/database/pool.ts';
import { createLifetime } from '#platform/lifecycle/lifetime.ts';
import { message, type Outgoing } from '#platform/messaging/topic.ts';
import type { AnyDatabaseService } from '#platform/service/definition.ts';
import { startService } from '#platform/service/service.ts';
import type { DatabaseSettings, DatabaseTools } from '#platform/service/tools.ts';
import { publishersOf } from '#platform/service/topics.ts';
import { SERVICES } from '#system';
import { type TestDatabase, testDatabase } from '#tests/postgres.ts';
import { testRabbitmq } from '#tests/rabbitmq.ts';
import {
  changed,
  counted,
  listenerService,
  messageParts,
  publisherService,
  toPrint,
  undeclared,
} from '#tests/service_messages.ts';

const LIMIT_MS = 20_000;
const PROCESS = fileURLToPath(new URL('../listener_process.ts', import.meta.url));

async function start(service: AnyDatabaseService, parts: ReturnType<typeof messageParts>) {
  const lifetime = createLifetime((what, error) => assert.fail(`${what}: ${String(error)}`));
  after(lifetime.stop);
  await startService(service, parts, lifetime);
  return lifetime;
}

async function startPublisher(
  at: TestDatabase,
  brokerUrl?: string,
): Promise<DatabaseTools<DatabaseSettings>> {
  const given = Promise.withResolvers<DatabaseTools<DatabaseSettings>>();
  await start(publisherService(given.resolve), messageParts(at.url, at.url, brokerUrl));
  return given.promise;
}

const publish = ({ database, ...tools }: DatabaseTools<DatabaseSettings>, messages: readonly Outgoing[]) =>
  withTransaction(database.pool, (session) => tools.publish(session, messages));

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);
const leftAt = async ({ pool }: TestDatabase) =>
  (await pool.query<{ count: number }>('SELECT count(*) AS count FROM messaging.messages')).rows[0]!.count;

/** Events, work and broadcasts reach a service on the same database or on another one. */
function reach(brokerUrl?: () => string) {
  for (const where of ['the same database', 'another database'] as const)
    test(`events in their order, work and broadcasts reach a service on ${where}`, async () => {
      const there = await testDatabase();
      const here = where === 'the same database' ? there : await testDatabase();
      const heard: { topic: string; n: number }[] = [];
      const broadcasts: number[] = [];
      await start(
        listenerService({
          onMessage: async ({ topic, body: { n } }) => void heard.push({ topic, n }),
          onBroadcast: (n) => broadcasts.push(n),
        }),
        messageParts(here.url, there.url, brokerUrl?.()),
      );
      const tools = await startPublisher(there, brokerUrl?.());
      const subscribed = async () =>
        (await there.pool.query('SELECT 1 FROM messaging.subscriptions')).rowCount === 1;
      assert.ok(await until(subscribed, LIMIT_MS));
      // Its first look at broadcasts hears nothing.
      await sleep(2_500);
      await publish(
        tools,
        numbers(50).map((n) => message(counted, { n }, { key: 'one' })),
      );
      await publish(
        tools,
        numbers(50).map((n) => message(toPrint, { n })),
      );
      await withTransaction(tools.database.pool, (session) => tools.announce(session, changed, { n: 7 }));
      assert.ok(
        await until(async () => heard.length >= 100 && broadcasts.length > 0, LIMIT_MS),
        `${heard.length}`,
      );
      const of = (topic: string) => heard.filter((one) => one.topic === topic).map(({ n }) => n);
      assert.deepEqual(of('number.counted'), numbers(50), 'of one key: in order');
      assert.deepEqual(
        of('number.print').toSorted((a, b) => a - b),
        numbers(50),
      );
      assert.deepEqual(broadcasts, [7]);
      for (const place of [there, here])
        assert.ok(await until(async () => (await leftAt(place)) === 0, LIMIT_MS));
    });
}

suite('in PostgreSQL', () => reach());
suite('through RabbitMQ', { skip: noRabbitmq }, async () => {
  const { url } = await testRabbitmq(1);
  reach(() => url);
});

const DONE_REFUSED = `
  CREATE FUNCTION test_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused by the test'; END $$;
  CREATE TRIGGER test_refuse BEFORE DELETE ON messaging.messages EXECUTE FUNCTION test_refuse()`;

test('a process killed after it has copied a message, and before the publisher knows, copies it once', async () => {
  const [there, here] = [await testDatabase(), await testDatabase()];
  const tools = await startPublisher(there);
  await publish(
    tools,
    numbers(20).map((n) => message(counted, { n })),
  );
  // The publisher's server can't be told that a message is copied.
  await there.pool.query(DONE_REFUSED);
  const first = spawnListener(here, there);
  const copied = async () =>
    (await here.pool.query<{ count: number }>('SELECT count(*) AS count FROM messaging.handled')).rows[0]!
      .count;
  assert.ok(await until(async () => heardBy(first).length === 20 && (await leftAt(here)) === 0, LIMIT_MS));
  assert.equal(await copied(), 20);
  first.kill('SIGKILL');
  await nextEvent(first, 'exit');
  assert.equal(await leftAt(there), 20, 'copied and handled, and still there');
  await there.pool.query('DROP TRIGGER test_refuse ON messaging.messages');
  await there.pool.query("UPDATE messaging.messages SET due_at = now() WHERE state = 'leased'");
  const second = spawnListener(here, there);
  assert.ok(await until(async () => (await leftAt(there)) === 0, LIMIT_MS));
  await publish(tools, [message(counted, { n: 20 })]);
  assert.ok(await until(async () => heardBy(second).length > 0, LIMIT_MS));
  assert.deepEqual(heardBy(second), ['20'], 'what was copied once is not copied twice');
  second.kill('SIGTERM');
  await nextEvent(second, 'exit');
});

const outputs = new WeakMap<ChildProcess, string[]>();
function spawnListener(here: TestDatabase, there: TestDatabase): ChildProcess {
  const child = spawn(process.execPath, [PROCESS, here.url, there.url], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  after(() => child.kill('SIGKILL'));
  const out: string[] = [];
  outputs.set(child, out);
  child.stdout.setEncoding('utf8').on('data', (text: string) => out.push(text));
  return child;
}
const heardBy = (child: ChildProcess): string[] =>
  [
    ...outputs
      .get(child)!
      .join('')
      .matchAll(/heard number\.counted (\d+)/g),
  ].map(([, n]) => n!);

test('a handler that runs when the service stops ends its work on the database first', async () => {
  const database = await testDatabase();
  await database.pool.query('CREATE TABLE test_effects (n integer)');
  const begun = Promise.withResolvers<void>();
  const lifetime = await start(
    listenerService({
      onMessage: async ({ body: { n } }, { database: { pool } }) => {
        begun.resolve();
        await sleep(500);
        await pool.query('INSERT INTO test_effects VALUES ($1)', [n]);
      },
    }),
    messageParts(database.url, database.url),
  );
  await publish(await startPublisher(database), [message(counted, { n: 1 })]);
  await begun.promise;
  await lifetime.stop();
  assert.deepEqual((await database.pool.query('SELECT n FROM test_effects')).rows, [{ n: 1 }]);
  assert.equal(await leftAt(database), 0);
});

test('what a service does not declare it can not publish, and nothing is written', async () => {
  const database = await testDatabase();
  const tools = await startPublisher(database);
  const both = [message(counted, { n: 1 }), message(undeclared, { n: 2 })];
  await assert.rejects(publish(tools, both), /publisher does not publish number\.lost/);
  assert.equal((await database.pool.query('SELECT 1 FROM messaging.events')).rowCount, 0);
});

test('a service without a handler for what it consumes does not start', async () => {
  const { url } = await testDatabase();
  const service = { ...listenerService({ onMessage: async () => undefined }), start: async () => ({}) };
  const lifetime = createLifetime(() => undefined);
  await assert.rejects(
    startService(service, messageParts(url, url), lifetime),
    /listener consumes listener\.numbers, and gives 0 handlers for it/,
  );
  await lifetime.stop();
});

test('topics without a publisher, with two, and a name with two consumers are faults before the start', () => {
  const publisher = publisherService(() => undefined);
  const listener = listenerService({ onMessage: async () => undefined });
  assert.equal(publishersOf([publisher, listener]).get('number.print'), 'publisher');
  assert.throws(() => publishersOf([listener]), /listener consumes number\.counted, which no service/);
  assert.throws(
    () => publishersOf([publisher, { ...publisher, name: 'other' }]),
    /other publishes number\.counted, as publisher does/,
  );
  assert.throws(
    () => publishersOf([publisher, listener, { ...listener, name: 'other' }]),
    /other consumes by the name listener\.numbers, as listener does/,
  );
  publishersOf(SERVICES);
});
