import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Decided, decided } from '#tests/calls.ts';
import type { MappedField } from '../call_fields.ts';
import type { Rejection, SourceRecord } from '../cdr.ts';
import { createCsvReader } from './csv_reader.ts';
import { mappedRows } from './mapped.ts';
import { parseMapping } from './mapping.ts';
import type { ParsedRow, SourceOptions } from './source_reader.ts';

const BARE = ['Start=start_time', 'Secs=duration_s', 'From=cli', 'To=cld'];
const HEADER = 'Start,Secs,From,To';
const ROW = '2026-03-02 09:04:54,48,1002,+12025550143';

function open(pairs: readonly string[], options: Partial<SourceOptions> = {}) {
  return createCsvReader(
    mappedRows({ timeZone: 'UTC', mapping: parseMapping(pairs, 'carrier'), ...options }),
  );
}

function read(
  pairs: readonly string[],
  text: string | Buffer,
  options?: Partial<SourceOptions>,
): ParsedRow[] {
  const reader = open(pairs, options);
  return [...reader.push(typeof text === 'string' ? Buffer.from(text) : text), ...reader.end()];
}

function recordOf(taken: ParsedRow | undefined): Decided {
  assert.equal(taken?.parsed.kind, 'record', JSON.stringify(taken?.parsed));
  return decided((taken.parsed as { record: SourceRecord }).record);
}

/** The record of one row with one more column, called X and mapped to `field`. */
const withField = (field: MappedField, value: string, pairs: readonly string[] = BARE) =>
  read([...pairs, `X=${field}`], `${HEADER},X\n${ROW},${value}\n`)[0];

function rejectionOf(taken: ParsedRow | undefined): Rejection {
  assert.equal(taken?.parsed.kind, 'rejected', JSON.stringify(taken?.parsed));
  return (taken.parsed as { rejection: Rejection }).rejection;
}

describe('a mapping', () => {
  test('is read from column=field', () => {
    assert.deepEqual(parseMapping(['a=b=start_time', ' To =cld', 'Secs= duration_s'], 'carrier'), {
      name: 'carrier',
      columns: { 'a=b': 'start_time', To: 'cld', Secs: 'duration_s' },
    });
  });

  test('tells what is wrong with it, and what would be right', () => {
    const cases: [string[], RegExp][] = [
      [['Start'], /"Start" is not of the form column=field/],
      [['=cli'], /"=cli" is not of the form/],
      [
        ['Start=begin'],
        /no field "begin" \(in "Start=begin"\); there are: account, call_id, .*user_agent, linked_id/,
      ],
      [[...BARE, 'Begin=start_time'], /start_time is mapped twice: from "Start" and from "Begin"/],
      [[...BARE, 'From=account'], /the column "From" is mapped twice/],
      [['Secs=duration_s', 'To=cld'], /no column is mapped to start_time/],
      [['Start=start_time', 'To=cld'], /no column is mapped to duration_s or disconnect_time/],
      [['Start=start_time', 'Secs=duration_s'], /no column is mapped to cli or cld/],
    ];
    for (const [pairs, expected] of cases) assert.throws(() => parseMapping(pairs, 'carrier'), expected);
  });

  test('is needed', () => {
    assert.throws(() => mappedRows({ timeZone: 'UTC' }), /needs a mapping/);
    const remembered = { name: 'old', columns: { Start: 'start_time' } } as const;
    assert.throws(
      () => mappedRows({ timeZone: 'UTC', mapping: remembered }),
      /duration_s or disconnect_time/,
    );
  });
});

describe('a header', () => {
  test('without a mapped column stops the import before any row, and tells which', () => {
    assert.throws(
      () => read(BARE, 'Start,Secs,Caller,To\n1,2,3,4\n'),
      /the header has no column "From"; it has: Start, Secs, Caller, To/,
    );
    assert.throws(() => read(BARE, 'Start,Secs,From,To,To\n1,2,3,4,5\n'), /more than one column "To"/);
    assert.throws(() => read(BARE, `${HEADER}\n`, { accountField: 'Customer' }), /no column "Customer"/);
  });

  test('may differ in case and blanks; the same case comes first', () => {
    assert.equal(recordOf(read(BARE, `start, secs ,"FROM" ,to\n${ROW}\n`)[0]).cli, '1002');
    const record = recordOf(read(BARE, `${HEADER},from\n${ROW},other\n`)[0]);
    assert.deepEqual([record.cli, record.attributes], ['1002', { from: 'other' }]);
  });

  test('tells the separator: comma, semicolon or tab, or as a spreadsheet says', () => {
    for (const separator of [',', ';', '\t']) {
      const text = [HEADER, ROW].map((line) => line.replaceAll(',', separator)).join('\r\n');
      assert.equal(recordOf(read(BARE, `\ufeff${text}`)[0]).cld, '+12025550143');
    }
    const [taken] = read(
      BARE,
      `sep=;\r\n${HEADER.replaceAll(',', ';')}\r\n"2026-03-02 09:04:54";48;a,b;c\r\n`,
    );
    assert.deepEqual([taken!.row.line, recordOf(taken).cli], [3, 'a,b']);
    const quoted = read(
      ['When, exactly=start_time', ...BARE.slice(1)],
      `"When, exactly";Secs;From;To\n${ROW.replaceAll(',', ';')}`,
    );
    assert.equal(quoted.length, 1);
  });

  test('is kept, so that a row can be read alone, whatever its separator', () => {
    const reader = open(BARE);
    assert.equal(reader.columns, null);
    reader.push(Buffer.from('Start;Secs;From;To;Route\n'));
    assert.deepEqual(reader.columns, ['Start', 'Secs', 'From', 'To', 'Route']);
    const [alone] = read(BARE, `${ROW.replaceAll(',', ';')};R1`, { columns: reader.columns! });
    assert.deepEqual(recordOf(alone).attributes, { Route: 'R1' });
  });

  test('may come again, where exports were put together', () => {
    const rows = read(BARE, `${HEADER}\n${ROW}\n${HEADER}\n${ROW}`);
    assert.deepEqual(
      rows.map(({ row }) => row.line),
      [2, 4],
    );
  });
});

test('every field', () => {
  const values: Record<Exclude<MappedField, `${string}_date`>, string> = {
    call_id: 'c-1',
    linked_id: 'l-1',
    account: 'acme',
    cli: '1002',
    cld: '+12025550143',
    direction: 'Outgoing',
    start_time: '2026-03-02T09:04:54.250+01:00',
    connect_time: '1772438700',
    disconnect_time: '1772438742000',
    duration_s: '0:00:48',
    billed_duration_s: '42.5',
    result: 'Answered',
    disconnect_cause: '16',
    country: 'United States',
    description: 'USA, fixed',
    cost: '0.01250',
    currency: 'eur',
    remote_ip: '192.0.2.7:5060',
    user_agent: 'Phone/1.0',
  };
  const fields = Object.keys(values) as (keyof typeof values)[];
  const columns = fields.map((field) => `col ${field}`);
  const text = `${columns.join(',')},Route,Note\n${fields.map((field) => `"${values[field]}"`).join(',')},R1,\n`;
  const [taken] = read(
    fields.map((field) => `col ${field}=${field}`),
    text,
  );
  const { identity, alsoSays: _, wholeRow: __, ...record } = recordOf(taken);
  assert.match(identity, /col cld=\+12025550143/);
  assert.deepEqual(record, {
    accountCode: 'acme',
    callId: 'c-1',
    linkedId: 'l-1',
    cli: '1002',
    cld: '+12025550143',
    direction: 'outbound',
    startTime: Date.UTC(2026, 2, 2, 8, 4, 54, 250),
    connectTime: 1772438700000,
    disconnectTime: 1772438742000,
    durationS: 48,
    billedDurationS: 42.5,
    result: 'answered',
    disconnectCause: '16',
    country: 'US',
    description: 'USA, fixed',
    cost: '0.01250',
    currency: 'EUR',
    remoteIp: '192.0.2.7',
    userAgent: 'Phone/1.0',
    flags: [],
    attributes: { Route: 'R1' },
  });
});

describe('values', () => {
  test('wall-clock stamps are of the time zone, others of their own', () => {
    const start = (stamp: string) =>
      recordOf(
        read(BARE, `${HEADER}\n${ROW.replace('2026-03-02 09:04:54', stamp)}`, {
          timeZone: 'Asia/Kathmandu',
        })[0],
      ).startTime;
    const written = [
      '2026-03-02 14:49:54',
      '2026-03-02T09:04:54Z',
      '2026-03-02 10:04:54+01:00',
      '1772442294',
      '1772442294000',
    ];
    for (const stamp of written) assert.equal(start(stamp), 1772442294000, stamp);
  });

  test('durations', () => {
    const duration = (text: string, separator = ',') =>
      read(
        BARE,
        [HEADER, ROW.replace(',48,', `,${text},`)].map((line) => line.replaceAll(',', separator)).join('\n'),
      )[0];
    assert.deepEqual(
      ['0', '48', '48.25', '1:00:01', '0:00:48.5', '123:00:00'].map(
        (text) => recordOf(duration(text)).durationS,
      ),
      [0, 48, 48.25, 3601, 48.5, 442800],
    );
    assert.equal(recordOf(read(BARE, `Start;Secs;From;To\n2026-03-02 09:04:54;48,5;1;2`)[0]).durationS, 48.5);
    for (const text of ['1:60:00', '-1', '48 parsecs', '1e3']) {
      const rejection = rejectionOf(duration(text));
      assert.deepEqual([rejection.code, rejection.field], ['bad_number', 'Secs']);
      assert.match(rejection.reason, /it should be seconds, H:MM:SS or 1m5s/);
    }
  });

  test('amounts are decimals, with a comma where columns are parted by semicolons', () => {
    for (const [text, cost] of [
      ['0.0744', '0.0744'],
      ['12', '12'],
      ['-1.5', '-1.5'],
      ['.5', '0.5'],
      ['', null],
    ]) {
      assert.equal(recordOf(withField('cost', text!)).cost, cost);
    }
    const semicolons = `Start;Secs;From;To;X\n${ROW.replaceAll(',', ';')};0,0744`;
    assert.equal(recordOf(read([...BARE, 'X=cost'], semicolons)[0]).cost, '0.0744');
    for (const text of ['"1,234"', '7 ct', 'free', '.', '1.2.3']) {
      assert.deepEqual(rejectionOf(withField('cost', text)).code, 'bad_number', text);
    }
  });

  test('what a value should be is told where it is not', () => {
    const cases: [MappedField, value: string, reason: RegExp][] = [
      ['currency', 'Euro', /X is "Euro"; it should be a code of ISO 4217/],
      ['country', 'Deutschland', /ISO 3166-1/],
      ['remote_ip', 'sbc.example.com', /an IP address/],
    ];
    for (const [field, value, reason] of cases) {
      const rejection = rejectionOf(withField(field, value));
      assert.deepEqual([rejection.code, rejection.field], ['bad_value', 'X']);
      assert.match(rejection.reason, reason);
    }
  });

  test('countries, directions and addresses as they are written', () => {
    const values: [MappedField, string, keyof Decided, string | null][] = [
      ['country', 'de', 'country', 'DE'],
      ['country', 'Germany', 'country', 'DE'],
      ['country', 'UK', 'country', 'GB'],
      ['country', '', 'country', null],
      ['direction', 'IN', 'direction', 'inbound'],
      ['direction', 'internal', 'direction', 'internal'],
      ['direction', '', 'direction', null],
      ['remote_ip', '2001:db8::1', 'remoteIp', '2001:db8::1'],
      ['remote_ip', '[2001:db8::1]:5060', 'remoteIp', '2001:db8::1'],
      ['currency', '', 'currency', null],
    ];
    for (const [field, text, key, value] of values)
      assert.equal(recordOf(withField(field, text))[key], value, text);
  });

  test('times that are not there, or none', () => {
    const missing = rejectionOf(read(BARE, `${HEADER}\n,48,1,2`)[0]);
    assert.deepEqual([missing.code, missing.field], ['missing_field', 'Start']);
    const bad = rejectionOf(read(BARE, `${HEADER}\nnoon,48,1,2`)[0]);
    assert.deepEqual([bad.code, bad.field], ['bad_time', 'Start']);
    assert.match(bad.reason, /^Start: "noon"/);
  });
});

test('what tells a spreadsheet to leave a cell as it is does not count, in any field', () => {
  const values: Partial<Record<MappedField, string>> = {
    ...{ call_id: '0017', account: '0815', cli: '1003', cld: '0049301234567', direction: 'out' },
    ...{ connect_time: '2026-03-02 09:04:59', disconnect_time: '2026-03-02 09:05:42', result: '200' },
    ...{ duration_s: '43', billed_duration_s: '0:00:43', disconnect_cause: '16', country: 'GB' },
    ...{ description: 'London', cost: '0.5', currency: 'EUR', remote_ip: '192.0.2.1', user_agent: 'x' },
  };
  for (const [name, value] of Object.entries(values)) {
    const field = name as MappedField;
    const pairs = BARE.filter((pair) => !pair.endsWith(`=${field}`));
    const told = (written: string) => {
      const { identity: _, ...record } = recordOf(withField(field, written, pairs)) as Decided & SourceRecord;
      return record;
    };
    assert.deepEqual(told(`="${value}"`), told(value), name);
    assert.deepEqual(told(`"=""${value}"""`), told(value), name);
    if (/^\d/.test(value) && field !== 'account') assert.deepEqual(told(`'${value}`), told(value), name);
  }
  // A text may begin with an apostrophe.
  assert.equal(recordOf(withField('description', "'s-Gravenhage")).description, "'s-Gravenhage");
});

describe('what is not told is worked out', () => {
  const TIMES = ['Start=start_time', 'Answer=connect_time', 'End=disconnect_time', 'To=cld'];

  test('durations, from the stamps', () => {
    const file = `Start,Answer,End,To\n2026-03-02 09:00:00,2026-03-02 09:00:06,2026-03-02 09:00:48.5,1\n2026-03-02 09:00:00,,2026-03-02 09:00:20,1\n2026-03-02 09:00:00,,,1`;
    const [answered, unanswered, neither] = read(TIMES, file);
    const told = [answered, unanswered].map(recordOf).map((r) => [r.durationS, r.billedDurationS, r.result]);
    assert.deepEqual(told, [
      [48.5, 42.5, 'answered'],
      [20, 0, 'no_answer'],
    ]);
    assert.deepEqual([rejectionOf(neither).code, rejectionOf(neither).field], ['missing_field', 'End']);
  });

  test('an end before the start goes in with a flag', () => {
    const [taken] = read(TIMES, 'Start,Answer,End,To\n2026-03-02 09:00:00,,2026-03-02 08:00:00,1');
    assert.deepEqual(
      [recordOf(taken).durationS, recordOf(taken).flags],
      [0, ['times_out_of_order', 'result_unknown']],
    );
  });

  test('the result: as told, by the answer, by the cause, or by the duration', () => {
    const cases: [field: MappedField, value: string, duration: string, result: string][] = [
      ['result', 'NO ANSWER', '48', 'no_answer'],
      ['result', 'no-answer', '48', 'no_answer'],
      ['result', 'Canceled', '0', 'cancelled'],
      ['result', 'USER_BUSY', '0', 'busy'],
      ['result', 'NORMAL_CLEARING', '48', 'answered'],
      ['result', '486', '0', 'busy'],
      ['result', '487', '0', 'cancelled'],
      ['result', '200', '48', 'answered'],
      ['result', '404', '0', 'failed'],
      ['result', '17', '3', 'busy'],
      ['result', '16', '48', 'answered'],
      ['result', '16', '0', 'no_answer'],
      ['result', '', '48', 'no_answer'],
      ['disconnect_cause', '17', '3', 'busy'],
      ['disconnect_cause', '16', '48', 'answered'],
      ['disconnect_cause', 'whatever', '0', 'no_answer'],
      ['billed_duration_s', '0', '48', 'no_answer'],
      ['billed_duration_s', '12', '48', 'answered'],
      ['connect_time', '', '48', 'no_answer'],
    ];
    for (const [field, value, duration, result] of cases) {
      const [taken] = read(
        [...BARE, `X=${field}`],
        `${HEADER},X\n${ROW.replace(',48,', `,${duration},`)},${value}`,
      );
      assert.equal(recordOf(taken).result, result, `${field} ${value} ${duration}`);
    }
    const both = ['X=billed_duration_s', 'Y=disconnect_cause'];
    const [answered] = read([...BARE, ...both], `${HEADER},X,Y\n${ROW},42,41`);
    assert.deepEqual([recordOf(answered).result, recordOf(answered).disconnectCause], ['answered', '41']);
  });

  test('billed longer than it lasted goes in with a flag', () => {
    assert.deepEqual(recordOf(withField('billed_duration_s', '60')).flags, ['billed_longer_than_duration']);
  });

  test('the account: another column', () => {
    const text = `${HEADER},Customer,Reseller\n${ROW},acme,west\n${ROW},,\n`;
    const codes = (options: Partial<SourceOptions>) =>
      read([...BARE, 'Customer=account'], text, options).map((taken) => recordOf(taken).accountCode);
    assert.deepEqual(codes({}), ['acme', '']);
    assert.deepEqual(codes({ accountField: 'Reseller' }), ['west', '']);
  });
});

describe('identity', () => {
  const identities = (header: string, ...rows: string[]) =>
    read(BARE, [header, ...rows].join('\n')).map((taken) => recordOf(taken).identity);

  test('is the whole row, by column name', () => {
    const [one] = identities(`${HEADER},Leg`, `${ROW},a`);
    assert.deepEqual(identities('Leg,To,From,Secs,Start', 'a,+12025550143,1002,48,2026-03-02 09:04:54'), [
      one,
    ]);
    assert.deepEqual(identities(`${HEADER},Leg,New`, `${ROW},a,`), [one]);
    assert.notEqual(identities(`${HEADER},Leg`, `${ROW},b`)[0], one);
  });
});

test('columns without a name, or with one twice, are attributes of their own', () => {
  const record = recordOf(read(BARE, `${HEADER},,Note,Note\n${ROW},x,y,z`)[0]);
  assert.deepEqual(record.attributes, { column_5: 'x', Note: 'y', Note_7: 'z' });
});

test('rows that cannot be split keep their bytes; the rest goes on', () => {
  const broken = Buffer.from('2026-03-02 09:04:54,48,"J\u00fcrgen,1', 'latin1');
  const file = Buffer.concat([
    Buffer.from(`${HEADER}\r\n${ROW}\r\n`),
    broken,
    Buffer.from(`\r\n${ROW},extra\r\n${ROW}\r\n`),
    broken,
  ]);
  const rows = read(BARE, file);
  assert.deepEqual(
    rows.map(({ row, parsed }) => [
      row.line,
      parsed.kind === 'rejected' ? parsed.rejection.code : parsed.kind,
    ]),
    [
      [2, 'record'],
      [3, 'unterminated_quote'],
      [4, 'wrong_column_count'],
      [5, 'record'],
      [6, 'unterminated_quote'],
    ],
  );
  assert.ok(rows[1]!.row.bytes.equals(broken));
  assert.ok(rows[4]!.row.bytes.equals(broken));
  assert.match(rejectionOf(rows[2]).reason, /has 5 columns; the header names 4/);
});
