/**
 * The calls service while its PostgreSQL is frozen: connections stay open and new ones are taken by the kernel, but
 * nobody answers. Only time limits see it.
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { until } from '#engines/cluster/processes.ts';
import { callsUnderLoad, POOL_SIZE } from '#tests/calls_under_load.ts';
import { assertWhole, summary } from '#tests/load.ts';
import { ownDatabase, ownPostgresSkip } from '#tests/own_postgres.ts';

const PER_SECOND = 40;
const TIMEOUT_S = 3;
/** What is cut off at its deadline has a second to end; then the machine may be slow. */
const ANSWER_LIMIT_MS = TIMEOUT_S * 1000 + 5_000;
const SEEN_LIMIT_MS = 30_000;
const NORMAL_LIMIT_MS = 60_000;

suite('PostgreSQL is frozen', { skip: ownPostgresSkip, timeout: 180_000 }, async () => {
  const database = await ownDatabase();
  const calls = await callsUnderLoad(database, { earlyProbe: true });
  const report = async () => (await calls.api.get('/monitoring', calls.operator)).body.data;

  test('it is seen within seconds, every request is answered in time, and all is normal when it goes on', async (t) => {
    const load = calls.load(PER_SECOND, TIMEOUT_S);
    await load.normalAgain(NORMAL_LIMIT_MS);
    const frozenAt = performance.now();
    database.freeze();
    let circuit = '';
    await until(async () => {
      const [primary] = (await report()).servers;
      assert.ok(primary.queue.processing <= POOL_SIZE);
      circuit = primary.circuit.state;
      return circuit === 'OPEN';
    }, SEEN_LIMIT_MS);
    const seenMs = performance.now() - frozenAt;
    assert.equal(circuit, 'OPEN');
    const running = await until(
      async () => (await report()).servers[0].queue.processing === 0,
      ANSWER_LIMIT_MS,
    );
    assert.ok(running, 'a frozen server holds a slot');

    database.thaw();
    const normalMs = await load.normalAgain(NORMAL_LIMIT_MS);
    const got = await load.stop();
    t.diagnostic(
      `seen after ${Math.round(seenMs)} ms, normal ${Math.round(normalMs)} ms after it went on; ${summary(got)}`,
    );
    assertWhole(got, ['deadline_exceeded', 'database_down', 'unavailable', 'queue_overload']);
    for (const { ms } of got) assert.ok(ms < ANSWER_LIMIT_MS, `answered after ${ms} ms`);
  });

  test('nothing is left behind', () => calls.assertNothingLeft());
});
