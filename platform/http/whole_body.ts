/** A request's body, whole: bounded before anything of it is copied, and put together without holding up others. */
import type { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import { createTurns } from '#platform/lifecycle/turns.ts';
import { RefusedError } from '#platform/resilience/refused.ts';
import { httpError } from './errors.ts';

/**
 * For `addContentTypeParser`, which closes the connection of a body that is refused: the rest of it is not read.
 * @throws ApiError 413 as soon as it is known that the body is larger than its route takes; RefusedError when the client
 *   hangs up
 */
export async function readWholeBody(request: FastifyRequest, payload: Readable): Promise<Buffer> {
  const limit = request.routeOptions.bodyLimit!;
  const tooLarge = () => httpError('too_large', { message: `The body is larger than ${limit} bytes` });
  if (Number(request.headers['content-length']) > limit) throw tooLarge();
  const chunks: Buffer[] = [];
  let length = 0;
  // Destroying it would take the connection with it, and the answer.
  const arriving = payload.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  try {
    for await (const chunk of arriving) {
      length += chunk.length;
      if (length > limit) throw tooLarge();
      chunks.push(chunk);
    }
  } catch (error) {
    throw request.raw.destroyed ? new RefusedError('client_gone', { waitedMs: 0 }) : error;
  }
  if (chunks.length === 1) return chunks[0]!;
  const turns = createTurns();
  const whole = Buffer.allocUnsafeSlow(length);
  let at = 0;
  for (const chunk of chunks) {
    await turns.take(chunk.length, 0);
    at += chunk.copy(whole, at);
  }
  return whole;
}
