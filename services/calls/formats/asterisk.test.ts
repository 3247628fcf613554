import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Decided, decided } from '#tests/calls.ts';
import type { SourceRecord } from '../cdr.ts';
import { type AsteriskFormat, asteriskRows, isAsteriskRow } from './asterisk.ts';
import { createCsvReader } from './csv_reader.ts';
import type { ParsedRow, SourceOptions } from './source_reader.ts';

const UTC = { timeZone: 'UTC' };

function read(
  format: AsteriskFormat,
  text: string | Buffer,
  options: Partial<SourceOptions> = {},
): ParsedRow[] {
  const reader = createCsvReader(asteriskRows(format, { ...UTC, ...options }));
  return [...reader.push(typeof text === 'string' ? Buffer.from(text) : text), ...reader.end()];
}

function recordOf(taken: ParsedRow | undefined): Decided {
  assert.equal(taken?.parsed.kind, 'record', JSON.stringify(taken?.parsed));
  return decided((taken.parsed as { record: SourceRecord }).record);
}

const records = (format: AsteriskFormat, text: string | Buffer, options?: Partial<SourceOptions>) =>
  read(format, text, options).map(recordOf);

/** What was set aside of the first row: code, field and sentence. */
function rejectionOf(format: AsteriskFormat, text: string): { code: string; field?: string; reason: string } {
  const [taken] = read(format, text);
  assert.equal(taken?.parsed.kind, 'rejected');
  return (taken.parsed as { rejection: { code: string; field?: string; reason: string } }).rejection;
}

const BASE =
  '"acme","1001","+12025550143","from-internal","""Bob, Sales"" <1001>","PJSIP/1001-00000002","PJSIP/carrier-00000003",' +
  '"Dial","PJSIP/+12025550143@carrier,60,tTr","2026-03-02 09:04:54","2026-03-02 09:05:00","2026-03-02 09:05:42",48,42,' +
  '"ANSWERED","DOCUMENTATION"';
const ROW = `${BASE},"1772442294.103",""`;
const CUSTOM =
  '"""Bob, Sales"" <1001>","1001","+12025550143","from-internal","PJSIP/1001-00000002","PJSIP/carrier-00000003",' +
  '"Dial","PJSIP/+12025550143@carrier,60,tTr","2026-03-02 09:04:54","2026-03-02 09:05:00","2026-03-02 09:05:42","48","42",' +
  '"ANSWERED","DOCUMENTATION","acme","1772442294.103","",17';

describe('a row of cdr_csv', () => {
  test('becomes a record', () => {
    const [record] = records('asterisk-csv', `${ROW}\n`);
    const { identity, alsoSays: _, wholeRow: __, ...rest } = record!;
    assert.ok(identity.length > 0);
    assert.deepEqual(rest, {
      accountCode: 'acme',
      callId: '1772442294.103',
      cli: '1001',
      cld: '+12025550143',
      direction: null,
      startTime: Date.UTC(2026, 2, 2, 9, 4, 54),
      connectTime: Date.UTC(2026, 2, 2, 9, 5),
      disconnectTime: Date.UTC(2026, 2, 2, 9, 5, 42),
      durationS: 48,
      billedDurationS: 42,
      result: 'answered',
      disconnectCause: 'ANSWERED',
      country: null,
      description: null,
      cost: null,
      currency: null,
      remoteIp: null,
      userAgent: null,
      flags: [],
      attributes: {
        caller_name: 'Bob, Sales',
        dcontext: 'from-internal',
        channel: 'PJSIP/1001-00000002',
        dstchannel: 'PJSIP/carrier-00000003',
        lastapp: 'Dial',
        lastdata: 'PJSIP/+12025550143@carrier,60,tTr',
        amaflags: 'DOCUMENTATION',
      },
    });
  });

  test('without an answer, which is an unquoted blank', () => {
    const row = ROW.replace('"2026-03-02 09:05:00"', '').replace('48,42,"ANSWERED"', '48,0,"NO ANSWER"');
    const [record] = records('asterisk-csv', row);
    assert.deepEqual([record!.connectTime, record!.result, record!.billedDurationS], [null, 'no_answer', 0]);
  });

  test('each disposition', () => {
    const words = ['ANSWERED', 'NO ANSWER', 'BUSY', 'FAILED', 'CONGESTION', 'CANCEL', '8', '32'];
    const results = words.map(
      (word) =>
        (read('asterisk-csv', ROW.replace('ANSWERED', word))[0]!.parsed as { record: SourceRecord }).record
          .result,
    );
    assert.deepEqual(results, [
      ...['answered', 'no_answer', 'busy', 'failed', 'failed', 'cancelled', 'answered', 'cancelled'],
    ]);
  });

  test('stamps are the time zone of the server, unless it writes epochs', () => {
    const [record] = records('asterisk-csv', ROW, { timeZone: 'America/New_York' });
    assert.equal(record!.startTime, Date.UTC(2026, 2, 2, 14, 4, 54));
    const epochs = CUSTOM.replace('2026-03-02 09:04:54', '1772442294')
      .replace('2026-03-02 09:05:00', '1772442300.5')
      .replace('2026-03-02 09:05:42', '1772442342');
    const [custom] = records('asterisk-custom', epochs, { timeZone: 'America/New_York' });
    assert.deepEqual([custom!.startTime, custom!.connectTime], [1772442294000, 1772442300500]);
  });

  test('the unique id tells which half past one of an autumn night a call began at', () => {
    const night = (epoch: number) =>
      ROW.replace('2026-03-02 09:04:54', '2026-11-01 01:30:00')
        .replace('2026-03-02 09:05:00', '2026-11-01 01:30:06')
        .replace('2026-03-02 09:05:42', '2026-11-01 01:30:48')
        .replace('1772442294', `pbx-east-${epoch}`);
    const first = Date.UTC(2026, 10, 1, 5, 30) / 1000;
    const read = records('asterisk-csv', `${night(first)}\n${night(first + 3600)}\n`, {
      timeZone: 'America/New_York',
    });
    assert.deepEqual(
      read.map((record) => [record.startTime / 1000, record.flags]),
      [
        [first, []],
        [first + 3600, []],
      ],
    );
  });

  test('billed longer than it lasted goes in with a flag, as do fractions', () => {
    const [record] = records('asterisk-csv', ROW.replace('48,42', '41.25,42.5'));
    assert.deepEqual(
      [record!.durationS, record!.billedDurationS, record!.flags],
      [41.25, 42.5, ['billed_longer_than_duration']],
    );
  });

  test('the caller as presented', () => {
    const attributes = (clid: string) =>
      records('asterisk-csv', ROW.replace('"""Bob, Sales"" <1001>"', clid))[0]!.attributes;
    assert.deepEqual(
      [attributes('"1001"'), attributes('"<1001>"'), attributes('')].map((a) => [a.caller_name, a.clid]),
      [
        [undefined, undefined],
        [undefined, undefined],
        [undefined, undefined],
      ],
    );
    assert.equal(attributes(`"${' '.repeat(60_000)}"`).caller_name, undefined);
    const other = attributes('"""Reception"" <+12025550100>"');
    assert.deepEqual([other.caller_name, other.clid], ['Reception', '"Reception" <+12025550100>']);
  });

  test('a context of calls from outside means inbound, any other leaves it to the numbers', () => {
    const direction = (context: string, inboundContexts?: RegExp) =>
      records(
        'asterisk-csv',
        ROW.replace('from-internal', context),
        inboundContexts ? { inboundContexts } : {},
      )[0]!.direction;
    for (const context of [
      'from-trunk',
      'from-trunk-carrier',
      'from-pstn',
      'from-did-direct',
      'ext-did',
      'incoming',
      'acme-inbound',
      'public',
    ]) {
      assert.equal(direction(context), 'inbound', context);
    }
    for (const context of ['from-internal', 'default', 'republic', 'publication', ''])
      assert.equal(direction(context), null);
    assert.equal(direction('gw-7', /^gw-/g), 'inbound');
    assert.equal(direction('from-trunk', /^gw-/), null);
  });
});

describe('accounts', () => {
  test('the row names it, or another field does', () => {
    const unnamed = ROW.replace('"acme"', '""');
    assert.equal(records('asterisk-csv', unnamed)[0]!.accountCode, '');
    assert.equal(records('asterisk-csv', unnamed)[0]!.accountCode, '');
    assert.equal(records('asterisk-csv', ROW)[0]!.accountCode, 'acme');
    assert.equal(records('asterisk-csv', ROW, { accountField: 'SRC' })[0]!.accountCode, '1001');
    assert.equal(
      records('asterisk-custom', CUSTOM, { accountField: 'dcontext' })[0]!.accountCode,
      'from-internal',
    );
  });

  test('a field that there is not is told with those that there are', () => {
    assert.throws(
      () => asteriskRows('asterisk-csv', { ...UTC, accountField: 'tenant' }),
      /no field "tenant".*accountcode, src, dst/,
    );
  });
});

describe('columns', () => {
  const tails: [columns: number, tail: string, told: Record<string, string | undefined>][] = [
    [16, '', { callId: '' }],
    [17, ',"1772442294.103"', { callId: '1772442294.103' }],
    [17, ',"pbx1-1772442294.103"', { callId: 'pbx1-1772442294.103' }],
    [17, ',"campaign=spring"', { callId: '', userfield: 'campaign=spring' }],
    [18, ',"1772442294.103","spring"', { callId: '1772442294.103', userfield: 'spring' }],
    [
      19,
      ',"globex","1772442294.101",5',
      { callId: '', peeraccount: 'globex', linkedid: '1772442294.101', sequence: '5' },
    ],
    [
      20,
      ',"1772442294.103","","1772442294.101",5',
      { callId: '1772442294.103', linkedid: '1772442294.101', sequence: '5' },
    ],
    [
      20,
      ',"spring","","1772442294.101",5',
      { callId: '', userfield: 'spring', linkedid: '1772442294.101', sequence: '5' },
    ],
    [
      21,
      ',"1772442294.103","spring","","1772442294.101",5',
      { callId: '1772442294.103', userfield: 'spring', linkedid: '1772442294.101', sequence: '5' },
    ],
  ];
  for (const [columns, tail, told] of tails) {
    test(`${columns} of cdr_csv: ${Object.keys(told).join(', ')}`, () => {
      const [{ callId, attributes }] = records('asterisk-csv', BASE + tail) as [SourceRecord];
      const found = { callId, ...attributes } as Record<string, string>;
      for (const [name, value] of Object.entries(told)) assert.equal(found[name], value, name);
      for (const name of ['userfield', 'peeraccount', 'linkedid', 'sequence'])
        assert.equal(found[name], told[name], name);
    });
  }

  test('a row of another number is set aside, unless it is in order and whole', () => {
    const lost = ROW.replace('"Dial",', '');
    const rows = read(
      'asterisk-csv',
      `${ROW}\n${lost}\n${ROW}\n${BASE}\n${ROW},"","1.1",7\n${ROW},"x"\n${BASE}`,
    );
    assert.deepEqual(
      rows.map(({ row, parsed }) => [
        row.line,
        parsed.kind === 'rejected' ? parsed.rejection.code : parsed.kind,
      ]),
      [
        [1, 'record'],
        [2, 'wrong_column_count'],
        [3, 'record'],
        // The settings were changed: loguniqueid and loguserfield off, newcdrcolumns on.
        [4, 'record'],
        [5, 'record'],
        // 19 columns, but the last is no sequence.
        [6, 'wrong_column_count'],
        // Not ended: perhaps the first columns of a row that is still being written.
        [7, 'wrong_column_count'],
      ],
    );
    assert.equal(rows[1]!.row.bytes.toString(), lost);
    assert.match(rejectionOf('asterisk-csv', '"a","b"\n').reason, /has 2 columns; cdr_csv writes 16 to 21/);
  });

  test('a file whose first row is broken still has the column count of the others', () => {
    const rows = read('asterisk-csv', `${ROW.replace('"ANSWERED",', '')}\n${ROW}\n${BASE}`);
    assert.deepEqual(
      rows.map(({ parsed }) => (parsed.kind === 'rejected' ? parsed.rejection.code : parsed.kind)),
      ['bad_value', 'record', 'wrong_column_count'],
    );
  });

  test('cdr_csv and cdr_custom are not taken for each other, with 18 or 19 columns', () => {
    const fields = (text: string) => text.slice(1, -1).split(/"?,"?(?=[^ ])/);
    const withoutClid = (text: string) =>
      fields(text.replace('"""Bob, Sales"" <1001>"', '"x"').replace(',60,tTr', ''));
    const custom = withoutClid(CUSTOM);
    const csv = withoutClid(`${BASE},"p","1772442294.101","7"`);
    assert.deepEqual([custom.length, csv.length], [19, 19]);
    assert.deepEqual(
      [isAsteriskRow('asterisk-csv', csv), isAsteriskRow('asterisk-custom', csv)],
      [true, false],
    );
    assert.deepEqual(
      [isAsteriskRow('asterisk-csv', custom), isAsteriskRow('asterisk-custom', custom)],
      [false, true],
    );
    assert.equal(isAsteriskRow('asterisk-custom', custom.slice(0, 18)), true);
    assert.equal(isAsteriskRow('asterisk-csv', custom.slice(0, 18)), false);
  });

  test('a header that people put above is skipped', () => {
    const header =
      'AccountCode,src,dst,dcontext,clid,channel,dstchannel,lastapp,lastdata,start,answer,end,duration,billsec,disposition,amaflags,uniqueid,userfield';
    const rows = read('asterisk-csv', `${header}\r\n${ROW}\r\n`);
    assert.deepEqual(
      rows.map(({ row, parsed }) => [row.line, parsed.kind]),
      [[2, 'record']],
    );
  });
});

describe('identity', () => {
  const identity = (format: AsteriskFormat, text: string, options?: Partial<SourceOptions>) =>
    records(format, text, options)[0]!.identity;

  test('is the same in cdr_csv and cdr_custom, in any time zone, whatever account is given', () => {
    const csv = identity('asterisk-csv', ROW);
    assert.equal(identity('asterisk-custom', CUSTOM), csv);
    assert.equal(
      identity('asterisk-custom', CUSTOM, { timeZone: 'Asia/Kathmandu', accountField: 'src' }),
      csv,
    );
    assert.equal(records('asterisk-custom', CUSTOM)[0]!.callId, records('asterisk-csv', ROW)[0]!.callId);
  });

  test('does not hold what is set late, begins anew or may be missing', () => {
    const csv = identity('asterisk-csv', ROW);
    assert.equal(identity('asterisk-csv', `${BASE},"1772442294.103","spring"`), csv);
    assert.equal(identity('asterisk-csv', `${BASE},"1772442294.103","","globex","1.1",99`), csv);
    assert.equal(identity('asterisk-custom', CUSTOM.replace(/17$/, '0')), csv);
  });

  test('differs between legs that share their unique id and start', () => {
    const legs = [ROW, ROW.replace('carrier-00000003', 'carrier-00000004'), ROW.replace('48,42', '48,41')];
    assert.equal(new Set(legs.map((leg) => identity('asterisk-csv', leg))).size, 3);
  });
});

describe('rows that cannot be read', () => {
  const cases: [what: string, from: string, to: string, code: string, field: string, reason: RegExp][] = [
    [
      'a disposition that is none, before what is no AMA flag',
      '"ANSWERED","DOCUMENTATION"',
      '"x","ANSWERED"',
      'bad_value',
      'disposition',
      /is "x" and amaflags "ANSWERED": a column is missing/,
    ],
    [
      'a duration of letters',
      '48,42',
      'x,42',
      'bad_number',
      'duration',
      /is "x"; it should be a number of seconds/,
    ],
    ['a negative duration', '48,42', '48,-1', 'bad_number', 'billsec', /"-1"/],
    ['no duration', '48,42', ',42', 'missing_field', 'duration', /is blank/],
    ['a start that is none', '2026-03-02 09:04:54', '2026-13-02 09:04:54', 'bad_time', 'start', /^start: /],
    ['no start', '"2026-03-02 09:04:54"', '', 'missing_field', 'start', /start/],
    ['an answer that is none', '2026-03-02 09:05:00', 'soon', 'bad_time', 'answer', /^answer: "soon"/],
    ['an end that is none', '2026-03-02 09:05:42', '09:05', 'bad_time', 'end', /^end: "09:05"/],
  ];
  for (const [what, from, to, code, field, reason] of cases) {
    test(what, () => {
      const rejection = rejectionOf('asterisk-csv', ROW.replace(from, to));
      assert.deepEqual([rejection.code, rejection.field], [code, field]);
      assert.match(rejection.reason, reason);
    });
  }

  test('keep their exact bytes and their line; the rest goes on', () => {
    const broken = Buffer.from(ROW.replace('Bob', 'Jürgen').replace('48,42', 'x,42'), 'latin1');
    const unclosed = Buffer.from(`${ROW.slice(0, -2)}"caf\u00e9`, 'latin1');
    const file = Buffer.concat([
      Buffer.from('\ufeff'),
      ...[Buffer.from(ROW), broken, unclosed, Buffer.from(ROW), unclosed].flatMap((row) => [
        row,
        Buffer.from('\r\n'),
      ]),
    ]);
    const rows = read('asterisk-csv', file);
    assert.deepEqual(
      rows.map(({ row, parsed }) => [
        row.line,
        parsed.kind === 'rejected' ? parsed.rejection.code : parsed.kind,
      ]),
      [
        [1, 'record'],
        [2, 'bad_number'],
        [3, 'unterminated_quote'],
        [4, 'record'],
        [5, 'unterminated_quote'],
      ],
    );
    assert.ok(rows[1]!.row.bytes.equals(broken));
    assert.ok(rows[2]!.row.bytes.equals(unclosed));
    assert.ok(rows[4]!.row.bytes.equals(unclosed));
    assert.ok(rows[0]!.row.bytes.equals(Buffer.from(ROW)));
  });

  test('do not keep the chunk that they stood in', () => {
    const rows = read('asterisk-csv', `${ROW}\n`.repeat(200) + ROW.replace('48,42', 'x,42'));
    assert.equal(rows.at(-1)!.row.bytes.buffer.byteLength, rows.at(-1)!.row.bytes.length);
  });
});

test('names in Latin-1 and UTF-8 are both read, and quotes that old cdr_custom did not escape', () => {
  const named = (encoding: BufferEncoding) => Buffer.from(ROW.replace('Bob', 'Jürgen'), encoding);
  for (const encoding of ['latin1', 'utf8'] as const) {
    assert.equal(records('asterisk-csv', named(encoding))[0]!.attributes.caller_name, 'Jürgen, Sales');
  }
  const bare = CUSTOM.replace('"""Bob, Sales"" <1001>"', '""Bob, Sales" <1001>"');
  assert.equal(records('asterisk-custom', bare)[0]!.attributes.caller_name, 'Bob, Sales');
  assert.equal(
    records('asterisk-csv', ROW.replace('"""Bob, Sales"" <1001>"', '""Bob, Sales" <1001>"'))[0]!.attributes
      .caller_name,
    'Bob, Sales',
  );
});

test('a user field over several lines is one row', () => {
  const row = `${BASE},"1772442294.103","first\nsecond, ""third"""`;
  const rows = read('asterisk-csv', `${ROW}\n${row}\n${ROW}\n`);
  assert.deepEqual(
    rows.map(({ row }) => row.line),
    [1, 2, 4],
  );
  assert.equal(recordOf(rows[1]).attributes.userfield, 'first\nsecond, "third"');
  assert.equal(rows[1]!.row.bytes.toString(), row);
});
