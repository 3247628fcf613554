/** GET /sources: the state of each switch, for operators. */
import { Type } from 'typebox';
import { contextOf } from '#platform/access/http_context.ts';
import type { Api } from '#platform/access/protected_routes.ts';
import type { Database } from '#platform/database/database.ts';
import { answer, elapsed, failures } from '#platform/http/answers.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { nullable } from '../../contract.ts';
import { activityOf } from '../../source_activity.ts';
import { listSourceHours } from '../../store/source_hours.ts';

export interface SourceRoutesNeeds {
  readonly database: Database;
  readonly clock: Clock;
}

const seconds = (description: string) =>
  Type.Unsafe<number | null>({ type: ['number', 'null'], description });

const Source = Type.Object(
  {
    source: Type.String({ description: 'The switch; `unknown`: refused posts that named none' }),
    last_at: nullable('string', 'When its last rows came; null: none in four weeks'),
    last_file: nullable('string', 'The file or route that they came from'),
    last_call_at: nullable('string', 'The end of the last call that it reported'),
    lag_s: seconds('The delay between that end and its report'),
    rows_per_minute: Type.Number({
      description:
        'Over this hour and the one before; of a switch that is known for less, since its first post or file',
    }),
    set_aside_today: Type.Integer({
      description: 'Rows since midnight in UTC; of a file only those that no import had rejected before',
    }),
    refused_today: Type.Integer({ description: 'Posts with an invalid key, or a key that may not post' }),
    silent_s: seconds('Seconds since its last rows'),
    silence_limit_s: seconds('The silence in seconds that raises an alert; null in its first week'),
  },
  { title: 'Source' },
);

export function sourceRoutes(api: Api, { database, clock }: SourceRoutesNeeds): void {
  api.get(
    '/sources',
    {
      config: { scopes: ['operator'] },
      schema: {
        tags: ['operation'],
        summary: 'The state of each switch: last rows, rate, rejected rows, refused posts',
        description: 'The switches of the last four weeks, the latest first, 200 at most.',
        security: [{ bearer: [] }],
        querystring: { type: 'object', additionalProperties: false, properties: {} } as const,
        response: { 200: answer(Type.Array(Source)), ...failures(400, 401, 403, 429, 503) },
      },
    },
    async (request, reply) => {
      const rows = await database.read(contextOf(request, reply, clock, request.caller), (session) =>
        session.rows(listSourceHours()),
      );
      const data = rows.map((row) => activityOf(row, clock.now()));
      return { success: true as const, data, duration_ms: elapsed(reply) };
    },
  );
}
