/**
 * The calls service while others hold all connections of its PostgreSQL (SQLSTATE 53300), with the settings of the
 * reference: the breaker stays open for its 60 s, here on a clock that runs six times as fast.
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import pg from 'pg';
import { until } from '#engines/cluster/processes.ts';
import { OPEN_MS } from '#platform/resilience/circuit_breaker.ts';
import { callsUnderLoad } from '#tests/calls_under_load.ts';
import { createFastClock } from '#tests/fast_clock.ts';
import { assertWhole, summary } from '#tests/load.ts';
import { ownDatabase, ownPostgresSkip } from '#tests/own_postgres.ts';

const PER_SECOND = 40;
const PACE = 6;
/** By the service's clock. */
const TIMEOUT_S = 5;
const MAX_CONNECTIONS = 30;
const SEEN_LIMIT_MS = 30_000;
const NORMAL_LIMIT_MS = 60_000;
const TOO_MANY = '53300';

suite('PostgreSQL has no connection left', { skip: ownPostgresSkip, timeout: 180_000 }, async () => {
  const database = await ownDatabase({ max_connections: String(MAX_CONNECTIONS) });
  const clock = createFastClock(PACE);
  const calls = await callsUnderLoad(database, {}, { clock });
  const primary = async () => (await calls.api.get('/monitoring', calls.operator)).body.data.servers[0];
  const others: pg.Client[] = [];

  /** Opens connections until PostgreSQL refuses. */
  async function takeAll(): Promise<void> {
    for (;;) {
      const client = new pg.Client({ connectionString: database.url, application_name: 'others' });
      client.on('error', () => undefined);
      try {
        await client.connect();
      } catch (error) {
        assert.equal((error as { code?: string }).code, TOO_MANY);
        return;
      }
      others.push(client);
    }
  }

  test('the breaker opens, lets probes through after the first successful health check, and closes', async (t) => {
    const load = calls.load(PER_SECOND, TIMEOUT_S);
    await load.normalAgain(NORMAL_LIMIT_MS);
    await takeAll();
    // The service's pool loses what it has, and the others are quicker.
    const opened = await until(async () => {
      await others[0]!.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'trunkline-calls'",
      );
      await takeAll();
      return (await primary()).circuit.state === 'OPEN';
    }, SEEN_LIMIT_MS);
    assert.ok(opened);
    const { circuit, healthy } = await primary();
    assert.equal(Date.parse(circuit.next_probe) - Date.parse(circuit.since), OPEN_MS);

    const seenAt = performance.now();
    await Promise.all(others.map((client) => client.end()));
    await load.normalAgain(NORMAL_LIMIT_MS);
    const got = await load.stop();
    const served = got.filter(({ status }) => status === 200).map(({ askedAt, ms }) => askedAt + ms);
    const first = Math.min(...served.filter((at) => at > seenAt));
    t.diagnostic(
      `the health check, on its own connection, ${healthy ? 'passed' : 'failed'} meanwhile; served again ${Math.round((first - seenAt) * PACE)} ms of the service's clock after the breaker was seen open; ${summary(got)}`,
    );
    assert.ok((first - seenAt) * PACE < OPEN_MS / 2, 'a health check that passes ends the time early');
    assertWhole(got, ['unavailable', 'database_down', 'deadline_exceeded']);
    const { body } = await calls.api.get('/monitoring', calls.operator);
    const said = body.data.recent_activity.map(({ text }: { text: string }) => text).join('\n');
    assert.equal(body.data.servers[0].circuit.state, 'CLOSED', said);
  });

  test('nothing is left behind', () => calls.assertNothingLeft());
});
