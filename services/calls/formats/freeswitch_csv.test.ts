import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Decided, decided } from '#tests/calls.ts';
import type { Rejection, SourceRecord } from '../cdr.ts';
import { createCsvReader } from './csv_reader.ts';
import { type FreeswitchCsvFormat, freeswitchCsvRows, isFreeswitchRow } from './freeswitch_csv.ts';
import type { ParsedRow, SourceOptions } from './source_reader.ts';

function read(
  format: FreeswitchCsvFormat,
  text: string | Buffer,
  options: Partial<SourceOptions> = {},
): ParsedRow[] {
  const reader = createCsvReader(freeswitchCsvRows(format, { timeZone: 'UTC', ...options }));
  return [...reader.push(typeof text === 'string' ? Buffer.from(text) : text), ...reader.end()];
}

function records(format: FreeswitchCsvFormat, text: string | Buffer, options?: Partial<SourceOptions>) {
  return read(format, text, options).map(({ parsed }): Decided => {
    assert.equal(parsed.kind, 'record', JSON.stringify(parsed));
    return decided((parsed as { record: SourceRecord }).record);
  });
}

function rejectionOf(format: FreeswitchCsvFormat, text: string): Rejection {
  const [taken] = read(format, text);
  assert.equal(taken?.parsed.kind, 'rejected');
  return (taken.parsed as { rejection: Rejection }).rejection;
}

const UUID = 'f9ebdacc-0cb1-429c-a58c-da1495e60af5';
const BLEG = 'dbc496cb-8e81-473e-8bec-d7b03898d190';
const COMMON =
  `"Bob, Sales","1002","+12025550143","default","2026-03-02 08:49:43","2026-03-02 08:49:49","2026-03-02 08:50:31",` +
  `"48","42","NORMAL_CLEARING","${UUID}","${BLEG}"`;
const EXAMPLE = `${COMMON},"acme","PCMA","PCMU"`;
const COMPILED_IN = `${COMMON}, "acme"`;
const ASTERISK =
  '"acme","1002","+12025550143","default",""Bob, Sales" <1002>","sofia/internal/1002@pbx.example.com",' +
  '"sofia/external/+12025550143","bridge","sofia/gateway/carrier/+12025550143","2026-03-02 08:49:43",' +
  `"2026-03-02 08:49:49","2026-03-02 08:50:31","48","42","NORMAL_CLEARING","3","${UUID}",""`;
const UNANSWERED = EXAMPLE.replace('"2026-03-02 08:49:49"', '""').replace('"42"', '"0"');

describe('templates', () => {
  const normalized = {
    accountCode: 'acme',
    callId: UUID,
    cli: '1002',
    cld: '+12025550143',
    direction: null,
    startTime: Date.UTC(2026, 2, 2, 8, 49, 43),
    connectTime: Date.UTC(2026, 2, 2, 8, 49, 49),
    disconnectTime: Date.UTC(2026, 2, 2, 8, 50, 31),
    durationS: 48,
    billedDurationS: 42,
    result: 'answered',
    disconnectCause: 'NORMAL_CLEARING',
    country: null,
    description: null,
    cost: null,
    currency: null,
    remoteIp: null,
    userAgent: null,
    flags: [],
  };
  const cases: [FreeswitchCsvFormat, row: string, attributes: Record<string, string>][] = [
    [
      'freeswitch-example',
      EXAMPLE,
      {
        caller_id_name: 'Bob, Sales',
        context: 'default',
        bleg_uuid: BLEG,
        read_codec: 'PCMA',
        write_codec: 'PCMU',
      },
    ],
    [
      'freeswitch-default',
      COMPILED_IN,
      { caller_id_name: 'Bob, Sales', context: 'default', bleg_uuid: BLEG },
    ],
    [
      'freeswitch-asterisk',
      ASTERISK,
      {
        caller_id_name: 'Bob, Sales',
        context: 'default',
        channel_name: 'sofia/internal/1002@pbx.example.com',
        bridge_channel: 'sofia/external/+12025550143',
        last_app: 'bridge',
        last_arg: 'sofia/gateway/carrier/+12025550143',
        amaflags: '3',
      },
    ],
  ];
  for (const [format, row, attributes] of cases) {
    test(format, () => {
      const [{ identity, alsoSays: _, wholeRow: __, ...record }] = records(format, `${row}\n`) as [
        SourceRecord,
      ];
      assert.deepEqual(record, { ...normalized, attributes });
      assert.equal(identity, records('freeswitch-example', EXAMPLE)[0]!.identity);
    });
  }

  test('are told apart', () => {
    const rows: [FreeswitchCsvFormat, string[]][] = [
      ['freeswitch-example', EXAMPLE.slice(1, -1).replace('Bob, ', '').split(/", ?"/)],
      ['freeswitch-default', COMPILED_IN.slice(1, -1).replace('Bob, ', '').split(/", ?"/)],
      ['freeswitch-asterisk', ASTERISK.slice(1, -1).replace('Bob, ', '').split(/", ?"/)],
    ];
    for (const [format, fields] of rows) {
      for (const [other] of rows)
        assert.equal(isFreeswitchRow(other, fields), other === format, `${other} ${fields}`);
    }
  });

  test('a row of another number of columns is set aside with its bytes', () => {
    const [first, second] = read('freeswitch-example', `${COMPILED_IN}\n${EXAMPLE}\n`);
    assert.deepEqual([first!.parsed.kind, second!.parsed.kind], ['rejected', 'record']);
    assert.equal(first!.row.bytes.toString(), COMPILED_IN);
    assert.match(
      rejectionOf('freeswitch-example', COMPILED_IN).reason,
      /has 13 columns; this template writes 15/,
    );
  });

  test('another field may name the account; one that there is not is told', () => {
    assert.equal(
      records('freeswitch-example', EXAMPLE, { accountField: 'context' })[0]!.accountCode,
      'default',
    );
    assert.equal(records('freeswitch-example', EXAMPLE.replace('acme', ''))[0]!.accountCode, '');
    assert.throws(
      () => read('freeswitch-default', '', { accountField: 'read_codec' }),
      /no field "read_codec".*uuid/,
    );
  });
});

describe('what FreeSWITCH writes', () => {
  test('quotes in names are not escaped', () => {
    for (const name of ['Bob "the Builder"', '"Bob"', 'Bob "the" "Builder" Smith', 'C:\\', '"']) {
      const [record] = records('freeswitch-example', `${EXAMPLE.replace('Bob, Sales', name)}\n${EXAMPLE}\n`);
      assert.equal(record!.attributes.caller_id_name, name);
    }
    const [record] = records(
      'freeswitch-asterisk',
      ASTERISK.replace('Bob, Sales', 'Bob "the Builder" Smith'),
    );
    assert.equal(record!.attributes.caller_id_name, 'Bob "the Builder" Smith');
  });

  test('a name that makes a row of another number of columns costs that row', () => {
    const rows = read('freeswitch-example', `${EXAMPLE.replace('Bob, Sales', 'Bob","Sales')}\n${EXAMPLE}\n`);
    assert.deepEqual(
      rows.map(({ parsed }) => (parsed.kind === 'rejected' ? parsed.rejection.code : parsed.kind)),
      ['wrong_column_count', 'record'],
    );
  });

  test('no answer: a blank stamp, or the epoch in old versions', () => {
    for (const stamp of ['', '1969-12-31 18:00:00', '1970-01-01 01:00:00']) {
      const [record] = records('freeswitch-example', UNANSWERED.replace('"",', `"${stamp}",`));
      assert.deepEqual([record!.connectTime, record!.result], [null, 'no_answer']);
    }
  });

  test('hangup causes of calls that were not answered', () => {
    const results = Object.entries({
      NORMAL_CLEARING: 'no_answer',
      NO_ANSWER: 'no_answer',
      NO_USER_RESPONSE: 'no_answer',
      USER_BUSY: 'busy',
      ORIGINATOR_CANCEL: 'cancelled',
      LOSE_RACE: 'cancelled',
      UNALLOCATED_NUMBER: 'failed',
      CALL_REJECTED: 'failed',
      NORMAL_CIRCUIT_CONGESTION: 'failed',
      A_CAUSE_OF_NEXT_YEAR: 'failed',
    });
    for (const [cause, result] of results) {
      const [record] = records('freeswitch-example', UNANSWERED.replace('NORMAL_CLEARING', cause));
      assert.deepEqual([record!.result, record!.disconnectCause], [result, cause]);
    }
  });

  test('a call that was answered was answered, whatever ended it', () => {
    for (const cause of ['USER_BUSY', 'MEDIA_TIMEOUT', 'ORIGINATOR_CANCEL']) {
      assert.equal(
        records('freeswitch-example', EXAMPLE.replace('NORMAL_CLEARING', cause))[0]!.result,
        'answered',
      );
    }
  });

  test('the context public is where calls come in', () => {
    assert.equal(
      records('freeswitch-example', EXAMPLE.replace('"default"', '"public"'))[0]!.direction,
      'inbound',
    );
  });

  test('one UUID on several rows: each is a record, the same row twice is one', () => {
    const rows = records(
      'freeswitch-example',
      `${EXAMPLE}\n${EXAMPLE.replace('"1002"', '"1005"')}\n${EXAMPLE}\n`,
    );
    assert.deepEqual(new Set(rows.map((record) => record.callId)), new Set([UUID]));
    assert.equal(new Set(rows.map((record) => record.identity)).size, 2);
  });

  test('Windows line ends, a byte-order mark, Latin-1, a last row that is cut off', () => {
    const text = `\ufeff${EXAMPLE.replace('Bob', 'Zoë')}\r\n${EXAMPLE}\r\n${EXAMPLE.slice(0, -20)}`;
    for (const bytes of [
      Buffer.from(text),
      Buffer.concat([Buffer.from('\ufeff'), Buffer.from(text.slice(1), 'latin1')]),
    ]) {
      const rows = read('freeswitch-example', bytes);
      assert.deepEqual(
        rows.map(({ parsed }) => parsed.kind),
        ['record', 'record', 'rejected'],
      );
      assert.match(JSON.stringify(rows[0]!.parsed), /Zoë, Sales/);
      assert.equal(rows[2]!.row.bytes.toString(), EXAMPLE.slice(0, -20));
    }
  });
});

describe('files that a spreadsheet saved', () => {
  const SAVED = `Bob,1002,+12025550143,default,2020/2/10 22:41,2020/2/10 22:41,2020/2/10 22:43,80,74,NORMAL_CLEARING,${UUID},${BLEG},acme,PCMA,PCMA`;

  test('have no quotes and no seconds', () => {
    const [record] = records('freeswitch-example', `${SAVED}\r\n,,,,,,,,,,,,,,\r\n`);
    assert.equal(record!.startTime, Date.UTC(2020, 1, 10, 22, 41));
    assert.deepEqual([record!.durationS, record!.accountCode, record!.result], [80, 'acme', 'answered']);
  });

  test('may write day or month first, which the options tell', () => {
    const dated = SAVED.replaceAll('2020/2/10', '3/2/2020');
    const start = (dateOrder: 'dmy' | 'mdy') =>
      records('freeswitch-example', dated, { dateOrder })[0]!.startTime;
    assert.equal(start('dmy'), Date.UTC(2020, 1, 3, 22, 41));
    assert.equal(start('mdy'), Date.UTC(2020, 2, 2, 22, 41));
    assert.equal(rejectionOf('freeswitch-example', dated).code, 'bad_time');
  });

  test('may have a header', () => {
    const header =
      'caller_id_name,caller_id_number,destination_number,context,start_stamp,answer_stamp,end_stamp,duration,billsec,hangup_cause,uuid,bleg_uuid,accountcode,read_codec,write_codec';
    assert.deepEqual(
      read('freeswitch-example', `${header}\r\n${SAVED}\r\n`).map(({ row }) => row.line),
      [2],
    );
  });
});

describe('rows that cannot be read', () => {
  const cases: [what: string, from: string, to: string, code: string, field: string][] = [
    ['a duration that is none', '"48"', '"long"', 'bad_number', 'duration'],
    ['no start', '2026-03-02 08:49:43', '', 'missing_field', 'start_stamp'],
    ['an answer that is none', '2026-03-02 08:49:49', 'yes', 'bad_time', 'answer_stamp'],
    ['an end that is none', '2026-03-02 08:50:31', '8:50', 'bad_time', 'end_stamp'],
  ];
  for (const [what, from, to, code, field] of cases) {
    test(what, () => {
      const rejection = rejectionOf('freeswitch-example', EXAMPLE.replace(from, to));
      assert.deepEqual([rejection.code, rejection.field], [code, field]);
    });
  }

  test('a quote that is never closed costs its line', () => {
    const broken = EXAMPLE.replace(/"$/, '');
    const rows = read('freeswitch-example', `${broken}\n${EXAMPLE}\n${broken}`);
    assert.deepEqual(
      rows.map(({ row, parsed }) => [
        row.line,
        parsed.kind === 'rejected' ? parsed.rejection.code : parsed.kind,
      ]),
      [
        [1, 'unterminated_quote'],
        [2, 'record'],
        [3, 'unterminated_quote'],
      ],
    );
    assert.equal(rows[0]!.row.bytes.toString(), broken);
  });
});
