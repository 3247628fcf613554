/**
 * Which of a call's values its source gave, as the bits of `calls.cdrs.told`. The other values were concluded (a direction
 * from the numbers, a billed time from the stamps), taken from the account, or are missing: a later record may complete them.
 */
import { plainTold, TOLD_BITS } from './call_fields.ts';
import type { SourceRecord } from './cdr.ts';

export const TOLD = {
  ...TOLD_BITS,
  /** the result that the cause gives */
  cause_result: 512,
  /** that it has a field which shows answers */
  answers: 2_048,
  /** its key is a name from its source, not all its values */
  name: 524_288,
} as const;

/**
 * For a call that several imports contain: store/tellings.ts has each import's version. A row never has this bit. Calls of
 * earlier versions have TOLD.linked_id in its place.
 */
export const SEVERAL_TELLINGS = 2_097_152;

/**
 * @param linkedId '' where the row does not name the call of its leg
 * @param namesAccount whether the row names its account
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
    plainTold(record) |
    (record.wholeRowIsName === true ? TOLD.name : 0)
  );
}
