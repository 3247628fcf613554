/** A request's ticket to the database: whose it is, until when an answer is wanted, and whether anybody still waits. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Ticket } from '#platform/database/database.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { type Caller, laneOf, shareOf } from './caller.ts';
import { callsError } from './errors.ts';

/** As the reference: a query that takes longer is given up. */
export const REQUEST_TIMEOUT_S = 30;
/** The longest that a client may ask for by `Request-Timeout`. */
export const MAX_REQUEST_TIMEOUT_S = 300;

const SECONDS = /^\d{1,6}(\.\d{1,6})?$/;

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
  const asked = request.headers['request-timeout'];
  const seconds = asked === undefined ? REQUEST_TIMEOUT_S : SECONDS.test(String(asked)) ? Number(asked) : 0;
  if (seconds <= 0 || seconds > MAX_REQUEST_TIMEOUT_S) {
    throw callsError('bad_request', {
      message: `Header \`request-timeout\` must be a number of seconds, at most ${MAX_REQUEST_TIMEOUT_S}`,
      fields: { fields: ['request-timeout'] },
    });
  }
  return {
    lane: caller ? laneOf(caller) : 'customer',
    share: caller ? shareOf(caller) : `address:${request.ip}`,
    deadline: clock.monotonic() - reply.elapsedTime + seconds * 1000,
    signal: hangUpSignal(reply),
  };
}

/** Aborted when the connection closes before the answer is through. */
function hangUpSignal(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort(new Error('the client has hung up'));
  });
  return controller.signal;
}
