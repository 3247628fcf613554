import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Decided, decided } from '#tests/calls.ts';
import type { Rejection, SourceRecord } from '../cdr.ts';
import { createCsvReader } from './csv_reader.ts';
import { cucmRows } from './cucm.ts';
import type { ParsedRow, SourceOptions } from './source_reader.ts';

const COLUMNS = [
  ...['cdrRecordType', 'globalCallID_callManagerId', 'globalCallID_callId', 'origLegCallIdentifier'],
  ...['dateTimeOrigination', 'origIpAddr', 'callingPartyNumber', 'origCause_value', 'destLegIdentifier'],
  ...['originalCalledPartyNumber', 'finalCalledPartyNumber', 'destCause_value', 'dateTimeConnect'],
  ...['dateTimeDisconnect', 'pkid', 'duration', 'origDeviceName', 'globalCallId_ClusterID', 'origIpv4v6Addr'],
];
const TEXTS = new Set([
  'callingPartyNumber',
  'originalCalledPartyNumber',
  'finalCalledPartyNumber',
  'origDeviceName',
  'globalCallId_ClusterID',
  'origIpv4v6Addr',
]);
const VALUES: Record<string, string | number> = {
  cdrRecordType: 1,
  globalCallID_callManagerId: 2,
  globalCallID_callId: 118001,
  origLegCallIdentifier: 30410000,
  dateTimeOrigination: 1772442106,
  origIpAddr: 167903424,
  callingPartyNumber: '1001',
  origCause_value: 0,
  destLegIdentifier: 30410001,
  originalCalledPartyNumber: '+442079460123',
  finalCalledPartyNumber: '5000',
  destCause_value: 16,
  dateTimeConnect: 1772442115,
  dateTimeDisconnect: 1772442299,
  pkid: 'b394fb36-bb2d-420f-8f88-080b10a3d6b2',
  duration: 184,
  origDeviceName: 'SEP00005E005300',
  globalCallId_ClusterID: 'StandAloneCluster',
  origIpv4v6Addr: '',
};
const HEADER = COLUMNS.map((name) => `"${name}"`).join(',');
const TYPES = COLUMNS.map((name) =>
  name === 'pkid' ? 'UNIQUEIDENTIFIER' : TEXTS.has(name) ? 'VARCHAR(50)' : 'INTEGER',
).join(',');

function row(changes: Record<string, string | number> = {}): string {
  const values = { ...VALUES, ...changes };
  return COLUMNS.map((name) =>
    name === 'pkid' || TEXTS.has(name) ? `"${values[name]}"` : values[name],
  ).join(',');
}

function read(text: string | Buffer, options: Partial<SourceOptions> = {}): ParsedRow[] {
  const reader = createCsvReader(cucmRows({ timeZone: 'UTC', ...options }));
  return [...reader.push(typeof text === 'string' ? Buffer.from(text) : text), ...reader.end()];
}

const file = (...rows: string[]) => [HEADER, TYPES, ...rows].map((line) => `${line}\n`).join('');

function recordOf(
  changes: Record<string, string | number> = {},
  options: Partial<SourceOptions> = {},
): Decided {
  const [taken] = read(file(row(changes)), options);
  assert.equal(taken?.parsed.kind, 'record', JSON.stringify(taken?.parsed));
  return decided((taken.parsed as { record: SourceRecord }).record);
}

function rejectionOf(changes: Record<string, string | number>): Rejection {
  const [taken] = read(file(row(changes)));
  assert.equal(taken?.parsed.kind, 'rejected');
  return (taken.parsed as { rejection: Rejection }).rejection;
}

test('a row becomes a record; ringing is part of the whole call, not of what is billed', () => {
  const { alsoSays, ...record } = recordOf();
  assert.match(alsoSays, /SEP00005E005300/);
  assert.deepEqual(record, {
    accountCode: 'StandAloneCluster',
    callId: 'StandAloneCluster/2/118001',
    identity: 'b394fb36-bb2d-420f-8f88-080b10a3d6b2',
    wholeRow: '',
    cli: '1001',
    cld: '+442079460123',
    direction: null,
    startTime: 1772442106000,
    connectTime: 1772442115000,
    disconnectTime: 1772442299000,
    durationS: 193,
    billedDurationS: 184,
    result: 'answered',
    disconnectCause: '16',
    country: null,
    description: null,
    cost: null,
    currency: null,
    remoteIp: '192.0.2.10',
    userAgent: null,
    flags: [],
    attributes: {
      origLegCallIdentifier: '30410000',
      origIpAddr: '167903424',
      origCause_value: '0',
      destLegIdentifier: '30410001',
      finalCalledPartyNumber: '5000',
      destCause_value: '16',
      pkid: 'b394fb36-bb2d-420f-8f88-080b10a3d6b2',
      origDeviceName: 'SEP00005E005300',
      globalCallId_ClusterID: 'StandAloneCluster',
    },
  });
});

test('addresses: a signed number with its bytes reversed, or text', () => {
  assert.equal(recordOf({ origIpAddr: -1139627840 }).remoteIp, '192.168.18.188');
  assert.equal(recordOf({ origIpAddr: -1 }).remoteIp, '255.255.255.255');
  assert.equal(recordOf({ origIpAddr: 0 }).remoteIp, null);
  assert.equal(recordOf({ origIpAddr: '10.1.2.3' }).remoteIp, '10.1.2.3');
  assert.equal(recordOf({ origIpv4v6Addr: '2001:db8::7' }).remoteIp, '2001:db8::7');
  assert.equal(recordOf({ origIpv4v6Addr: '198.51.100.4', origIpAddr: 0 }).remoteIp, '198.51.100.4');
});

describe('how calls ended', () => {
  const unanswered = { dateTimeConnect: 0, duration: 0, dateTimeDisconnect: 1772442126 };
  const cases: [origCause: number, destCause: number, result: string, cause: string | null][] = [
    [16, 0, 'cancelled', '16'],
    [0, 16, 'no_answer', '16'],
    [0, 17, 'busy', '17'],
    [0, 19, 'no_answer', '19'],
    [1, 0, 'failed', '1'],
    [0, 21, 'failed', '21'],
    [0, 0, 'no_answer', null],
    [126, 126, 'no_answer', '126'],
    [393216, 0, 'no_answer', '393216'],
    [262144, 0, 'failed', '262144'],
  ];
  for (const [origCause_value, destCause_value, result, cause] of cases) {
    test(`unanswered, cause ${origCause_value} of the caller, ${destCause_value} of the called: ${result}`, () => {
      const record = recordOf({ ...unanswered, origCause_value, destCause_value });
      assert.deepEqual([record.result, record.disconnectCause], [result, cause]);
      assert.deepEqual([record.connectTime, record.durationS, record.billedDurationS], [null, 20, 0]);
    });
  }

  test('answered is answered, also for no second', () => {
    assert.equal(recordOf({ duration: 0, origCause_value: 41, destCause_value: 0 }).result, 'answered');
  });
});

describe('what belongs together', () => {
  test('records of one call share its id and differ in identity, with and without pkid', () => {
    const legs = [{}, { pkid: '11111111-bb2d-420f-8f88-080b10a3d6b2' }].map((change) => recordOf(change));
    assert.equal(legs[0]!.callId, legs[1]!.callId);
    assert.notEqual(legs[0]!.identity, legs[1]!.identity);
    const old = [{ pkid: '' }, { pkid: '', destLegIdentifier: 30410002 }, { pkid: '', duration: 183 }].map(
      (change) => recordOf(change),
    );
    assert.notEqual(old[0]!.identity, old[1]!.identity);
    assert.equal(old[0]!.identity, old[2]!.identity);
  });

  test('a cluster without a name', () => {
    const record = recordOf({ globalCallId_ClusterID: '' });
    assert.deepEqual([record.callId, record.accountCode], ['2/118001', '']);
  });

  test('another column may name the account, in any case', () => {
    assert.equal(recordOf({}, { accountField: 'CallingPartyNumber' }).accountCode, '1001');
    assert.throws(() => recordOf({}, { accountField: 'tenant' }), /no column "tenant"/);
  });

  test('without an original number, the final one is the called', () => {
    assert.equal(recordOf({ originalCalledPartyNumber: '' }).cld, '5000');
  });
});

describe('headers', () => {
  test('are kept for rows to be read alone, and found by name, whose case differs', () => {
    const reader = createCsvReader(cucmRows({ timeZone: 'UTC' }));
    assert.equal(reader.columns, null);
    reader.push(Buffer.from(`${HEADER.replace('ClusterID', 'ClusterId')}\r\n`));
    assert.deepEqual(
      reader.columns,
      COLUMNS.map((name) => name.replace('ClusterID', 'ClusterId')),
    );
    const alone = read(row(), { columns: reader.columns! });
    assert.equal(alone[0]!.parsed.kind, 'record');
    assert.equal((alone[0]!.parsed as { record: SourceRecord }).record.accountCode, 'StandAloneCluster');
  });

  test('may come again, where files were put together', () => {
    const fewer = COLUMNS.slice(0, -1);
    const other = [
      fewer.join(','),
      fewer.map(() => 'INTEGER').join(','),
      row().slice(0, row().lastIndexOf(',')),
    ];
    const rows = read(`\ufeff${file(row())}\ufeff${file(row())}${other.join('\n')}`);
    assert.deepEqual(
      rows.map(({ row, parsed }) => [row.line, parsed.kind]),
      [
        [3, 'record'],
        [6, 'record'],
        [9, 'record'],
      ],
    );
  });

  test('that lack what a call needs, or are not there, stop the import before any row', () => {
    assert.throws(() => read(file(row()).replace('"duration"', '"length"')), /lacks duration/);
    assert.throws(() => read(`${row()}\n`), /does not begin with CUCM's row of names/);
  });
});

describe('rows that cannot be read', () => {
  test('name the field', () => {
    const cases: [Record<string, string | number>, code: string, field: string][] = [
      [{ cdrRecordType: 2 }, 'bad_value', 'cdrRecordType'],
      [{ duration: -1 }, 'bad_number', 'duration'],
      [{ dateTimeOrigination: 0 }, 'missing_field', 'dateTimeOrigination'],
      [{ dateTimeConnect: 'noon' }, 'bad_time', 'dateTimeConnect'],
      [{ dateTimeDisconnect: 12 }, 'bad_time', 'dateTimeDisconnect'],
    ];
    for (const [changes, code, field] of cases) {
      const rejection = rejectionOf(changes);
      assert.deepEqual([rejection.code, rejection.field], [code, field]);
    }
  });

  test('keep their bytes: another number of columns, a quote that is not closed', () => {
    const short = row().slice(0, row().lastIndexOf(','));
    const unclosed = row({ origDeviceName: 'caf\u00e9' }).slice(0, -1);
    const rows = read(Buffer.from(file(short, unclosed, row()), 'latin1'));
    assert.deepEqual(
      rows.map(({ row, parsed }) => [
        row.line,
        parsed.kind === 'rejected' ? parsed.rejection.code : parsed.kind,
      ]),
      [
        [3, 'wrong_column_count'],
        [4, 'unterminated_quote'],
        [5, 'record'],
      ],
    );
    assert.equal(rows[0]!.row.bytes.toString(), short);
    assert.ok(rows[1]!.row.bytes.equals(Buffer.from(unclosed, 'latin1')));
  });
});
