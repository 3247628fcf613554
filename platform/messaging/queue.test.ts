import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withSession } from '#platform/database/pool.ts';
import { jobsOf, numbered, testMessages } from '#tests/messages.ts';
import { done, take } from './queue.ts';

test('ending messages looks each up by its number, however many others are in hand or wait for their time', async () => {
  const { pool, publish } = await testMessages();
  await publish(numbered(jobsOf('plans'), 2_000));
  // As PostgreSQL knows a queue that is idle most of the time: next to nothing is in hand.
  await pool.query('VACUUM ANALYZE messaging.messages');
  await withSession(pool, async (session) => {
    const taken = await session.rows(take('plans', 500, 60_000, false));
    const { sql, parameters } = done(taken);
    const { rows } = await session.client.query(`EXPLAIN ${sql}`, parameters as unknown[]);
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
    assert.match(plan, /using messages_pkey/);
    assert.doesNotMatch(plan, /messages_due/);
  });
});
