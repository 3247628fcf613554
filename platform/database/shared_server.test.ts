/** Two services on one PostgreSQL: whose breaker opens for what, and how each comes back. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { createActivityLog } from '#platform/resilience/activity.ts';
import { FAILURES_TO_OPEN, SUCCESSES_TO_CLOSE } from '#platform/resilience/circuit_breaker.ts';
import { FAILED_CHECKS_TO_TELL } from '#platform/resilience/health_monitor.ts';
import type { RequestContext } from '#platform/resilience/request_context.ts';
import { createLogger } from '#platform/telemetry/logger.ts';
import { testDatabase } from '#tests/postgres.ts';
import { createGuardedServer, type GuardedServer } from './guarded_server.ts';
import type { Session } from './session.ts';
import { createSharedServer } from './shared_server.ts';

const clock = systemClock;
const { url } = await testDatabase();

const context = (): RequestContext => ({
  priority: 'customer',
  tenant: 'a',
  deadline: clock.monotonic() + 30_000,
  signal: new AbortController().signal,
});

function setUp() {
  let fails = false;
  const server = createSharedServer({
    name: 'primary',
    url,
    applicationName: 'shared',
    poolSize: 4,
    queryTimeoutMs: 200,
    connectionLifetimeMs: 300_000,
    random: Math.random,
    clock,
    logger: createLogger('test', 'silent'),
    healthCheck: async (client) => {
      if (fails) throw new Error('no answer');
      await client.query('SELECT 1');
    },
  });
  after(() => server.close());
  const service = () => {
    const activity = createActivityLog(clock);
    const guarded = createGuardedServer({ name: 'primary', server, queueOrder: 'fifo', clock, activity });
    after(guarded.leave);
    return { ...guarded, told: () => activity.recent.map(({ text }) => text).join('\n') };
  };
  const [one, other] = [service(), service()];
  const check = async (times: number, failing: boolean) => {
    fails = failing;
    for (let n = 0; n < times; n++) await server.monitor.runOnce();
  };
  return { one, other, check };
}

const statement =
  (sql: string) =>
  ({ client }: Session) =>
    client.query(sql);
const tooLong = statement('SELECT pg_sleep(60)');
const lost = statement('SELECT pg_terminate_backend(pg_backend_pid())');
const refusedByPostgres = statement('SELECT 1 / 0');
const mayNotWrite = statement('SET TRANSACTION READ ONLY; CREATE TABLE never (a int)');
const well = statement('SELECT 1');

async function run(service: GuardedServer, work: ReturnType<typeof statement>, times: number) {
  for (let n = 0; n < times; n++) await service.run(context(), work).catch(() => undefined);
}

const states = (...services: readonly GuardedServer[]) =>
  services.map(({ breaker }) =>
    breaker.state.name === 'CLOSED' ? 'CLOSED' : `${breaker.state.name} of ${breaker.of}`,
  );

/** What befalls a service or the server, and the breakers of this service and of another one then. */
const TABLE: readonly [
  what: string,
  happens: (on: ReturnType<typeof setUp>) => Promise<void>,
  one: string,
  other: string,
][] = [
  [
    'its statements take too long',
    ({ one }) => run(one, tooLong, FAILURES_TO_OPEN),
    'OPEN of service',
    'CLOSED',
  ],
  [
    'its statements write where they may not',
    ({ one }) => run(one, mayNotWrite, FAILURES_TO_OPEN),
    'OPEN of service',
    'CLOSED',
  ],
  [
    'PostgreSQL turns its statements down',
    ({ one }) => run(one, refusedByPostgres, FAILURES_TO_OPEN),
    'CLOSED',
    'CLOSED',
  ],
  [
    'it loses its connections',
    ({ one }) => run(one, lost, FAILURES_TO_OPEN),
    'OPEN of server',
    'OPEN of server',
  ],
  [
    'both lose connections in turn',
    async ({ one, other }) => {
      for (let n = 0; n < FAILURES_TO_OPEN; n++) await run(n % 2 === 0 ? one : other, lost, 1);
    },
    'OPEN of server',
    'OPEN of server',
  ],
  [
    'time-outs of one and losses of the other are not added up',
    async ({ one, other }) => {
      await run(one, tooLong, FAILURES_TO_OPEN - 1);
      await run(other, lost, FAILURES_TO_OPEN - 1);
    },
    'CLOSED',
    'CLOSED',
  ],
  [
    'health checks fail',
    ({ check }) => check(FAILED_CHECKS_TO_TELL, true),
    'OPEN of server',
    'OPEN of server',
  ],
  [
    'it is opened by hand',
    async ({ one }) => one.breaker.openByHand('Ann'),
    'HELD_OPEN of service',
    'CLOSED',
  ],
];

for (const [what, happens, expectedOne, expectedOther] of TABLE) {
  test(`${what}: its breaker is ${expectedOne}, the other's ${expectedOther}`, async () => {
    const on = setUp();
    await run(on.one, well, 1);
    await happens(on);
    assert.deepEqual(states(on.one, on.other), [expectedOne, expectedOther]);
    if (expectedOther === 'CLOSED') await on.other.run(context(), well);
    if (expectedOne === 'CLOSED') await on.one.run(context(), well);
  });
}

test('after an outage of the server any service finds out whether it works again, for all', async () => {
  const { one, other, check } = setUp();
  await check(FAILED_CHECKS_TO_TELL, true);
  await check(1, false);
  assert.deepEqual(states(one, other), ['HALF_OPEN of server', 'HALF_OPEN of server']);
  await run(one, well, SUCCESSES_TO_CLOSE - 1);
  assert.deepEqual(states(one, other), ['HALF_OPEN of server', 'HALF_OPEN of server']);
  await run(other, well, 1);
  assert.deepEqual(states(one, other), ['CLOSED', 'CLOSED']);
  assert.match(other.told(), /Circuit of primary: HALF_OPEN to CLOSED/);
  assert.match(other.told(), /Health check of primary: PASS/);
});

test('a service that its time-outs have closed off comes back by its own requests, or by health checks', async () => {
  const { one, other, check } = setUp();
  await run(one, tooLong, FAILURES_TO_OPEN);
  await check(1, false);
  assert.deepEqual(states(one, other), ['HALF_OPEN of service', 'CLOSED']);
  await run(one, tooLong, 1);
  assert.deepEqual(states(one, other), ['OPEN of service', 'CLOSED']);
  assert.doesNotMatch(other.told(), /Circuit/);
  await check(1, false);
  await run(one, well, SUCCESSES_TO_CLOSE);
  assert.deepEqual(states(one, other), ['CLOSED', 'CLOSED']);
  await run(one, tooLong, FAILURES_TO_OPEN);
  await check(1 + SUCCESSES_TO_CLOSE, false);
  assert.deepEqual(states(one, other), ['CLOSED', 'CLOSED']);
});

test('closing by hand closes both, whoever opened', async () => {
  const { one, other, check } = setUp();
  await check(FAILED_CHECKS_TO_TELL, true);
  one.breaker.openByHand('Ann');
  assert.deepEqual(states(one, other), ['HELD_OPEN of service', 'OPEN of server']);
  one.breaker.closeByHand('Ann');
  assert.deepEqual(states(one, other), ['CLOSED', 'CLOSED']);
});
