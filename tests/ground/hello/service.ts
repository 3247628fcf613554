/** A service that greets: all that a service can have, in the fewest lines. tests/ground/ground.test.ts adds it to the program. */
import { Command } from 'commander';
import { sql } from 'kysely';
import { Type } from 'typebox';
import { contextOf } from '#platform/access/http_context.ts';
import { asText } from '#platform/config/readers.ts';
import { setting } from '#platform/config/settings.ts';
import { withSession, withTransaction } from '#platform/database/pool.ts';
import type { Session } from '#platform/database/session.ts';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import { answer, closed, elapsed, failures, NO_QUERY, text } from '#platform/http/answers.ts';
import { handling, subscription } from '#platform/messaging/consumption.ts';
import { event, message } from '#platform/messaging/topic.ts';
import { defineService, migrationsBeside } from '#platform/service/definition.ts';
import { Counter } from '#platform/telemetry/metrics.ts';
import { print } from '#platform/terminal/print.ts';

const build = sqlBuilder<unknown>();
const greet = (name: string): Statement<{ times: number }> =>
  sql<{ times: number }>`
    INSERT INTO hello.greetings (name) VALUES (${name})
    ON CONFLICT (name) DO UPDATE SET times = greetings.times + 1, at = now() RETURNING times`.compile(build);
const forgetOld = () => sql`DELETE FROM hello.greetings WHERE at < now() - interval '1 day'`.compile(build);
const listAll = (): Statement<{ name: string; times: number }> =>
  sql<{ name: string; times: number }>`SELECT name, times FROM hello.greetings ORDER BY name`.compile(build);

const Greeted = Type.Object({ name: Type.String() });
const greeted = event({ name: 'hello.greeted', version: 1, purpose: 'Somebody was greeted', body: Greeted });
const listener = subscription('hello.listener', [greeted]);

const Greeting = Type.Object({ words: Type.String(), times: Type.Integer() });

export const hello = defineService({
  name: 'hello',
  purpose: 'greets',
  description: 'Greets whoever is named.',
  port: 3012,
  migrations: migrationsBeside(import.meta.url, 'hello'),
  publishes: [greeted],
  consumes: [listener],
  settings: { greeting: setting('Hello', 'What is said to whoever is greeted', asText) },
  start: async ({ database, settings, registry, clock, publish }) => {
    const { pool } = database;
    const heard = new Counter({ name: 'hello_heard_total', help: 'Greetings', registers: [registry] });
    return {
      routes: (api) =>
        api.post(
          '/greetings',
          {
            config: { scopes: ['operator'] },
            schema: {
              tags: ['hello'],
              summary: 'Greets somebody',
              security: [{ bearer: [] }],
              querystring: NO_QUERY,
              body: Type.Object({ name: text('Who is greeted') }, closed),
              response: { 200: answer(Greeting), ...failures(400, 401, 403, 429, 503) },
            },
          },
          async (request, reply) => {
            const { name } = request.body;
            const context = contextOf(request, reply, clock, request.caller);
            const say = async (on: Session) => {
              await publish(on, [message(greeted, { name })]);
              return on.row(greet(name));
            };
            const { value } = await database.withWritePool(context, (lent, signal) =>
              withTransaction(lent, say, { signal }),
            );
            const data = { words: `${settings.greeting}, ${name}`, times: value!.times };
            return { success: true as const, data, duration_ms: elapsed(reply) };
          },
        ),
      handlers: [handling(listener, async () => void heard.inc())],
      jobs: [{ name: 'old', everyMs: 60_000, runOnce: () => withSession(pool, (on) => on.run(forgetOld())) }],
    };
  },
  commands: {
    greetings: async ({ withDatabase }) =>
      new Command('greetings')
        .description('who has been greeted')
        .addHelpText('after', '\nExample:\n  trunkline greetings')
        .action(() =>
          withDatabase(async ({ pool }) => {
            const rows = await withSession(pool, (session) => session.rows(listAll()));
            for (const { name, times } of rows) print(`${name} ${times}`);
          }),
        ),
  },
});
