/** What a request brings to the queue, and how it may leave without having been served. */

/** Operators are the provider's own people and programs; customers are everyone else. */
export type Priority = 'operator' | 'customer';

export interface RequestContext {
  readonly priority: Priority;
  /** Whose request it is (an account): turns and waiting places are shared evenly between these. */
  readonly tenant: string;
  /** When the answer is due, in milliseconds of the clock's monotonic time. */
  readonly deadline: number;
  /** Aborted when the client hangs up. */
  readonly signal: AbortSignal;
  /** It takes long: only few such are at work at once, whoever's they are (heavy_work.ts). */
  readonly heavy?: boolean;
}

/**
 * Why a request was not served:
 * - `queue_overload`: more requests wait than may, or this one was pushed out for an account with fewer;
 * - `deadline`: its deadline passed, or too little time was left for work that takes as long as it lately did;
 * - `breaker_open`: its deadline passed while the breaker let nothing, or only probes, through;
 * - `client_gone`: its client hung up;
 * - `shutting_down`: the queue was closed.
 */
export type Refusal = 'queue_overload' | 'deadline' | 'breaker_open' | 'client_gone' | 'shutting_down';
