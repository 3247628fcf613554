/** What a client is told of its rate limit. */
import type { FastifyReply } from 'fastify';

/** The headers that `tellRate` sets. */
export const RATE_HEADERS = ['x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset'] as const;

/** Sets the client's remaining requests, in the usual headers. */
export function tellRate(
  reply: FastifyReply,
  { max, left, endsInMs }: { readonly max: number; readonly left: number; readonly endsInMs: number },
): void {
  reply.header('x-ratelimit-limit', max);
  reply.header('x-ratelimit-remaining', left);
  reply.header('x-ratelimit-reset', Math.ceil(endsInMs / 1_000));
}
