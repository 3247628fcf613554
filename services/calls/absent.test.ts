import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NONE_WORDS, NOT_OF_FIGURES } from '#tests/none_words.ts';
import { carrierFile, postedRecord } from '#tests/written_calls.ts';
import { given, givenFigure, givenValues, isNoFigure, isNone } from './absent.ts';
import { CODE_EDGES } from './account_codes.ts';
import { MAPPED_FIELDS } from './call_fields.ts';
import { detectFormat } from './formats/detect.ts';
import type { FormatName } from './formats/formats.ts';
import { parseMapping } from './formats/mapping.ts';
import { recordFromFields } from './formats/posted_record.ts';
import { openSource } from './formats/reader.ts';
import type { SourceOptions } from './formats/source_reader.ts';

/** What only looks like a value that stands for none. */
const VALUES = [
  '.',
  ...['0', 'N', 'anonymous', '-1', 'nullary', 'Nilsson', '0000-00-01', '0000-00-00 00:00:01', '0000-00-00-1'],
  ...[
    '+49',
    'none of it',
    '\\',
    'x'.repeat(100),
    '1.5',
    '#31#',
    '#',
    '####',
    '#1',
    '#12!',
    '(1)',
    '<x>',
    '[0]',
  ],
  ...['Err:5', 'errno', "'1'", '(unknown caller)', '(N', '-2', 'nan1', 'none, really', 'NULL NULL'],
];

test('what programs print for no value is none; what only looks like it is a value', () => {
  for (const word of ['', ' ', '\t', ...NONE_WORDS]) {
    for (const written of [word, ` ${word} `, ...[...CODE_EDGES].map((edge) => `${edge}${word}`)]) {
      assert.ok(isNone(written) && isNoFigure(written), JSON.stringify(written));
      assert.equal(given(written), '');
    }
  }
  for (const word of NOT_OF_FIGURES) {
    assert.ok(isNoFigure(word) && !isNone(word), word);
    assert.deepEqual([given(word), givenFigure(word)], [word, '']);
  }
  for (const value of VALUES) {
    assert.ok(!isNone(value) && !isNoFigure(value), value);
    assert.deepEqual([given(value), givenFigure(value)], [value, value]);
  }
  const values = ['a', '', 'b', 'NA'];
  assert.equal(givenValues(values), values);
  assert.deepEqual(givenValues(['a', 'NULL', 'b']), ['a', '', 'b']);
  assert.deepEqual(givenValues(['NA', 'NA', 'b'], new Set([1])), ['NA', '', 'b']);
});

/** What a source says, without the bytes that it is known by. */
function said(format: FormatName, read: Partial<SourceOptions>, text: string): unknown {
  const reader = openSource(format, { timeZone: 'UTC', ...read });
  const taken = [...reader.push(Buffer.from(text)), ...reader.end(true)];
  assert.equal(taken.length, 1, text);
  return saidIn(taken[0]!.parsed);
}

type Said = { kind: string; record?: object; rejection?: { code: string; field?: string } };
function saidIn(parsed: Said): unknown {
  if (parsed.kind === 'rejected') return [parsed.rejection!.code, parsed.rejection!.field];
  const { identity: _, ...record } = parsed.record as Record<string, unknown>;
  // It counts what stays in the switch's file.
  delete (record.attributes as Record<string, unknown>).variables_left_out;
  return record;
}

/** Telling a format looks at all of a file. */
const SOME_WORDS = new Set(['NULL', '\\N', '#VALUE!', 'NA', '0000-00-00 00:00:00']);
const NONE: ReadonlySet<string> = new Set(NONE_WORDS);

/** Without what tells a row that has no call id from others, whatever columns are mapped. */
function callOf(told: unknown): unknown {
  if (Array.isArray(told)) return told;
  const { wholeRow: _, alsoSays: __, ...record } = told as Record<string, unknown>;
  return record;
}

interface Sample {
  readonly title: string;
  readonly format: FormatName;
  readonly read?: Partial<SourceOptions>;
  /** Lines above the row. */
  readonly header?: readonly string[];
  readonly row: readonly string[];
  readonly account: number;
  /** Places of figures, instants, addresses and ids. */
  readonly figures: readonly number[];
}

const STAMPS = ['2026-03-02 08:37:13', '2026-03-02 08:37:22', '2026-03-02 08:40:26'];
const UUID = '00000000-0000-4000-8000-000000000001';
const ASTERISK_HEAD = ['acme', '1001', '+442079460123', 'from-internal', '"Ann" <1001>', 'PJSIP/1-0'];
const ASTERISK = [
  ...[...ASTERISK_HEAD, 'PJSIP/2-1', 'Dial', 'PJSIP/2,60', ...STAMPS, '193', '184', 'ANSWERED'],
  ...['DOCUMENTATION', '1772440633.101', 'x=1', 'peer', '1772440633.101', '7'],
];
const [A, C, D, X, I, H, P] = ASTERISK as [string, string, string, string, string, string, string];
const ASTERISK_NAMES = [
  ...['accountcode', 'src', 'dst', 'dcontext', 'clid', 'channel', 'dstchannel', 'lastapp', 'lastdata'],
  ...['start', 'answer', 'end', 'duration', 'billsec', 'disposition', 'amaflags', 'uniqueid', 'userfield'],
  ...['peeraccount', 'linkedid', 'sequence', 'mine'],
];
const FREESWITCH = [
  ...['Ann', '1001', '+442079460123', 'default', ...STAMPS, '193', '184', 'NORMAL_CLEARING', UUID],
  ...['953f48f1-a09f-46b5-a170-b33839263059', 'acme', 'PCMA', 'PCMA'],
];
const MAPPED: Readonly<Record<(typeof MAPPED_FIELDS)[number], string>> = {
  ...{
    call_id: 'c-1',
    linked_id: 'l-1',
    account: 'acme',
    cli: '+442079460001',
    cld: '+442079460123',
    direction: 'outbound',
  },
  ...{ start_date: '2026-03-02', start_time: '08:37:13', connect_date: '2026-03-02' },
  ...{ connect_time: '08:37:22', disconnect_date: '2026-03-02', disconnect_time: '08:40:26' },
  ...{ duration_s: '193', billed_duration_s: '184', result: 'answered', disconnect_cause: '16' },
  ...{ country: 'GB', description: 'London', cost: '0.0744', currency: 'EUR' },
  ...{ remote_ip: '192.0.2.1', user_agent: 'Phone' },
};
const MAPPED_FIGURES = new Set([
  ...['call_id', 'linked_id', 'start_date', 'start_time', 'connect_date', 'connect_time', 'disconnect_date'],
  ...['disconnect_time', 'duration_s', 'billed_duration_s', 'cost', 'currency', 'remote_ip'],
]);

function mappedSample(title: string, without: RegExp, changes: object = {}): Sample {
  const fields = MAPPED_FIELDS.filter((field) => !without.test(field));
  const values = { ...MAPPED, ...changes };
  return {
    ...{ title, format: 'mapped', row: [...fields.map((field) => values[field]), 'R1'] },
    header: [[...fields, 'Route'].join(',')],
    read: {
      mapping: parseMapping(
        fields.map((field) => `${field}=${field}`),
        'm',
      ),
    },
    account: fields.indexOf('account'),
    figures: fields.flatMap((field, at) => (MAPPED_FIGURES.has(field) ? [at] : [])),
  };
}

const SAMPLES: readonly Sample[] = [
  {
    title: 'cdr_csv',
    format: 'asterisk-csv',
    row: ASTERISK,
    account: 0,
    figures: [9, 10, 11, 12, 13, 16, 19, 20],
  },
  {
    ...{ title: 'cdr_custom', format: 'asterisk-custom', account: 15, figures: [8, 9, 10, 11, 12, 16, 18] },
    row: [...[I, C, D, X, H, P], ...ASTERISK.slice(7, 16), A, ...ASTERISK.slice(16, 18), '7'],
  },
  {
    ...{ title: "Asterisk's fields under a header", format: 'asterisk-header', account: 0 },
    ...{
      header: [ASTERISK_NAMES.join(',')],
      row: [...ASTERISK, 'more'],
      figures: [9, 10, 11, 12, 13, 16, 19, 20],
    },
  },
  {
    ...{ title: 'FreeSWITCH, example', format: 'freeswitch-example', row: FREESWITCH, account: 12 },
    figures: [4, 5, 6, 7, 8, 10, 11],
  },
  {
    ...{ title: 'FreeSWITCH, compiled in', format: 'freeswitch-default', row: FREESWITCH.slice(0, 13) },
    ...{ account: 12, figures: [4, 5, 6, 7, 8, 10, 11] },
  },
  {
    ...{ title: 'FreeSWITCH, asterisk', format: 'freeswitch-asterisk', account: 0 },
    row: [...ASTERISK.slice(0, 14), 'NORMAL_CLEARING', '3', UUID, 'x'],
    figures: [9, 10, 11, 12, 13, 16],
  },
  {
    ...{
      title: 'CUCM',
      format: 'cisco-cucm',
      account: 12,
      figures: [0, 1, 2, 3, 4, 5, 6, 9, 10, 11, 14, 15],
    },
    header: [
      'cdrRecordType,globalCallID_callManagerId,globalCallID_callId,dateTimeOrigination,dateTimeConnect,dateTimeDisconnect,duration,callingPartyNumber,originalCalledPartyNumber,origCause_value,destCause_value,pkid,globalCallId_ClusterID,finalCalledPartyNumber,origIpv4v6Addr,destLegIdentifier,origDeviceName',
    ],
    row: [
      ...['1', '1', '7', '1772442106', '1772442115', '1772442299', '184', '1001', '+442079460123', '0', '16'],
      ...[UUID, 'acme', '+442079460123', '198.51.100.7', '30410001', 'SEP1'],
    ],
  },
  {
    ...{ title: 'SMDR', format: 'avaya-smdr', account: 7, figures: [0, 1, 2, 9, 15, 16] },
    row: [
      ...['2026/03/02 09:30:57', '00:00:13', '7', '+442079460123', 'I', '4750', '+493023125043', 'acme', '0'],
      ...['1000014160', '1', 'E4750', 'John Smith', 'T9002', 'LINE 1.2', '11', '0', '0', 'x', 'y'],
    ],
  },
  {
    ...{ title: '3CX', format: '3cx-cdr', account: -1, figures: [1, 2, 3, 4, 5] },
    row: [
      ...['Call 1204', '00000C21DE5C2470_31', '00:00:42', '2026/03/02 09:04:54', '2026/03/02 09:05:00'],
      ...[
        '2026/03/02 09:05:42',
        'TerminatedBySrc',
        'Ext.1002',
        '+12025550143',
        '1002',
        '10000',
        '+12025550143',
      ],
      ...['x', '+12025550143', '', 'b', '1', '2', 'n', 'Chain: Ext.1002;', '', 'Extension', 'ExternalLine'],
    ],
  },
  mappedSample('a mapping, dates apart', /^$/),
  mappedSample('a mapping, stamps', /_date$/, {
    ...{ start_time: STAMPS[0], connect_time: STAMPS[1], disconnect_time: STAMPS[2] },
  }),
  mappedSample('a mapping without ids', /_date$|call_id/, {
    ...{ start_time: STAMPS[0], connect_time: STAMPS[1], disconnect_time: STAMPS[2] },
  }),
];

const cell = (value: string) => `"${value.replaceAll('"', '""')}"`;
const fileOf = ({ header = [] }: Sample, row: readonly string[]) =>
  [...header, row.map(cell).join(','), ''].join('\n');

describe('in every field of every format a value that stands for none is as good as a blank', () => {
  for (const sample of SAMPLES) {
    test(sample.title, () => {
      const { format, read = {}, row, account, figures } = sample;
      const whole = said(format, read, fileOf(sample, row));
      assert.ok(!Array.isArray(whole), `${sample.title}: ${whole}`);
      for (const at of row.keys()) {
        if (at === account) continue;
        const withCell = (value: string) => fileOf(sample, row.with(at, value));
        const blank = said(format, read, withCell(''));
        for (const word of figures.includes(at) ? [...NONE_WORDS, ...NOT_OF_FIGURES] : NONE_WORDS) {
          const told = said(format, read, withCell(word));
          assert.deepEqual(
            NONE.has(word) ? told : callOf(told),
            NONE.has(word) ? blank : callOf(blank),
            `column ${at} ${word}`,
          );
          if (format === 'mapped' || !SOME_WORDS.has(word)) continue;
          const formatOf = (value: string) => detectFormat(Buffer.from(withCell(value))).format;
          assert.equal(formatOf(word), formatOf('') ?? formatOf(word), `column ${at} ${word}: the format`);
        }
      }
    });
  }

  const VARIABLES = {
    ...{ uuid: UUID, accountcode: 'acme', direction: 'inbound', hangup_cause: 'USER_BUSY' },
    ...{ hangup_cause_q850: '17', start_epoch: '1772440633', start_uepoch: '1772440633000000' },
    ...{ answer_epoch: '1772440642', answer_uepoch: '1772440642000000', end_epoch: '1772440826' },
    ...{ end_uepoch: '1772440826000000', duration: '193', mduration: '193000', billsec: '184' },
    ...{ billmsec: '184000', caller_id: '1001', sip_from_user: '1001', sip_to_user: '442079460123' },
    ...{ sip_user_agent: 'Phone', sip_network_ip: '192.0.2.1', sip_received_ip: '192.0.2.2' },
    ...{ read_codec: 'PCMA', bridge_uuid: UUID, last_arg: 'x', sip_term_status: '200' },
  };
  const PROFILE = {
    ...{ uuid: UUID, caller_id_number: '1001', caller_id_name: 'Ann', destination_number: '442079460123' },
    ...{ context: 'default', network_addr: '192.0.2.3' },
  };
  const TIMES = {
    ...{
      created_time: '1772440633000000',
      answered_time: '1772440642000000',
      hangup_time: '1772440826000000',
    },
  };
  const FIGURES = /^(uuid|.*_u?epoch|duration|billsec|sip_(network|received)_ip|.*_time|network_addr)$/;
  const json = (parts: { variables: object; caller_profile: object; times: object }) => {
    const { variables, ...flow } = parts;
    return `${JSON.stringify({ switchname: 'p', variables, callflow: [flow] })}\n`;
  };
  const elements = (values: object, written: (text: string) => string) =>
    Object.entries(values)
      .map(([name, value]) => `<${name}>${written(value)}</${name}>`)
      .join('');
  const xml = (parts: { variables: object; caller_profile: object; times: object }) => {
    const plain = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
    const flow = `<caller_profile>${elements(parts.caller_profile, plain)}</caller_profile><times>${elements(parts.times, plain)}</times>`;
    return `<?xml version="1.0"?>\n<cdr switchname="p"><variables>${elements(parts.variables, encodeURIComponent)}</variables><callflow>${flow}</callflow></cdr>\n`;
  };
  for (const [format, write] of [
    ['freeswitch-json', json],
    ['freeswitch-xml', xml],
  ] as const) {
    test(format, () => {
      const parts = { variables: VARIABLES, caller_profile: PROFILE, times: TIMES };
      assert.ok(!Array.isArray(said(format, {}, write(parts))));
      for (const [part, values] of Object.entries(parts)) {
        for (const name of Object.keys(values)) {
          if (name === 'accountcode') continue;
          // Alone, so that no other variable tells what this one did not.
          const alone = (value: string) =>
            write({
              ...parts,
              [part]: { ...values, [name]: value },
              ...(part === 'times' && { variables: bare }),
            });
          for (const word of FIGURES.test(name) ? [...NONE_WORDS, ...NOT_OF_FIGURES] : NONE_WORDS) {
            assert.deepEqual(
              callOf(said(format, {}, alone(word))),
              callOf(said(format, {}, alone(''))),
              `${name} ${word}`,
            );
          }
        }
      }
    });
  }
  const bare = { uuid: UUID, accountcode: 'acme', hangup_cause: 'USER_BUSY' };

  test('posts', () => {
    const record = {
      ...postedRecord({
        ...{ account: 'acme', id: UUID, start: 1_772_442_294, answerAfter: 5, endAfter: 65, duration: 65 },
        ...{ billed: 60, word: 'ANSWERED' },
      }),
      ...{ direction: 'outbound', country: 'GB', currency: 'EUR', cost: '0.1', disconnect_cause: '16' },
      ...{ remote_ip: '192.0.2.1', user_agent: 'x', description: 'y', source_key: 'k', linked_id: 'l' },
    };
    const read = (changes: object) => saidIn(recordFromFields({ ...record, ...changes }, new Map()) as Said);
    const texts = /^(cli|cld|direction|result|disconnect_cause|country|description|user_agent)$/;
    for (const field of Object.keys(record)) {
      if (field === 'account') continue;
      for (const others of [{}, { call_id: null }, { call_id: null, source_key: null }]) {
        const absent = read({ ...others, [field]: null });
        for (const word of texts.test(field) ? NONE_WORDS : [...NONE_WORDS, ...NOT_OF_FIGURES])
          assert.deepEqual(callOf(read({ ...others, [field]: word })), callOf(absent), `${field} ${word}`);
      }
    }
    for (const word of NONE_WORDS)
      assert.deepEqual(
        callOf(read({ attributes: { a: word, b: 'x' } })),
        callOf(read({ attributes: { b: 'x' } })),
      );
  });
});

test('a word that says something in a text is kept there: Namibia, a caller who hides his number', () => {
  const sample = mappedSample('m', /_date$/, {
    start_time: STAMPS[0],
    connect_time: '',
    disconnect_time: '',
  });
  const read = (field: (typeof MAPPED_FIELDS)[number], value: string) => {
    const at = MAPPED_FIELDS.filter((name) => !/_date$/.test(name)).indexOf(field);
    return said('mapped', sample.read!, fileOf(sample, sample.row.with(at, value))) as Record<
      string,
      unknown
    >;
  };
  assert.equal(read('country', 'NA').country, 'NA');
  assert.equal(read('cli', 'unknown').cli, 'unknown');
  assert.equal(read('description', 'NA').description, 'NA');
});

test('stamps of nought say that there was none', () => {
  const noughts = [
    ...['0', '0000-00-00 00:00:00', '0000-00-00', '00/00/0000 00:00:00', '0001-01-01T00:00:00'],
    ...['1899-12-30 00:00:00', '1900-01-01 00:00:00.000', '1970-01-01 00:00:00', '1969-12-31 19:00:00'],
    '1970-01-01T00:00:00Z',
  ];
  const file = carrierFile([
    {
      ...{ account: 'acme', id: UUID, start: 1_772_442_294, answerAfter: 5, endAfter: 65, duration: 65 },
      ...{ billed: 60, word: 'ANSWERED' },
    },
  ]);
  const withAnswer = (answer: string) => {
    const { wholeRow: _, ...record } = said(
      'mapped',
      file.read,
      file.text.replace('2026-03-02 09:04:59', answer),
    ) as Record<string, unknown>;
    return record;
  };
  for (const nought of noughts) assert.deepEqual(withAnswer(nought), withAnswer(''), nought);
});
