/**
 * A process that consumes messages, for tests that kill and freeze it.
 *
 *   node tests/messages_process.ts URL QUEUE MODE [RABBITMQ_URL]
 *
 * It notes each message in the table test_effects. MODE says what it does then:
 *   handle        ends it
 *   after_effect  stops before it says that it is done, for ever
 *   poison        kills itself where the number is 13
 */
import { sql } from 'kysely';
import { createPool, withTransaction } from '#platform/database/pool.ts';
import { sqlBuilder } from '#platform/database/statement.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { createMessaging } from '#platform/messaging/messaging.ts';
import { once } from '#platform/messaging/once.ts';
import { FAST, jobsOf } from './messages.ts';

const [url, queue, mode, brokerUrl] = process.argv.slice(2) as [string, string, string, string | undefined];
const build = sqlBuilder<unknown>();
const pool = createPool({ url, applicationName: 'consumer', size: 20, onIdleError: () => undefined });
const say = (text: string) => process.stdout.write(`${text}\n`);
const onEvent = (_queue: string, event: object) =>
  say(JSON.stringify(event, (_key, value) => (value instanceof Error ? value.message : value)));
const messaging = createMessaging({
  service: 'test',
  pool,
  clock: systemClock,
  random: Math.random,
  onEvent,
  brokerUrl,
});

messaging.takeWork(
  jobsOf(queue),
  async ({ id, body: { n } }, { number }) => {
    say(`begun ${n} attempt ${number}`);
    if (mode === 'poison' && n === 13) process.kill(process.pid, 'SIGKILL');
    await withTransaction(pool, (session) =>
      once(session, queue, id, async () => {
        await session.run(sql`INSERT INTO test_effects (queue, n) VALUES (${queue}, ${n})`.compile(build));
      }),
    );
    say(`effect ${n}`);
    if (mode === 'after_effect') await new Promise(() => {});
    return 'done';
  },
  { ...FAST, concurrency: 5 },
);

const stopping = new AbortController();
process.once('SIGTERM', () => stopping.abort());
await messaging.run(stopping.signal);
await pool.end();
