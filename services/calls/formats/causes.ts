/**
 * How a call ended, by the word or number that its source gives for it. An unknown word is no reason to lose a call: its
 * format stores the call with the flag `unknown_result`, and the word in `disconnect_cause`.
 */
import { given } from '../absent.ts';
import { CALL_RESULTS, type CallResult } from '../call_fields.ts';
import type { ToldResult } from '../cdr.ts';

/**
 * ITU-T Q.850 causes of a normal call. Every other cause is an error on the way.
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

/** Result of an unanswered call by its Q.850 cause, 0 to 127; 0 stands for none given. */
export function resultOfQ850(cause: number): CallResult {
  return cause === 0 ? 'no_answer' : (Q850_RESULTS.get(cause) ?? 'failed');
}

/** FreeSWITCH's names (switch_channel.c, CAUSE_CHART) that are not errors. */
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
/** The other names of CAUSE_CHART, with those of older versions: errors on the way. */
const HANGUP_ERRORS: ReadonlySet<string> = new Set(
  `UNALLOCATED_NUMBER NO_ROUTE_TRANSIT_NET NO_ROUTE_DESTINATION CHANNEL_UNACCEPTABLE CALL_AWARDED_DELIVERED
  SUBSCRIBER_ABSENT CALL_REJECTED NUMBER_CHANGED REDIRECTION_TO_NEW_DESTINATION EXCHANGE_ROUTING_ERROR
  DESTINATION_OUT_OF_ORDER INVALID_NUMBER_FORMAT FACILITY_REJECTED RESPONSE_TO_STATUS_ENQUIRY NORMAL_CIRCUIT_CONGESTION
  NETWORK_OUT_OF_ORDER NORMAL_TEMPORARY_FAILURE SWITCH_CONGESTION ACCESS_INFO_DISCARDED REQUESTED_CHAN_UNAVAIL
  PRE_EMPTED FACILITY_NOT_SUBSCRIBED OUTGOING_CALL_BARRED INCOMING_CALL_BARRED BEARERCAPABILITY_NOTAUTH
  BEARERCAPABILITY_NOTAVAIL SERVICE_UNAVAILABLE BEARERCAPABILITY_NOTIMPL CHAN_NOT_IMPLEMENTED FACILITY_NOT_IMPLEMENTED
  SERVICE_NOT_IMPLEMENTED INVALID_CALL_REFERENCE INCOMPATIBLE_DESTINATION INVALID_MSG_UNSPECIFIED MANDATORY_IE_MISSING
  MESSAGE_TYPE_NONEXIST WRONG_MESSAGE IE_NONEXIST INVALID_IE_CONTENTS WRONG_CALL_STATE RECOVERY_ON_TIMER_EXPIRE
  MANDATORY_IE_LENGTH_ERROR PROTOCOL_ERROR INTERWORKING CRASH SYSTEM_SHUTDOWN MANAGER_REQUEST USER_CHALLENGE
  MEDIA_TIMEOUT USER_NOT_REGISTERED INVALID_GATEWAY GATEWAY_DOWN INVALID_URL INVALID_PROFILE SRTP_READ_ERROR BOWOUT
  DECLINE DOES_NOT_EXIST_ANYWHERE NOT_ACCEPTABLE UNWANTED NO_IDENTITY BAD_IDENTITY_INFO UNSUPPORTED_CERTIFICATE
  INVALID_IDENTITY STALE_DATE REJECT_ALL`.split(/\s+/),
);
/** The form of a name, also in a version that is not known here. */
const HANGUP_NAME = /^[A-Z][A-Z0-9_]*$/;

/** Whether a text looks like one of FreeSWITCH's names for the end of a call. */
export const isHangupName = (text: string): boolean => HANGUP_NAME.test(text);

/** Result of an unanswered call by FreeSWITCH's `hangup_cause`. Null for a name that is not known here. */
function resultOfHangupCause(name: string): CallResult | null {
  return HANGUP_RESULTS.get(name) ?? (HANGUP_ERRORS.has(name) ? 'failed' : null);
}

/** The meaning of a cause, for a switch that gives causes and no results. */
export interface ToldCause {
  /** Of an unanswered call. Null: the switch gives no cause, or an unknown one. */
  readonly causeResult: ToldResult | null;
  /** A cause that is not known here, so that its call is flagged whether it was answered or not. Otherwise null. */
  readonly resultWord: string | null;
}

/** FreeSWITCH's cause as written; '' for none. NONE is one of its names. */
export const hangupCauseIn = (written: string): string => (written === 'NONE' ? written : given(written));

/** By FreeSWITCH's name, or by another text that the dialplan put in its place. */
export function readHangupCause(name: string): ToldCause {
  if (name === '') return { causeResult: null, resultWord: null };
  const known = resultOfHangupCause(name) ?? readResult(name);
  if (known !== undefined) return { causeResult: known, resultWord: null };
  // Newer versions add names, all of them for errors on the way.
  return { causeResult: HANGUP_NAME.test(name) ? 'failed' : null, resultWord: name };
}

/** RFC 3261 final answers: 486 and 600 busy, 408 and 480 no answer, 487 the caller gave up. */
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

/** Words for a call's end, in small letters and without blanks, hyphens and underscores. */
const RESULT_WORDS = new Map<string, CallResult>([
  ...CALL_RESULTS.map((result): [string, CallResult] => [result.replace('_', ''), result]),
  ...wordsFor('answered', ['answer', 'ok', 'success', 'successful', 'completed', 'complete', 'connected']),
  ...wordsFor('answered', ['callconnected', 'accepted', 'pickedup', 'talked', 'established']),
  ...wordsFor('no_answer', [
    'missed',
    'unanswered',
    'notanswered',
    'timeout',
    'timedout',
    'noreply',
    'ringing',
  ]),
  ...wordsFor('no_answer', ['noresponse', 'nouserresponse', 'nopickup', 'missedcall']),
  ...wordsFor('busy', ['userbusy', 'lineisbusy', 'linebusy', 'engaged', 'busyeverywhere']),
  ...wordsFor('cancelled', ['cancel', 'canceled', 'abandoned', 'abandon', 'callercancel', 'callercancelled']),
  ...wordsFor('cancelled', [
    'originatorcancel',
    'hangupbeforeanswer',
    'answeredelsewhere',
    'requestterminated',
  ]),
  ...wordsFor('failed', [
    'congestion',
    'rejected',
    'reject',
    'declined',
    'decline',
    'denied',
    'error',
    'failure',
  ]),
  ...wordsFor('failed', [
    'fail',
    'unavailable',
    'unreachable',
    'notfound',
    'invalidnumber',
    'blocked',
    'barred',
  ]),
  ...wordsFor('failed', [
    'forbidden',
    'unallocatednumber',
    'serviceunavailable',
    'notavailable',
    'calldropped',
  ]),
  // Asterisk's Dial also leaves these in DIALSTATUS (apps/app_dial.c).
  ...wordsFor('failed', ['chanunavail', 'channelunavailable', 'dontcall', 'torture', 'invalidargs']),
]);

function wordsFor(result: CallResult, words: readonly string[]): [string, CallResult][] {
  return words.map((word) => [word, result]);
}

/** The normal end of a call, answered or not: Q.850's 16 and 31, programs' names for them, and a plain 0. */
const CLEARED: ReadonlySet<string> = new Set([
  ...['0', '16', '31', 'normalclearing', 'normalcallclearing', 'normalunspecified', 'normal', 'hangup'],
  // 3CX names the party that hung up (reason-terminated), whether or not the call was answered before.
  ...['terminatedbysrc', 'terminatedbydst', 'srcparticipantterminated', 'dstparticipantterminated'],
]);

/** Longer texts are sentences, not words. */
const MAX_WORD_LENGTH = 60;

/**
 * How a call ended: a word, FreeSWITCH's name, a Q.850 cause (1 to 127) or a SIP status (200 to 699). A number may have
 * its phrase (`487 Request Terminated`). Undefined: an unknown word.
 */
export function readResult(text: string): ToldResult | undefined {
  if (text.length > MAX_WORD_LENGTH) return undefined;
  const word = text.toLowerCase().replace(/[\s_-]/g, '');
  if (CLEARED.has(word)) return 'cleared';
  const told = RESULT_WORDS.get(word);
  if (told !== undefined) return told;
  const number = NUMBERED.exec(text)?.[1];
  if (number !== undefined) return resultOfNumber(number);
  return resultOfHangupCause(text.toUpperCase().replace(/[\s-]/g, '_')) ?? undefined;
}

/** `486`, `SIP 486`, `sip:486`, `486 Busy Here`, `17 (user busy)`. */
const NUMBERED = /^(?:sip[ :/]?|q\.?850[ :/]?)?(\d{1,3})(?:[ :,-]+\(?[a-z][a-z /'().-]*)?$/i;

function resultOfNumber(digits: string): ToldResult | undefined {
  if (CLEARED.has(digits)) return 'cleared';
  const number = Number(digits);
  if (number < 128) return resultOfQ850(number);
  return number >= 200 && number < 700 ? resultOfSipStatus(number) : undefined;
}
