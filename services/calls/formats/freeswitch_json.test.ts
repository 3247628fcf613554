import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type Decided, decided } from '#tests/calls.ts';
import { isNone } from '../absent.ts';
import type { Parsed } from '../cdr.ts';
import { createJsonReader, parseJsonCdr } from './freeswitch_json.ts';
import { MAX_DOCUMENT_BYTES } from './json_documents.ts';
import type { ParsedRow, SourceOptions } from './source_reader.ts';

const SAMPLES = new URL('../../../tests/samples/', import.meta.url);
const OPTIONS: SourceOptions = { timeZone: 'Europe/Berlin' };
const sample = (name: string): Buffer => readFileSync(new URL(name, SAMPLES));

function read(source: Buffer | string, options: SourceOptions = OPTIONS): ParsedRow[] {
  const reader = createJsonReader(options);
  return [...reader.push(Buffer.from(source)), ...reader.end()];
}

function recordOf(parsed: Parsed): Decided {
  assert.equal(parsed.kind, 'record', JSON.stringify(parsed));
  return parsed.kind === 'record' ? decided(parsed.record) : assert.fail();
}

function refused(document: unknown, options: SourceOptions = OPTIONS) {
  const parsed = parseJsonCdr(document, options);
  return parsed.kind === 'rejected' ? parsed.rejection : assert.fail(JSON.stringify(parsed));
}

const UUID = '11111111-2222-4333-8444-555555555555';
/** As little as makes a record. */
function document(variables: Record<string, unknown> = {}, more: object = {}) {
  const usual = {
    uuid: UUID,
    start_uepoch: '1780000000000000',
    answer_uepoch: '0',
    end_uepoch: '1780000012000000',
    duration: '12',
    billsec: '0',
    hangup_cause: 'NO_ANSWER',
    start_stamp: '2026-05-28 20:26:40',
  };
  return { 'core-uuid': 'c', variables: { ...usual, ...variables }, callflow: [], ...more };
}
const line = (variables: Record<string, unknown> = {}) => JSON.stringify(document(variables));
/** uuid of each record, reason's code of each row set aside, with the line of each. */
const outline = (taken: ParsedRow[]) =>
  taken.map(({ row, parsed }) => [
    row.line,
    parsed.kind === 'record' ? parsed.record.callId : parsed.rejection.code,
  ]);

describe('documents as FreeSWITCH writes them', () => {
  test('values not encoded', () => {
    const [taken, ...others] = read(sample('freeswitch-json-cdr.json'));
    assert.equal(others.length, 0);
    const { attributes, alsoSays: _, ...record } = recordOf(taken!.parsed);
    assert.deepEqual(record, {
      accountCode: 'acme',
      callId: '3b6a8e52-6a0f-4d1c-9a0e-0c4f6b7d1a01',
      identity: '3b6a8e52-6a0f-4d1c-9a0e-0c4f6b7d1a01',
      wholeRow: '',
      cli: '1001',
      cld: '+493023125042',
      direction: null,
      startTime: 1772525704123.456,
      connectTime: 1772525710323.456,
      disconnectTime: 1772525805723.456,
      durationS: 101,
      billedDurationS: 95,
      result: 'answered',
      disconnectCause: 'NORMAL_CLEARING',
      country: null,
      description: null,
      cost: null,
      currency: null,
      remoteIp: '192.0.2.31',
      userAgent: 'Yealink SIP-T46S 66.85.0.5',
      flags: [],
    });
    assert.equal(attributes.sip_call_id, '3b6a8e52-call@192.0.2.31');
    assert.equal(attributes.channel_direction, 'inbound');
    assert.equal(attributes.read_codec, 'PCMA');
    assert.equal(attributes.caller_id_name, 'Alice Moreau');
    assert.ok(Number(attributes.variables_left_out) > 20);
    assert.equal(attributes.switch_r_sdp, undefined);
  });

  test('values URL-encoded, several documents in a file', () => {
    const taken = read(sample('freeswitch-json-encoded.json'));
    const [answered, unanswered] = taken.map(({ parsed }) => recordOf(parsed));
    assert.deepEqual([taken.length, taken[1]!.row.line], [2, 2]);
    assert.equal(answered!.cld, '00442079460123');
    assert.equal(answered!.userAgent, 'snomD785/10.1.54.13');
    assert.equal(answered!.attributes.channel_name, 'sofia/internal/1002@10.20.0.5');
    assert.equal(answered!.attributes.caller_id_name, 'Zoë Müller');
    assert.deepEqual(
      [unanswered!.result, unanswered!.connectTime, unanswered!.billedDurationS],
      ['no_answer', null, 0],
    );
    assert.equal(unanswered!.disconnectTime! - unanswered!.startTime, 28_400);
  });

  test('a folder of documents', () => {
    const records = readdirSync(new URL('freeswitch-json/', SAMPLES))
      .sort()
      .flatMap((name) => read(sample(`freeswitch-json/${name}`)).map(({ parsed }) => recordOf(parsed)));
    assert.deepEqual(
      records.map(({ cli, cld, direction, result }) => [cli, cld, direction, result]),
      [
        ['+442079460123', '1001', 'inbound', 'answered'],
        ['1001', '+4915228817386', null, 'busy'],
        ['1002', '1001', null, 'cancelled'],
      ],
    );
  });
});

describe('one document', () => {
  const record = (variables: Record<string, unknown>, more: object = {}, options = OPTIONS) =>
    recordOf(parseJsonCdr(document(variables, more), options));

  test('whether values are encoded is told from all of them', () => {
    const agent = (variables: Record<string, unknown>) => record({ ...variables }).userAgent;
    assert.equal(agent({ sip_user_agent: '100%25' }), '100%25');
    assert.equal(agent({ sip_user_agent: 'x%20y' }), 'x%20y');
    const encoded = { start_stamp: '2026-05-28%2020%3A26%3A40' };
    assert.equal(agent({ ...encoded, sip_user_agent: 'a%20b%2Bc%25' }), 'a b+c%');
    assert.equal(agent({ ...encoded, sip_user_agent: 'Zo%C3%AB' }), 'Zoë');
    assert.equal(agent({ ...encoded, sip_user_agent: 'Zo%EB' }), 'Zoë');
    assert.equal(agent({ start_stamp: undefined, sip_user_agent: '100%25' }), '100%25');
  });

  test('every value comes through the encoder and back', () => {
    const unsafe = /[\r\n #%&+:;<=>?@[\\\]^`{|}"]/;
    const encode = (value: string) =>
      [...Buffer.from(value)]
        .map((byte) => [byte, String.fromCharCode(byte)] as const)
        .map(([byte, char]) =>
          byte < 32 || byte > 126 || unsafe.test(char)
            ? `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
            : char,
        )
        .join('');
    const texts = fc
      .string({ minLength: 1, maxLength: 200, unit: 'grapheme' })
      .filter((text) => !isNone(text));
    fc.assert(
      fc.property(texts, (value) => {
        const plain = record({ sip_user_agent: value }).userAgent;
        const encoded = record({ start_stamp: encode('2026-05-28 20:26:40'), sip_user_agent: encode(value) });
        assert.equal(encoded.userAgent, plain);
        assert.equal(plain, value);
      }),
    );
  });

  test('epochs in seconds, and the call flow’s times, stand in for microseconds', () => {
    const seconds = {
      start_uepoch: '',
      start_epoch: '1780000001',
      answer_uepoch: '',
      answer_epoch: '1780000003',
    };
    assert.deepEqual(
      [record(seconds).startTime, record(seconds).connectTime],
      [1780000001000, 1780000003000],
    );
    const none = { start_uepoch: undefined, answer_uepoch: undefined, end_uepoch: undefined };
    const times = { created_time: '1780000005000001', answered_time: '0', hangup_time: '1780000009000000' };
    const found = record(none, { callflow: [{ times }] });
    assert.deepEqual(
      [found.startTime, found.connectTime, found.disconnectTime],
      [1780000005000.001, null, 1780000009000],
    );
    assert.equal(record({ start_uepoch: 1780000000000000 }).startTime, 1780000000000);
  });

  test('durations in seconds, ms or µs, or from the times', () => {
    const of = (variables: Record<string, unknown>) => {
      const { durationS, billedDurationS } = record({ duration: '', billsec: '', ...variables });
      return [durationS, billedDurationS];
    };
    assert.deepEqual(of({ duration: '12', mduration: '12999', billsec: '7', billmsec: '7999' }), [12, 7]);
    assert.deepEqual(of({ mduration: '12500', billmsec: '7250' }), [12.5, 7.25]);
    assert.deepEqual(of({ uduration: '12500001', billusec: '7250001' }), [12.500001, 7.250001]);
    assert.deepEqual(of({ answer_uepoch: '1780000002000000' }), [12, 10]);
    assert.deepEqual(record({ billsec: '13', answer_uepoch: '1780000000000000' }).flags, [
      'billed_longer_than_duration',
    ]);
    assert.equal(refused(document({ billsec: '-3' })).code, 'bad_number');
    assert.equal(refused(document({ duration: 'long' })).field, 'duration');
  });

  test('numbers come from the newest caller profile, or else from the variables', () => {
    const callflow = [
      { caller_profile: { caller_id_number: '1001', destination_number: '1002', context: 'default' } },
      { caller_profile: { caller_id_number: '1001', destination_number: '5000', context: 'public' } },
    ];
    const { cli, cld } = record({ sip_to_user: '9' }, { callflow });
    assert.deepEqual([cli, cld], ['1001', '1002']);
    const fallback = record({ caller_id: '"Zoë" <1003>', sip_to_user: '+493023125042' });
    assert.deepEqual([fallback.cli, fallback.cld], ['1003', '+493023125042']);
    assert.deepEqual([record({}).cli, record({}).cld], ['', '']);
  });

  test('an inbound leg in a context for calls from outside is an inbound call; nothing else is told', () => {
    const from = (direction: string, context: string, options = OPTIONS) =>
      record({ direction }, { callflow: [{ caller_profile: { context } }] }, options).direction;
    assert.equal(from('inbound', 'public'), 'inbound');
    assert.equal(from('outbound', 'public'), null);
    assert.equal(from('inbound', 'default'), null);
    assert.equal(from('inbound', 'carriers', { ...OPTIONS, inboundContexts: /^carriers$/g }), 'inbound');
    assert.equal(
      record({}, { channel_data: { direction: 'inbound' } }).attributes.channel_direction,
      'inbound',
    );
  });

  test('the account comes from accountcode, or the field told', () => {
    const callflow = [{ caller_profile: { context: 'tenant7' } }];
    const account = (variables: object, options: object) =>
      record({ ...variables }, { callflow, switchname: 'pbx1' }, { ...OPTIONS, ...options }).accountCode;
    assert.equal(account({ accountcode: 'acme' }, {}), 'acme');
    assert.equal(account({}, {}), '');
    assert.equal(
      account({ accountcode: 'acme', domain_name: 'd.example' }, { accountField: 'domain_name' }),
      'd.example',
    );
    assert.equal(account({}, { accountField: 'context' }), 'tenant7');
    assert.equal(account({}, { accountField: 'switchname' }), 'pbx1');
    assert.equal(account({}, { accountField: 'constructor' }), '');
    assert.equal(account({}, {}), '');
  });

  test('the result: answered by its time, else by the cause, by name or number', () => {
    const result = (variables: object) => record({ ...variables }).result;
    assert.equal(result({ answer_uepoch: '1780000003000000', hangup_cause: '' }), 'answered');
    assert.equal(result({ hangup_cause: 'USER_BUSY' }), 'busy');
    assert.equal(result({ hangup_cause: 'UNALLOCATED_NUMBER' }), 'failed');
    assert.equal(result({ hangup_cause: '', hangup_cause_q850: '17' }), 'busy');
    assert.equal(result({ hangup_cause: '' }), 'no_answer');
    assert.equal(result({ hangup_cause: 'what now' }), 'no_answer');
  });

  test('a record stays small whatever its telephone sends', () => {
    const { userAgent, attributes } = record({
      sip_user_agent: '\u{1F4DE}'.repeat(5000),
      sip_call_id: 'x'.repeat(9000),
    });
    assert.ok(userAgent!.length <= 500 && userAgent!.isWellFormed());
    assert.equal(attributes.sip_call_id!.length, 500);
    assert.equal(refused(document({ uuid: 'x'.repeat(1000) })).field, 'uuid');
  });

  test('what is missing or wrong is named', () => {
    assert.equal(refused(document({ uuid: '' })).field, 'uuid');
    assert.deepEqual(refused(document({ start_uepoch: '0' })).code, 'missing_field');
    assert.deepEqual(refused(document({ start_uepoch: '0' })).field, 'start_uepoch');
    assert.equal(refused(document({ answer_uepoch: '2026-05-28 20:26:40' })).field, 'answer_uepoch');
    assert.equal(refused(document({ end_uepoch: '99' })).code, 'bad_time');
    for (const other of [null, 1, 'text', [], {}, { variables: 'none' }, { variables: [] }]) {
      assert.equal(refused(other).code, 'unreadable_row');
    }
  });

  test('no document makes it throw', () => {
    const broken = fc.oneof(
      fc.jsonValue(),
      fc.record({
        variables: fc.dictionary(
          fc.constantFrom('uuid', 'start_uepoch', 'duration', '__proto__', 'x'),
          fc.jsonValue(),
        ),
      }),
      fc.record({
        variables: fc.constant(document().variables),
        callflow: fc.jsonValue(),
        channel_data: fc.jsonValue(),
      }),
    );
    fc.assert(
      fc.property(broken, (value) => ['record', 'rejected'].includes(parseJsonCdr(value, OPTIONS).kind)),
    );
  });
});

describe('files of documents', () => {
  const three = [line({ uuid: 'a' }), line({ uuid: 'b' }), line({ uuid: 'c' })];

  test('one a line, concatenated, in an array, pretty-printed; with a byte-order mark and Windows line ends', () => {
    const pretty = (indent: number | string) =>
      three.map((text) => JSON.stringify(JSON.parse(text), null, indent));
    const forms: [name: string, text: string, lines?: number[]][] = [
      ['lines', three.join('\n'), [1, 2, 3]],
      ['Windows lines', `\uFEFF${three.join('\r\n')}\r\n`, [1, 2, 3]],
      ['concatenated', three.join(''), [1, 1, 1]],
      ['array', `[${three.join(', ')}]`, [1, 1, 1]],
      ['array over lines', `[\n  ${three.join(',\n  ')}\n]\n`, [2, 3, 4]],
      ['pretty', pretty(2).join('\n\n')],
      ['pretty with tabs, concatenated', pretty('\t').join('')],
      [
        'pretty array',
        JSON.stringify(
          three.map((text) => JSON.parse(text)),
          null,
          2,
        ),
      ],
    ];
    for (const [name, text, lines] of forms) {
      const taken = read(text);
      assert.deepEqual(
        taken.map(({ parsed }) => recordOf(parsed).callId),
        ['a', 'b', 'c'],
        name,
      );
      const source = text.replace('\uFEFF', '');
      const found = taken.map(({ row }) => row.line);
      let at = 0;
      const wanted = taken.map(({ row }) => {
        at = source.indexOf(row.bytes.toString(), at);
        return source.slice(0, at++).split('\n').length;
      });
      assert.deepEqual(found, lines ?? wanted, name);
      assert.deepEqual(found, wanted, name);
    }
    assert.deepEqual(read(''), []);
    assert.deepEqual(read('[]\n'), []);
  });

  test('a broken document is set aside with its bytes and line; reading goes on with the next', () => {
    const whole = line({ uuid: 'b' });
    const broken = [
      whole.slice(0, 40),
      whole.slice(0, -1),
      whole.slice(0, whole.indexOf('"variables":') + 12),
      `${whole.slice(0, 60)}\u0000\u0000`,
      whole.replace(',', ''),
      whole.replace('"uuid":', 'uuid:'),
      '{"a":'.repeat(200),
      'a line of a log file',
      '"text"',
    ];
    for (const text of broken) {
      const taken = read([three[0], text, three[2]].join('\n'));
      assert.deepEqual(
        outline(taken),
        [
          [1, 'a'],
          [2, 'unreadable_row'],
          [3, 'c'],
        ],
        text,
      );
      assert.equal(taken[1]!.row.bytes.toString(), text);
      assert.deepEqual(
        outline(read(`${three[0]}\n${text}`)).at(-1),
        [2, 'unreadable_row'],
        `at the end: ${text}`,
      );
    }
  });

  test('a bracket that is missing here and left over there costs these two', () => {
    const taken = read([three[0]!.slice(0, -1), three[1], three[2], '}', three[0]].join('\n'));
    const outcome = [
      [1, 'unreadable_row'],
      [2, 'b'],
      [3, 'c'],
      [4, 'unreadable_row'],
      [5, 'a'],
    ];
    assert.deepEqual(outline(taken), outcome);
  });

  test('a document may nest, but not without bound', () => {
    const nested = (depth: number) => line({ deep: JSON.parse('['.repeat(depth) + ']'.repeat(depth)) });
    assert.deepEqual(outline(read(nested(20))), [[1, UUID]]);
    assert.deepEqual(outline(read(nested(100))), [[1, 'unreadable_row']]);
  });

  test('in an array, a broken document costs itself, also beside others in its line', () => {
    const array = `[\n  ${three[0]},\n  {"callflow": [\n    {"x": 1},\n    {"y": "cut\n  ${three[2]}\n]`;
    assert.deepEqual(outline(read(array)), [
      [2, 'a'],
      [3, 'unreadable_row'],
      [6, 'c'],
    ]);
    assert.deepEqual(
      outline(read(`[${three[0]}, {"a": }, ${three[2]}]`)).map(([, what]) => what),
      ['a', 'unreadable_row', 'c'],
    );
  });

  test('a pretty-printed document that was cut off costs itself', () => {
    const pretty = three.map((text) => JSON.stringify(JSON.parse(text), null, 2));
    const cutOff = pretty[1]!.split('\n').slice(0, 6).join('\n');
    const taken = read([pretty[0], cutOff, pretty[2]].join('\n'));
    assert.deepEqual(
      taken.map(({ parsed }) => (parsed.kind === 'record' ? parsed.record.callId : 'x')),
      ['a', 'x', 'c'],
    );
    assert.equal(taken[1]!.row.bytes.toString(), cutOff);
  });

  test('too large a document is set aside with its begin, wherever the next one stands', () => {
    const large = line({ uuid: 'b', note: 'x'.repeat(MAX_DOCUMENT_BYTES) });
    for (const text of [
      [three[0], large, three[2]].join('\n'),
      `[${[three[0], large, three[2]].join(',')}]`,
    ]) {
      const taken = read(text);
      assert.deepEqual(
        outline(taken).map(([, what]) => what),
        ['a', 'too_large', 'c'],
      );
      assert.ok(taken[1]!.row.bytes.length <= 64 * 1024 && large.startsWith(taken[1]!.row.bytes.toString()));
    }
    const unclosed = Buffer.from(`{"a":"${'x'.repeat(MAX_DOCUMENT_BYTES + 9)}\n${three[2]}`);
    for (const cut of [unclosed.length, 100, MAX_DOCUMENT_BYTES, MAX_DOCUMENT_BYTES + 8]) {
      const reader = createJsonReader(OPTIONS);
      const parts = [
        reader.push(unclosed.subarray(0, cut)),
        reader.push(unclosed.subarray(cut)),
        reader.end(),
      ];
      assert.deepEqual(outline(parts.flat()), [
        [1, 'too_large'],
        [2, 'c'],
      ]);
    }
    const endless = createJsonReader(OPTIONS);
    for (let i = 0; i < 200; i++)
      assert.deepEqual(endless.push(Buffer.from(`{"a":"${'x'.repeat(1_000_000)}`)), []);
    assert.deepEqual(outline(endless.end()), [[1, 'too_large']]);
  });

  test('what FreeSWITCH could not post is read as it left it', () => {
    const text = line({ uuid: 'b' });
    const errors = [
      encodeURIComponent(text),
      Buffer.from(text).toString('base64'),
      `cdr=${encodeURIComponent(text)}`,
    ];
    assert.deepEqual(outline(read(`${errors.join('\n')}\n${three[2]}`)), [
      [1, 'b'],
      [2, 'b'],
      [3, 'b'],
      [4, 'c'],
    ]);
    assert.deepEqual(outline(read('%7B%22cut')), [[1, 'unreadable_row']]);
  });

  test('names that are not UTF-8 are read as Latin-1', () => {
    const taken = read(Buffer.from(line({ sip_user_agent: 'Zoë' }), 'latin1'));
    assert.equal(recordOf(taken[0]!.parsed).userAgent, 'Zoë');
  });

  test('what is given does not depend on how the source was cut', () => {
    const piece = fc.constantFrom(
      ...three,
      ...three.map((text) => JSON.stringify(JSON.parse(text), null, 1)),
      ...[
        '\n',
        '\n',
        '\r\n',
        ',',
        '[',
        ']',
        '{',
        '}',
        '"',
        '\\',
        ' ',
        'x',
        '%7B',
        'eyJ',
        '\uFEFF',
        '{"a":"',
        '[{',
        'ë',
      ],
      three[0]!.slice(0, 50),
      encodeURIComponent(three[0]!),
    );
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 12 }),
        fc.array(fc.nat(400), { maxLength: 20 }),
        (pieces, cuts) => {
          const source = Buffer.from(pieces.join(''));
          const reader = createJsonReader(OPTIONS);
          const taken: ParsedRow[] = [];
          let at = 0;
          for (const cut of cuts) {
            taken.push(...reader.push(source.subarray(at, at + cut)));
            at += cut;
          }
          taken.push(...reader.push(source.subarray(at)), ...reader.end());
          const simple = (rows: ParsedRow[]) =>
            rows.map(({ row, parsed }) => [row.line, row.bytes.toString('latin1'), parsed]);
          assert.deepEqual(simple(taken), simple(read(source)));
          for (const { row } of taken)
            assert.deepEqual(source.subarray(row.offset, row.offset + row.bytes.length), row.bytes);
          // Nothing is lost: what is not given are blanks and what joins documents.
          const given = taken.reduce(
            (bytes, { row }) => bytes + row.bytes.filter((byte) => byte > 32).length,
            0,
          );
          const all = source.filter((byte) => byte > 32).length;
          const joints = source.filter((byte) => byte === 0x2c || byte === 0x5b || byte === 0x5d).length;
          assert.ok(given >= all - joints - 3 && given <= all, `${given} of ${all}`);
        },
      ),
      { numRuns: 2000 },
    );
  });
});
