/**
 * The support view: everything about a call but the numbers. Support staff see that a call failed and why, not whom a
 * customer speaks with. Whatever text may hold a number is gone through, and what could be used to test a guess at the
 * hidden digits is left out.
 */
import { isIPv4 } from 'node:net';
import { DIGIT_RUN, maskNumber, maskRun } from '#platform/telemetry/logger.ts';
import { type Caller, seesMasked } from './caller.ts';

/** Fields of a call that hold text; any of them may be missing. */
export interface Maskable {
  cli?: string;
  cld?: string;
  cli_in?: string | null;
  cld_in?: string | null;
  call_id?: string;
  description?: string | null;
  user_agent?: string | null;
  disconnect_cause?: string | null;
  remote_ip?: string | null;
  source?: string;
  file?: string | null;
  source_key?: string | null;
  attributes?: Record<string, unknown> | null;
}

const TEXTS = ['description', 'user_agent', 'disconnect_cause', 'remote_ip', 'source', 'file'] as const;

/** A call as a caller may see it. */
export const shownTo = <T extends Maskable>(call: T, caller: Caller): T =>
  seesMasked(caller) ? maskCall(call) : call;

/** A copy with its numbers masked. */
export function maskCall<T extends Maskable>(call: T): T {
  const masked: T = { ...call };
  const numbers = [call.cli, call.cld, call.cli_in, call.cld_in].filter((n): n is string => Boolean(n));
  for (const field of ['cli', 'cld', 'cli_in', 'cld_in'] as const) {
    const number = call[field];
    if (typeof number === 'string') masked[field] = maskNumber(number) as never;
  }
  for (const field of TEXTS) {
    const text = call[field];
    if (typeof text === 'string') masked[field] = maskDigits(text) as never;
  }
  if (call.call_id !== undefined) masked.call_id = maskOwnNumbers(call.call_id, numbers) as never;
  // A hash over the whole row: whoever knows the rest of the row could try the hidden digits against it.
  if (call.source_key !== undefined) masked.source_key = null as never;
  if (call.attributes) masked.attributes = maskValues(call.attributes) as never;
  return masked;
}

/**
 * Stars the digits of everything that may be a number. Where a number ends is not told in a text (a channel's serial
 * follows it after a hyphen), so of a run of digits only the first two and the last two stay.
 */
export function maskDigits(text: string): string {
  return text.replace(DIGIT_RUN, (run) => (isIPv4(run) ? run : maskRun(run)));
}

/** Call ids are random to most switches, and support looks calls up by them; some switches put the number in. */
function maskOwnNumbers(callId: string, numbers: readonly string[]): string {
  const digitsOf = (text: string) => text.normalize('NFKC').replace(/\P{Nd}/gu, '');
  const own = numbers.map((number) => digitsOf(number)).filter((digits) => digits.length >= 5);
  // National and international writings share their last digits.
  const holdsOwn = own.some((digits) => digitsOf(callId).includes(digits.slice(-7)));
  return holdsOwn ? maskDigits(callId) : callId;
}

function maskValues(attributes: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [
      maskDigits(name),
      typeof value === 'string' ? maskDigits(value) : maskDigits(JSON.stringify(value)),
    ]),
  );
}
