/** A request's ticket to the database: whose it is, until when an answer is wanted, and whether anybody still waits. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Ticket } from '#platform/database/database.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import {
  parseRequestTimeout,
  REQUEST_TIMEOUT_HEADER,
  RequestTimeoutError,
} from '#platform/resilience/deadline.ts';
import { callsError } from '../errors.ts';
import { type Caller, laneOf, shareOf } from './caller.ts';

/**
 * @param caller undefined: not known yet; the request then counts against its address
 * @throws ApiError 400 for a `Request-Timeout` that is no number of seconds
 */
export function ticketOf(
  request: FastifyRequest,
  reply: FastifyReply,
  clock: Clock,
  caller: Caller | undefined,
): Ticket {
  return {
    lane: caller ? laneOf(caller) : 'customer',
    share: caller ? shareOf(caller) : `address:${request.ip}`,
    deadline: clock.monotonic() - reply.elapsedTime + timeoutMs(request),
    signal: hangUpSignal(reply),
  };
}

function timeoutMs(request: FastifyRequest): number {
  try {
    return parseRequestTimeout(request.headers[REQUEST_TIMEOUT_HEADER]);
  } catch (error) {
    if (!(error instanceof RequestTimeoutError)) throw error;
    throw callsError('bad_request', { message: error.message, fields: { fields: [REQUEST_TIMEOUT_HEADER] } });
  }
}

/** Aborted when the connection closes before the answer is through, at once where it has closed already. */
function hangUpSignal({ raw }: FastifyReply): AbortSignal {
  const controller = new AbortController();
  const onClose = () => {
    if (!raw.writableFinished) controller.abort(new Error('the client has hung up'));
  };
  if (raw.closed) onClose();
  else raw.once('close', onClose);
  return controller.signal;
}

/** Milliseconds since the request came in, to a tenth. */
export const elapsed = (reply: FastifyReply): number => Math.round(reply.elapsedTime * 10) / 10;
