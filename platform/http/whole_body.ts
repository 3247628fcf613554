/** Reads a request's whole body: checks its size before any copy, and joins its chunks without delaying other requests. */
import type { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import { createTurns } from '#platform/lifecycle/turns.ts';
import { RefusedError } from '#platform/resilience/refused.ts';
import { httpError } from './errors.ts';

/**
 * For `addContentTypeParser`, which closes the connection if the body is refused: the rest of the body is not read.
 * @throws ApiError 413 as soon as the body exceeds the limit of its route; RefusedError when the client hangs up
 */
export async function readWholeBody(request: FastifyRequest, payload: Readable): Promise<Buffer> {
  const limit = request.routeOptions.bodyLimit!;
  const tooLarge = () => httpError('too_large', { message: `The body is larger than ${limit} bytes` });
  if (Number(request.headers['content-length']) > limit) throw tooLarge();
  const chunks: Buffer[] = [];
  let length = 0;
  // Destroying the stream would close the connection before the answer is sent.
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
