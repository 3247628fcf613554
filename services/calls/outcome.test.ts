import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { callRow } from '#tests/calls.ts';
import type { CallResult, CdrFlag } from './call_fields.ts';
import type { SourceRecord, ToldResult } from './cdr.ts';
import { decideOutcome } from './outcome.ts';

const START = Date.parse('2026-03-02T09:00:00Z');

/** Of a call that rang for 5 s and was 65 s long, by what is told of it. */
function decide(told: Partial<SourceRecord>) {
  const { parsed } = callRow({
    ...{ startTime: START, connectTime: null, disconnectTime: null, durationS: 65, billedDurationS: null },
    ...{ resultWord: told.result ?? null, result: null, disconnectCause: null, causeResult: null },
    ...told,
  });
  assert.equal(parsed.kind, 'record');
  return decideOutcome((parsed as { record: SourceRecord }).record);
}

const answeredAt = { connectTime: START + 5_000 };
const billed = (billedDurationS: number) => ({ billedDurationS });
const word = (result: ToldResult) => ({ result });

describe('whether a call was answered', () => {
  const cases: [what: string, told: Partial<SourceRecord>, CallResult, billed: number, flags: CdrFlag[]][] = [
    ['all agree', { ...answeredAt, ...billed(60), ...word('answered') }, 'answered', 60, []],
    ['not answered, all agree', { ...billed(0), ...word('busy') }, 'busy', 0, []],
    ['ANSWERED, no stamp, 0', { ...billed(0), ...word('answered') }, 'no_answer', 0, ['result_contradicted']],
    [
      'NO ANSWER, stamp, 60',
      { ...answeredAt, ...billed(60), ...word('no_answer') },
      'answered',
      60,
      ['result_contradicted'],
    ],
    [
      'NO ANSWER, stamp, 0: the switch wrote down when',
      { ...answeredAt, ...billed(0), ...word('no_answer') },
      'answered',
      0,
      ['result_contradicted'],
    ],
    ['BUSY, no stamp, 65', { ...billed(65), ...word('busy') }, 'answered', 65, ['result_contradicted']],
    ['the word alone', word('answered'), 'answered', 65, ['billed_inferred']],
    ['another word alone', word('cancelled'), 'cancelled', 0, []],
    ['a stamp alone', answeredAt, 'answered', 60, ['billed_inferred']],
    ['billed alone', billed(12), 'answered', 12, []],
    ['billed 0 alone', billed(0), 'no_answer', 0, ['result_unknown']],
    ['nothing', {}, 'no_answer', 0, ['result_unknown']],
    ['a word that is not known', { resultWord: 'BLOCKED' }, 'no_answer', 0, ['result_unknown']],
    [
      'a word that is not known beside a stamp',
      { ...answeredAt, ...billed(60), resultWord: 'TRANSFERRED' },
      'answered',
      60,
      ['result_unknown'],
    ],
    ['a cause', { disconnectCause: '17', causeResult: 'busy' }, 'busy', 0, []],
    ['a cause after an answer', { ...answeredAt, ...billed(60), causeResult: 'busy' }, 'answered', 60, []],
    ['the normal end', { causeResult: 'cleared' }, 'no_answer', 0, []],
    [
      'a source that never tells it',
      { tellsAnswers: false },
      'answered',
      65,
      ['answer_inferred', 'billed_inferred'],
    ],
    ['the same of no length', { tellsAnswers: false, durationS: 0 }, 'no_answer', 0, ['result_unknown']],
    ['the same with a cause', { tellsAnswers: false, causeResult: 'failed' }, 'failed', 0, []],
    [
      'billed longer, as the switch wrote it',
      { ...answeredAt, ...billed(66), ...word('answered') },
      'answered',
      66,
      ['billed_longer_than_duration'],
    ],
  ];
  for (const [what, told, result, seconds, flags] of cases) {
    test(what, () => {
      const outcome = decide(told);
      assert.deepEqual([outcome.result, outcome.billedDurationS, outcome.flags], [result, seconds, flags]);
    });
  }
});

test('billed time that is not told is never longer than the whole call', () => {
  const cases: [told: Partial<SourceRecord>, billed: number][] = [
    [{ connectTime: START, disconnectTime: START + 337_000, durationS: 336 }, 336],
    [{ connectTime: START + 5_000, disconnectTime: START + 65_000, durationS: 65 }, 60],
    [{ connectTime: START + 5_000, disconnectTime: START + 64_250, durationS: 65 }, 59.25],
    [{ connectTime: START + 5_000, durationS: 65 }, 60],
    [{ connectTime: START + 70_000, durationS: 65 }, 0],
    [{ connectTime: START - 5_000, durationS: 65 }, 65],
    [{ connectTime: START + 5_000, disconnectTime: START, durationS: 65 }, 0],
  ];
  for (const [told, seconds] of cases) {
    const { billedDurationS, flags } = decide(told);
    assert.equal(billedDurationS, seconds, JSON.stringify(told));
    assert.deepEqual(flags, ['billed_inferred']);
  }
});

test('a word that was overruled stays visible', () => {
  const busy = { resultWord: 'BUSY', result: 'busy', ...billed(65) } as const;
  assert.equal(decide(busy).disconnectCause, 'BUSY');
  assert.equal(decide({ ...busy, disconnectCause: '16' }).disconnectCause, '16 (BUSY)');
  assert.equal(decide({ ...busy, ...billed(0), disconnectCause: '17' }).disconnectCause, '17');
  assert.equal(decide({ ...answeredAt, disconnectCause: '16' }).disconnectCause, '16');
});
