/** The forms that requests and answers of every service share, as schemas. */
import type { FastifyReply } from 'fastify';
import { type TSchema, Type } from 'typebox';

/** No control character, in the words that the regular expressions of all languages share: tools check by them. */
const NO_CONTROLS = '^[^\\x00-\\x1f\\x7f-\\x9f]+$';

/** Text of a request: no control characters (PostgreSQL's text has no NUL), and not of any length. */
export const text = (description: string, maxLength = 200) =>
  Type.String({ minLength: 1, maxLength, pattern: NO_CONTROLS, description });

/** One of these words. */
export const oneOf = <T extends string>(values: readonly T[], description: string) =>
  Type.Unsafe<T>(Type.String({ enum: [...values], description }));

/** For a body or a query that refuses fields that it does not know. */
export const closed = { additionalProperties: false } as const;

/** Of a route that takes no query parameters: it refuses those that it is given. */
export const NO_QUERY = { type: 'object', additionalProperties: false, properties: {} } as const;

/** An answer: its data, and what else stands beside them. */
export function answer<Data extends TSchema, More extends Record<string, TSchema> = Record<never, TSchema>>(
  data: Data,
  more: More = {} as More,
) {
  return Type.Object(
    {
      success: Type.Literal(true),
      data,
      ...more,
      duration_ms: Type.Number({ description: 'Time that the answer took here, in milliseconds' }),
    },
    { description: 'What was asked for' },
  );
}

/** Milliseconds since the request came in, to a tenth. */
export const elapsed = (reply: FastifyReply): number => Math.round(reply.elapsedTime * 10) / 10;

/** An answer in words alone. */
export const Words = Type.Object({ success: Type.Literal(true), status: Type.String() });

export const Failure = Type.Object(
  {
    success: Type.Literal(false),
    error: Type.String({ description: 'In human words' }),
    code: Type.String({ description: 'For machines' }),
    request_id: Type.String(),
  },
  { title: 'Failure', additionalProperties: true },
);

const FAILURE_WORDS = {
  400: 'Something is wrong with the request; the fields are named',
  401: 'No valid key',
  403: 'The key may not do this',
  404: 'No such thing, or not for this key',
  409: 'It is not in a state for this; the message says why',
  413: 'The body is too large',
  415: 'The body is of a type that is not read here',
  426: 'HTTP/1.1 is needed',
  429: 'Too many requests with this key',
  503: 'It cannot be answered now; try again later',
} as const;

/** The failures that a route may answer with, for the OpenAPI document. */
export function failures<Status extends keyof typeof FAILURE_WORDS>(...statuses: Status[]) {
  const entries = statuses.map((status) => [status, { ...Failure, description: FAILURE_WORDS[status] }]);
  return Object.fromEntries(entries) as { [S in Status]: typeof Failure };
}
