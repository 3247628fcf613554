/**
 * A new word for a call's end or direction loses no call, in whatever format it comes: a table of formats × words. And
 * which words are known.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { Parsed, SourceRecord } from '../cdr.ts';
import { decideOutcome } from '../outcome.ts';
import { readHangupCause, readResult } from './causes.ts';
import { directionByContext } from './contexts.ts';
import { readDirection } from './direction_words.ts';
import type { FormatName } from './formats.ts';
import { parseMapping } from './mapping.ts';
import { parsePostedRecord } from './posted_record.ts';
import { openSource } from './reader.ts';

const sample = (name: string) =>
  readFileSync(new URL(`../../../tests/samples/${name}`, import.meta.url)).toString();

function recordOf(parsed: Parsed | undefined): SourceRecord {
  assert.equal(parsed?.kind, 'record', JSON.stringify(parsed));
  return (parsed as { record: SourceRecord }).record;
}

function first(format: FormatName, text: string, pairs?: string[]): SourceRecord {
  const reader = openSource(format, {
    timeZone: 'UTC',
    ...(pairs && { mapping: parseMapping(pairs, 'carrier') }),
  });
  return recordOf([...reader.push(Buffer.from(text)), ...reader.end()][0]?.parsed);
}

/** The row or document of an unanswered call, its word for the end replaced. */
const busyRow = (name: string, from: string, to: string) => {
  const lines = sample(name).split('\n');
  const row = lines.find((line) => line.includes(from))!;
  return row.replace(from, to);
};
const withHeader = (name: string, rows: number, row: string) =>
  [...sample(name).split('\n').slice(0, rows), row].join('\n');
const json = (word: string) =>
  JSON.stringify({
    variables: {
      uuid: 'u1',
      start_epoch: '1772442294',
      end_epoch: '1772442297',
      duration: '3',
      billsec: '0',
      hangup_cause: word,
    },
    callflow: [{ caller_profile: { caller_id_number: '1002', destination_number: '+12025550143' } }],
  });
const posted = (word: string, field: string) =>
  Buffer.from(
    JSON.stringify({
      account: 'acme',
      start_time: '2026-03-02T09:04:54Z',
      cli: '1002',
      cld: '+12025550143',
      duration_s: 3,
      billed_duration_s: 0,
      [field]: word,
    }),
  );
const cucm = (word: string) => {
  const [names, types, ...rows] = sample('cucm.csv').split('\n');
  const at = names!.split(',').findIndex((name) => /origCause_value/i.test(name));
  const cells = rows[0]!.split(',');
  cells[at] = word;
  const connect = names!.split(',').findIndex((name) => /dateTimeConnect/i.test(name));
  cells[connect] = '0';
  const duration = names!.split(',').findIndex((name) => /^"?duration"?$/i.test(name));
  cells[duration] = '0';
  return [names, types, cells.join(',')].join('\n');
};
const MAPPED = ['Start=start_time', 'Secs=duration_s', 'From=cli', 'To=cld'];
const mapped = (word: string) => `Start,Secs,From,To,X\n2026-03-02 09:04:54,3,1002,+12025550143,${word}\n`;

const WAYS_IN: Record<string, (word: string) => SourceRecord> = {
  'asterisk-csv': (word) => first('asterisk-csv', busyRow('asterisk-master.csv', 'BUSY', word)),
  'asterisk-custom': (word) => first('asterisk-custom', busyRow('asterisk-custom-master.csv', 'BUSY', word)),
  freepbx: (word) =>
    first('asterisk-header', withHeader('freepbx.csv', 1, busyRow('freepbx.csv', 'BUSY', word))),
  grandstream: (word) =>
    first('asterisk-header', withHeader('grandstream.csv', 1, busyRow('grandstream.csv', 'BUSY', word))),
  'freeswitch-example': (word) =>
    first('freeswitch-example', busyRow('freeswitch-example.csv', 'USER_BUSY', word)),
  'freeswitch-asterisk': (word) =>
    first('freeswitch-asterisk', busyRow('freeswitch-asterisk.csv', 'USER_BUSY', word)),
  'freeswitch-default': (word) =>
    first('freeswitch-default', busyRow('freeswitch-default.csv', 'USER_BUSY', word)),
  'freeswitch-json': (word) => first('freeswitch-json', json(word)),
  'cisco-cucm': (word) => first('cisco-cucm', cucm(word)),
  'mapped, result': (word) => first('mapped', mapped(word), [...MAPPED, 'X=result']),
  'mapped, disconnect_cause': (word) => first('mapped', mapped(word), [...MAPPED, 'X=disconnect_cause']),
  'posted, result': (word) => recordOf(parsePostedRecord(posted(word, 'result'))),
  'posted, disconnect_cause': (word) => recordOf(parsePostedRecord(posted(word, 'disconnect_cause'))),
};

describe('a word for the end that nobody knows', () => {
  for (const [way, read] of Object.entries(WAYS_IN)) {
    test(`${way}: its call is stored and flagged, the word kept`, () => {
      for (const word of ['GONE FISHING', 'WORMHOLE', 'x']) {
        const outcome = decideOutcome(read(word));
        // A file without a place for answers holds calls that were charged (outcome.ts).
        if (way !== 'mapped, disconnect_cause') {
          assert.ok(outcome.flags.includes('result_unknown'), `${word}: ${outcome.flags}`);
          assert.notEqual(outcome.result, 'answered');
        }
        assert.equal(outcome.disconnectCause, word);
      }
    });

    test(`${way}: known ones of other programs are not flagged`, () => {
      for (const word of ['USER_BUSY', 'CANCEL', 'CHANUNAVAIL']) {
        if (way === 'cisco-cucm') continue;
        const { result, flags } = decideOutcome(read(word));
        const expected = { USER_BUSY: 'busy', CANCEL: 'cancelled', CHANUNAVAIL: 'failed' }[word];
        assert.deepEqual([result, flags], [expected, []], word);
      }
    });
  }

  test("FreeSWITCH's of a later version are errors on the way, as all that were added, and flagged", () => {
    assert.deepEqual(readHangupCause('A_CAUSE_OF_NEXT_YEAR'), {
      causeResult: 'failed',
      resultWord: 'A_CAUSE_OF_NEXT_YEAR',
    });
  });

  test("CUCM's codes that stand for a SIP status tell the cause in their last bits", () => {
    for (const [code, result] of [
      ['369098769', 'busy'],
      ['234881042', 'no_answer'],
      ['33554453', 'failed'],
      ['393216', 'no_answer'],
      ['16', 'cancelled'],
    ] as const) {
      assert.equal(decideOutcome(WAYS_IN['cisco-cucm']!(code)).result, result, code);
    }
    assert.ok(decideOutcome(WAYS_IN['cisco-cucm']!('4711')).flags.includes('result_unknown'));
  });
});

test('words for the end of a call', () => {
  const words: Record<string, string[]> = {
    answered: [
      'ANSWERED',
      'Answer',
      'answered',
      'OK',
      'Completed',
      'connected',
      '200',
      'Call connected',
      '200 OK',
    ],
    no_answer: [
      'NO ANSWER',
      'NOANSWER',
      'no-answer',
      'Missed',
      'NO_ANSWER',
      'Unanswered',
      '19',
      '480',
      '408',
      'timeout',
    ],
    busy: [
      'BUSY',
      'busy',
      'USER_BUSY',
      '17',
      '486',
      '600',
      'SIP 486',
      '486 Busy Here',
      'User Busy',
      'user busy',
    ],
    cancelled: [
      'CANCEL',
      'Cancelled',
      'canceled',
      'ORIGINATOR_CANCEL',
      '487',
      'abandoned',
      '487 Request Terminated',
    ],
    failed: [
      'CONGESTION',
      'CHANUNAVAIL',
      'DONTCALL',
      'TORTURE',
      'INVALIDARGS',
      'FAILED',
      'Rejected',
      '404',
      '503',
      '21',
    ],
    cleared: [
      '16',
      '31',
      '0',
      'NORMAL_CLEARING',
      'Normal Clearing',
      '16 Normal call clearing',
      'TerminatedBySrc',
    ],
  };
  for (const [result, known] of Object.entries(words))
    for (const word of known) assert.equal(readResult(word), result, word);
  for (const word of ['', 'gone', '150', '1999', '+49', 'x'.repeat(100), '200 2001', 'answered?'])
    assert.equal(readResult(word), undefined, word);
});

describe('directions', () => {
  test('by the words of many programs', () => {
    const words: Record<string, string[]> = {
      outbound: [
        'O',
        'out',
        'Outgoing Call',
        'OUTBOUND',
        'originating',
        'outbound-api',
        'outbound-dial',
        'MO',
        'outgoing_calls',
      ],
      inbound: [
        'I',
        'in',
        'Incoming Call',
        'Inbound',
        'terminating',
        'MT',
        'received',
        'Inbound call',
        'trunking-originating',
      ],
      internal: ['internal', 'Internal call', 'Local', 'INTERNAL CALLS', 'ext-to-ext'],
    };
    for (const [direction, known] of Object.entries(words))
      for (const word of known) assert.equal(readDirection(word), direction, word);
    for (const word of ['', 'up', 'Transfer', '1', 'call', 'outbound '.repeat(20)])
      assert.equal(readDirection(word), undefined, word);
  });

  test('by a word that nobody knows: the call is stored, flagged, the word kept', () => {
    const fromFile = first('mapped', mapped('sideways'), [...MAPPED, 'X=direction']);
    assert.deepEqual(
      [fromFile.direction, fromFile.flags, fromFile.attributes],
      [null, ['direction_unknown'], { X: 'sideways' }],
    );
    const fromPost = recordOf(parsePostedRecord(posted('sideways', 'direction')));
    assert.deepEqual(
      [fromPost.direction, fromPost.flags, fromPost.attributes],
      [null, ['direction_unknown'], { direction: 'sideways' }],
    );
  });

  test('by the context, where a call ends within the switch', () => {
    const told = directionByContext();
    const cases: [context: string, cli: string, cld: string, direction: string | null][] = [
      ['ivr-2', '+447700900124', 's', 'inbound'],
      ['ivr-12', '03023125001', '1', 'inbound'],
      ['app-blackhole', '+447700900124', 'hang', 'inbound'],
      ['app-announcement-1', 'anonymous', 's', 'inbound'],
      ['ext-local', '+447700900124', 'vmu1001', 'inbound'],
      ['ext-local', '', 'vmb1001', 'inbound'],
      ['ext-queues', '(030) 231-25001', 's', 'inbound'],
      ['ext-local', '1002', 'vmu1001', 'internal'],
      ['ext-local', '1002', '1001', 'internal'],
      ['ext-local', 'alice', '1001', null],
      ['ext-local', '1002', '+447700900124', null],
      ['ext-trunk', '+447700900124', 's', null],
      ['macro-dialout-trunk', '+447700900124', 's', null],
      ['from-internal', '+447700900124', 's', null],
      ['from-pstn', '1001', 's', 'inbound'],
    ];
    for (const [context, cli, cld, direction] of cases)
      assert.equal(told(context, cli, cld), direction, `${context} ${cli} ${cld}`);
    assert.equal(directionByContext(/^gw/)('ivr-2', '+447700900124', 's'), 'inbound');
  });
});
