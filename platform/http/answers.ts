/** Schemas that the requests and answers of all services share. */
import type { FastifyReply } from 'fastify';
import { type TSchema, Type } from 'typebox';

/** No control character, in the syntax that the regular expressions of all languages share: tools check by it. */
const NO_CONTROLS = '^[^\\x00-\\x1f\\x7f-\\x9f]+$';

/** Text of a request: no control characters (PostgreSQL's text has no NUL), and a limited length. */
export const text = (description: string, maxLength = 200) =>
  Type.String({ minLength: 1, maxLength, pattern: NO_CONTROLS, description });

/** One of these words. */
export const oneOf = <T extends string>(values: readonly T[], description: string) =>
  Type.Unsafe<T>(Type.String({ enum: [...values], description }));

/** For a body or a query that refuses unknown fields. */
export const closed = { additionalProperties: false } as const;

/** The query of a route without query parameters: it refuses all. */
export const NO_QUERY = { type: 'object', additionalProperties: false, properties: {} } as const;

/** An answer: its data, and other fields beside them. */
export function answer<Data extends TSchema, More extends Record<string, TSchema> = Record<never, TSchema>>(
  data: Data,
  more: More = {} as More,
) {
  return Type.Object(
    {
      success: Type.Literal(true),
      data,
      ...more,
      duration_ms: Type.Number({ description: 'Time that the service took to answer, in milliseconds' }),
    },
    { description: 'The requested data' },
  );
}

/** Milliseconds since the request arrived, to a tenth. */
export const elapsed = (reply: FastifyReply): number => Math.round(reply.elapsedTime * 10) / 10;

/** An answer with a status text alone. */
export const Words = Type.Object({ success: Type.Literal(true), status: Type.String() });

export const Failure = Type.Object(
  {
    success: Type.Literal(false),
    error: Type.String({ description: 'The reason, for people' }),
    code: Type.String({ description: 'The kind of error, for programs' }),
    request_id: Type.String(),
  },
  { title: 'Failure', additionalProperties: true },
);

const FAILURE_WORDS = {
  400: 'A parameter or field is wrong; `fields` names it',
  401: 'No valid key',
  403: 'The scope of the key may not do this',
  404: 'It does not exist, or this key may not see it',
  409: 'Its state does not allow this; the message has the reason',
  413: 'The body is too large',
  415: 'The media type of the body is not supported',
  426: 'HTTP/1.1 is needed',
  429: 'Too many requests with this key',
  503: 'The service cannot answer now; try again later',
} as const;

/** The failures that a route may answer with, for the OpenAPI document. */
export function failures<Status extends keyof typeof FAILURE_WORDS>(...statuses: Status[]) {
  const entries = statuses.map((status) => [status, { ...Failure, description: FAILURE_WORDS[status] }]);
  return Object.fromEntries(entries) as { [S in Status]: typeof Failure };
}
