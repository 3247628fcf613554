/**
 * How much of what lasts one caller may have under way at once: it is told to come again (429) instead of waiting unseen,
 * since what it would wait for may take minutes. Keys of one account count together.
 */
import type { ServerResponse } from 'node:http';
import { RefusedError } from '#platform/resilience/refused.ts';
import { createShareBound } from '#platform/resilience/share_bound.ts';
import { accessError } from './errors.ts';

export interface AtOnceOptions {
  /** In the plural: "exports". */
  readonly what: string;
  /** Of one caller. */
  readonly perCaller: number;
  /** Of all callers: what each keeps in memory must be bounded, too. */
  readonly inAll: number;
  /** When one of them is likely to be over, in seconds. */
  readonly retryAfterS: number;
}

export interface AtOnce {
  /**
   * Counts an answer until it is through, or its client has hung up.
   * @param share whose it is (caller.ts, shareOf)
   * @throws ApiError 429 where the caller has as many as it may; RefusedError where all together have
   */
  enter(share: string, answer: ServerResponse): void;
}

export function createAtOnce({ what, perCaller, inAll, retryAfterS }: AtOnceOptions): AtOnce {
  const bound = createShareBound({ perShare: perCaller, inAll });
  return {
    enter(share, answer) {
      const entry = bound.enter(share);
      if (!entry.entered) {
        if (entry.full === 'all') throw new RefusedError('queue_overload', { waitedMs: 0 });
        throw accessError('too_many_at_once', {
          message: `At most ${perCaller} ${what} at once; try again when one of them is over`,
          retryAfterS,
        });
      }
      if (answer.closed) entry.leave();
      else answer.once('close', entry.leave);
    },
  };
}
