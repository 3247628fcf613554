/** The calls service while its PostgreSQL is fifty times slower, as on a machine that is starved of its processor. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { callsUnderLoad, POOL_SIZE } from '#tests/calls_under_load.ts';
import { assertWhole, summary } from '#tests/load.ts';
import { ownDatabase, ownPostgresSkip } from '#tests/own_postgres.ts';

/** Well below what it can do, and well above what it can do fifty times slower. */
const PER_SECOND = 200;
const TIMEOUT_S = 2;
const SLOW_MS = 8_000;
const NORMAL_LIMIT_MS = 60_000;
const ANSWER_LIMIT_MS = TIMEOUT_S * 1000 + 5_000;

suite('PostgreSQL is fifty times slower', { skip: ownPostgresSkip, timeout: 180_000 }, async () => {
  const database = await ownDatabase();
  const calls = await callsUnderLoad(database);

  test('the service serves as many requests as it can, refuses the others in time, and the breaker stays closed', async (t) => {
    const load = calls.load(PER_SECOND, TIMEOUT_S);
    await load.normalAgain(NORMAL_LIMIT_MS);
    const from = performance.now();
    const quick = database.slow();
    await sleep(SLOW_MS);
    const { body } = await calls.api.get('/monitoring', calls.operator);
    const [primary] = body.data.servers;
    const to = performance.now();
    await quick();
    const normalMs = await load.normalAgain(NORMAL_LIMIT_MS);
    const got = await load.stop();
    const meanwhile = got.filter(({ askedAt }) => askedAt > from && askedAt < to);
    t.diagnostic(`meanwhile: ${summary(meanwhile)}`);
    t.diagnostic(`normal ${Math.round(normalMs)} ms after it was quick again; ${summary(got)}`);

    assert.equal(primary.circuit.state, 'CLOSED', 'slow is not down');
    assert.ok(primary.queue.processing <= POOL_SIZE);
    assert.ok(primary.queue.length <= primary.queue.limit);
    assert.ok(
      meanwhile.some(({ status }) => status === 200),
      'some are served',
    );
    assert.ok(
      meanwhile.some(({ status }) => status === 503),
      'it was slow enough to turn some away',
    );
    assertWhole(got, ['deadline_exceeded', 'queue_overload', 'database_down', 'unavailable']);
    for (const { ms } of got) assert.ok(ms < ANSWER_LIMIT_MS, `answered after ${ms} ms`);
  });

  test('nothing is left behind', () => calls.assertNothingLeft());
});
