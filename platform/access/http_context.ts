/** Makes a request's context to the database: its tenant, its deadline, and whether its client still waits. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { RequestContext } from '#platform/database/database.ts';
import { clientOf } from '#platform/http/client_address.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import {
  parseRequestTimeout,
  REQUEST_TIMEOUT_HEADER,
  RequestTimeoutError,
} from '#platform/resilience/deadline.ts';
import { type Caller, priorityOf, tenantOf } from './caller.ts';
import { accessError } from './errors.ts';

/** A request's deadline and hang-up signal. Made once a request, at the first use. */
export interface RequestLimits {
  /** The deadline of the answer, in milliseconds of the clock's monotonic time. */
  readonly deadline: number;
  /** Aborted when the client hangs up. */
  readonly signal: AbortSignal;
}

declare module 'fastify' {
  interface FastifyRequest {
    limits?: RequestLimits;
  }
}

/** @throws ApiError 400 for a `Request-Timeout` that is no number of seconds */
function limitsOf(request: FastifyRequest, reply: FastifyReply, clock: Clock): RequestLimits {
  request.limits ??= {
    deadline: clock.monotonic() - reply.elapsedTime + timeoutMs(request),
    signal: hangUpSignal(reply),
  };
  return request.limits;
}

/**
 * A request's context to the database: its tenant, its priority, its deadline, and whether its client still waits.
 * @param caller undefined: not known yet; the request then counts against its address
 * @param weight heavy: the request takes long, so it waits among the heavy ones
 * @throws ApiError 400 for a `Request-Timeout` that is no number of seconds
 */
export function contextOf(
  request: FastifyRequest,
  reply: FastifyReply,
  clock: Clock,
  caller: Caller | undefined,
  weight: 'light' | 'heavy' = 'light',
): RequestContext {
  return {
    priority: caller ? priorityOf(caller) : 'customer',
    tenant: caller ? tenantOf(caller) : `address:${clientOf(request)}`,
    heavy: weight === 'heavy',
    ...limitsOf(request, reply, clock),
  };
}

function timeoutMs(request: FastifyRequest): number {
  try {
    return parseRequestTimeout(request.headers[REQUEST_TIMEOUT_HEADER]);
  } catch (error) {
    if (!(error instanceof RequestTimeoutError)) throw error;
    throw accessError('bad_request', {
      message: error.message,
      fields: { fields: [REQUEST_TIMEOUT_HEADER] },
    });
  }
}

/** Aborts when the connection closes before the answer has ended; at once if it is already closed. */
function hangUpSignal({ raw }: FastifyReply): AbortSignal {
  const controller = new AbortController();
  const onClose = () => {
    if (!raw.writableFinished) controller.abort(new Error('the client has hung up'));
  };
  if (raw.closed) onClose();
  else raw.once('close', onClose);
  return controller.signal;
}
