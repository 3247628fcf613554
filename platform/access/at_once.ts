/**
 * Limits how many long requests one caller may have running at once. A further request is refused (429) instead of waiting
 * without an answer, since the running ones may take minutes. Keys of one account count together.
 */
import type { ServerResponse } from 'node:http';
import { RefusedError } from '#platform/resilience/refused.ts';
import { createTenantBound } from '#platform/resilience/tenant_bound.ts';
import { accessError } from './errors.ts';

export interface AtOnceOptions {
  /** The kind of requests, in the plural: "exports". */
  readonly what: string;
  /** Maximum of one caller. */
  readonly perCaller: number;
  /** Maximum of all callers: the memory of all requests must be bounded, too. */
  readonly inAll: number;
  /** Time after which one of them is likely to have ended, in seconds. */
  readonly retryAfterS: number;
}

export interface AtOnce {
  /**
   * Counts an answer until it has ended, or its client has hung up.
   * @param tenant of the caller (caller.ts, tenantOf)
   * @throws ApiError 429 at the maximum of the caller; RefusedError at the maximum of all callers
   */
  enter(tenant: string, answer: ServerResponse): void;
}

export function createAtOnce({ what, perCaller, inAll, retryAfterS }: AtOnceOptions): AtOnce {
  const bound = createTenantBound({ perTenant: perCaller, inAll });
  return {
    enter(tenant, answer) {
      const entry = bound.enter(tenant);
      if (!entry.entered) {
        if (entry.full === 'all') throw new RefusedError('queue_overload', { waitedMs: 0 });
        throw accessError('too_many_at_once', {
          message: `At most ${perCaller} ${what} at once; try again when one of them has ended`,
          retryAfterS,
        });
      }
      if (answer.closed) entry.leave();
      else answer.once('close', entry.leave);
    },
  };
}
