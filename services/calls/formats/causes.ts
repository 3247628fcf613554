/**
 * How a call that nobody answered ended, by the cause that the switch gives. A call that was answered is `answered`,
 * whatever ended it later; that is for each format to see first.
 */
import type { CallResult } from '../cdr.ts';

/**
 * ITU-T Q.850 causes that are part of everyday life; every other is an error on the way.
 * 16 normal clearing, 17 user busy, 18 no user responding, 19 no answer, 26 non-selected user (another picked up),
 * 31 normal, unspecified.
 */
const Q850_RESULTS = new Map<number, CallResult>([
  [16, 'no_answer'],
  [17, 'busy'],
  [18, 'no_answer'],
  [19, 'no_answer'],
  [26, 'cancelled'],
  [31, 'no_answer'],
]);

/** Result of an unanswered call by its Q.850 cause; 0 stands for none given. */
export function resultOfQ850(cause: number): CallResult {
  return cause === 0 ? 'no_answer' : (Q850_RESULTS.get(cause) ?? 'failed');
}

/** FreeSWITCH's names (switch_channel.c, CAUSE_CHART) that are no errors. */
const HANGUP_RESULTS = new Map<string, CallResult>([
  ['NONE', 'no_answer'],
  ['SUCCESS', 'no_answer'],
  ['NORMAL_CLEARING', 'no_answer'],
  ['NORMAL_UNSPECIFIED', 'no_answer'],
  ['NO_USER_RESPONSE', 'no_answer'],
  ['NO_ANSWER', 'no_answer'],
  ['NO_PICKUP', 'no_answer'],
  ['ALLOTTED_TIMEOUT', 'no_answer'],
  ['PROGRESS_TIMEOUT', 'no_answer'],
  ['BLIND_TRANSFER', 'no_answer'],
  ['ATTENDED_TRANSFER', 'no_answer'],
  ['USER_BUSY', 'busy'],
  ['BUSY_EVERYWHERE', 'busy'],
  ['ORIGINATOR_CANCEL', 'cancelled'],
  ['LOSE_RACE', 'cancelled'],
  ['PICKED_OFF', 'cancelled'],
]);
const HANGUP_NAME = /^[A-Z][A-Z0-9_]*$/;

/**
 * Result of an unanswered call by FreeSWITCH's `hangup_cause`; null for what can't be one. Names that are not listed
 * are errors on the way: newer versions add some, all of that kind.
 */
export function resultOfHangupCause(name: string): CallResult | null {
  return HANGUP_RESULTS.get(name) ?? (HANGUP_NAME.test(name) ? 'failed' : null);
}

/** RFC 3261 final answers: 486 and 600 busy, 408 and 480 nobody answered, 487 the caller gave up. */
const SIP_RESULTS = new Map<number, CallResult>([
  [408, 'no_answer'],
  [480, 'no_answer'],
  [486, 'busy'],
  [487, 'cancelled'],
  [600, 'busy'],
]);

/** Result of a call by its final SIP status, 200 to 699. */
export function resultOfSipStatus(status: number): CallResult {
  return status < 300 ? 'answered' : (SIP_RESULTS.get(status) ?? 'failed');
}
