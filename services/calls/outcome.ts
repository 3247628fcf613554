/**
 * How a call ended and what is charged of it, decided in one place for every format and way in. A source gives an answer
 * time, a billed time and a word, and they may contradict each other. The decision is stored, and everything else
 * (the filter by type, `consumption`, the usage tables) reads the stored `result`: answered ⇔ result = 'answered'.
 *
 *   answered ⇔ an answer time, or billed time above 0, or (neither is given and the word says answered)
 *
 * docs/decisions/0013 gives the reasons, and the result of each contradiction.
 */

import type { CallResult, CdrFlag } from './call_fields.ts';
import type { SourceRecord } from './cdr.ts';

/** The stored outcome. */
export interface Outcome {
  readonly result: CallResult;
  /** Seconds. */
  readonly billedDurationS: number;
  readonly disconnectCause: string | null;
  /** The record's own flags, and flags for the contradictions found here. */
  readonly flags: readonly CdrFlag[];
}

/** Decides by the record's values alone. */
export function decideOutcome(record: SourceRecord): Outcome {
  const { connectTime, billedDurationS: told, durationS } = record;
  const flags: CdrFlag[] = [];
  const meaning = record.result ?? record.causeResult;
  const isProven = connectTime !== null || (told !== null && told > 0);
  const isOpen = connectTime === null && told === null;
  // A file without a field for answers holds charged calls: a call with a duration counts as answered.
  const isTaken =
    isOpen && !record.tellsAnswers && durationS > 0 && (meaning === null || meaning === 'cleared');
  const isAnswered = isProven || (isOpen && meaning === 'answered') || isTaken;
  if (isTaken) flags.push('answer_inferred');

  const result = isAnswered ? 'answered' : unansweredResult(meaning);
  const isContradicted = isAnswered
    ? record.result !== null && record.result !== 'answered' && record.result !== 'cleared'
    : meaning === 'answered';
  if (isContradicted) flags.push('result_contradicted');
  const isUnknownWord = record.result === null && record.resultWord !== null;
  if (isUnknownWord || (!isAnswered && meaning === null)) flags.push('result_unknown');

  const billedDurationS = told ?? (isAnswered ? inferBilled(record) : 0);
  if (told === null && isAnswered) flags.push('billed_inferred');
  if (billedDurationS > durationS) flags.push('billed_longer_than_duration');
  return {
    result,
    billedDurationS,
    disconnectCause: causeOf(record, isContradicted),
    flags: flags.length === 0 ? record.flags : [...record.flags, ...flags],
  };
}

/** For a call that only its word calls answered, or without any evidence: there was no answer. */
function unansweredResult(meaning: CallResult | 'cleared' | null): CallResult {
  return meaning === null || meaning === 'cleared' || meaning === 'answered' ? 'no_answer' : meaning;
}

/** From the answer to the end, as far as known, and never longer than the whole call. */
function inferBilled({ startTime, connectTime, disconnectTime, durationS }: SourceRecord): number {
  if (connectTime === null) return durationS;
  const untilEnd =
    disconnectTime === null
      ? durationS - secondsBetween(startTime, connectTime)
      : secondsBetween(connectTime, disconnectTime);
  return Math.min(durationS, Math.max(0, untilEnd));
}

/** Seconds from one instant to another, both in milliseconds, to the microsecond. 0 where the second comes first. */
export function secondsBetween(fromMs: number, toMs: number): number {
  return Math.max(0, Math.round((toMs - fromMs) * 1000)) / 1_000_000;
}

/** The cause, or the word in its place. An overruled word stays visible beside the cause. */
function causeOf({ disconnectCause, resultWord }: SourceRecord, isContradicted: boolean): string | null {
  if (disconnectCause === null || !isContradicted || resultWord === null)
    return disconnectCause ?? resultWord;
  return `${disconnectCause} (${resultWord})`;
}
