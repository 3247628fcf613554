/**
 * Which of a call's values its source told, as the bits of `calls.cdrs.told`. The others were concluded (a direction from
 * the numbers, a billed time from the stamps), taken from the account, or are missing: a later telling may complete them.
 */
import type { SourceRecord } from './cdr.ts';

export const TOLD = {
  account: 1,
  call_id: 2,
  cli: 4,
  cld: 8,
  connect_time: 16,
  disconnect_time: 32,
  duration_s: 64,
  billed_duration_s: 128,
  /** the source's word for the result, one that is known */
  result: 256,
  cause_result: 512,
  disconnect_cause: 1_024,
  /** that it has a field which tells answers */
  answers: 2_048,
  direction: 4_096,
  country: 8_192,
  cost: 16_384,
  currency: 32_768,
  description: 65_536,
  remote_ip: 131_072,
  user_agent: 262_144,
  /** its key is a name that its source gave it, not all that it says */
  name: 524_288,
  linked_id: 1_048_576,
} as const;

/**
 * Of a call that several imports have told: store/tellings.ts has what each of them said. A row never has it. Calls of
 * versions before have TOLD.linked_id in its place.
 */
export const SEVERAL_TELLINGS = 2_097_152;

/**
 * @param linkedId '' where it does not say of which call it is a leg
 * @param namesAccount whether the row says whose it is
 * @param isRated whether its cost, if it has one, is an amount
 */
export function toldOf(
  record: SourceRecord,
  linkedId: string,
  namesAccount: boolean,
  isRated: boolean,
): number {
  return (
    (linkedId === '' ? 0 : TOLD.linked_id) |
    (namesAccount ? TOLD.account : 0) |
    (record.callId === '' ? 0 : TOLD.call_id) |
    (record.cli === '' ? 0 : TOLD.cli) |
    (record.cld === '' ? 0 : TOLD.cld) |
    (record.connectTime === null ? 0 : TOLD.connect_time) |
    (record.disconnectTime === null ? 0 : TOLD.disconnect_time) |
    (record.durationInferred === true ? 0 : TOLD.duration_s) |
    (record.billedDurationS === null ? 0 : TOLD.billed_duration_s) |
    (record.result === null ? 0 : TOLD.result) |
    (record.causeResult === null ? 0 : TOLD.cause_result) |
    (record.disconnectCause === null && record.resultWord === null ? 0 : TOLD.disconnect_cause) |
    (record.tellsAnswers ? TOLD.answers : 0) |
    (record.direction === null || record.direction === 'unknown' ? 0 : TOLD.direction) |
    (record.country === null ? 0 : TOLD.country) |
    (record.cost === null || !isRated ? 0 : TOLD.cost) |
    (record.currency === null ? 0 : TOLD.currency) |
    (record.description === null ? 0 : TOLD.description) |
    (record.remoteIp === null ? 0 : TOLD.remote_ip) |
    (record.userAgent === null ? 0 : TOLD.user_agent) |
    (record.wholeRowIsName === true ? TOLD.name : 0)
  );
}
