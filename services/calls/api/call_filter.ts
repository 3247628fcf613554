/** Which calls are asked for. */
import type { Direction } from '../cdr.ts';
import type { NumberPattern } from './number_pattern.ts';

export const CALL_TYPES = ['all', 'answered', 'non_zero', 'errors'] as const;
/** `answered`: connected; `non_zero`: charged for a time; `errors`: failed on the way. */
export type CallType = (typeof CALL_TYPES)[number];

/** Instants are RFC 3339 in UTC. What is undefined does not narrow the list. */
export interface CallFilter {
  readonly iAccount: number;
  readonly type: CallType;
  /** start_time, half open: from ≤ start_time < to */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly cli?: NumberPattern | undefined;
  readonly cld?: NumberPattern | undefined;
  readonly callId?: string | undefined;
  readonly direction?: Direction | undefined;
  readonly minDurationS?: number | undefined;
}

/** Whether the usage tables know how many calls it matches. */
export function isSummed(filter: CallFilter): boolean {
  const { cli, cld, callId, direction, minDurationS } = filter;
  return [cli, cld, callId, direction, minDurationS].every((narrower) => narrower === undefined);
}
