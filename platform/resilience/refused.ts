/** A refusal as an error, for code that throws what it can't do. */
import type { Refusal } from './request_context.ts';

export interface RefusalDetails {
  /** How long the request had waited, in milliseconds. */
  readonly waitedMs: number;
  /** When the breaker lets the next probe through; while it is OPEN. */
  readonly nextProbe?: { readonly at: number; readonly inMs: number };
}

export class RefusedError extends Error {
  override name = 'RefusedError';
  readonly refusal: Refusal;
  readonly details: RefusalDetails;
  constructor(refusal: Refusal, details: RefusalDetails) {
    super(`refused: ${refusal}`);
    this.refusal = refusal;
    this.details = details;
  }
}
