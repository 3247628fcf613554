import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { SourceRecord } from '../cdr.ts';
import { asteriskHeaderRows, isAsteriskHeader } from './asterisk_header.ts';
import { createCsvReader } from './csv_reader.ts';
import { openSource } from './reader.ts';
import type { ParsedRow, SourceOptions } from './source_reader.ts';

const sample = (name: string) =>
  readFileSync(new URL(`../../../tests/samples/${name}`, import.meta.url)).toString();

function read(text: string, options: Partial<SourceOptions> = {}): ParsedRow[] {
  const reader = createCsvReader(asteriskHeaderRows({ timeZone: 'UTC', ...options }));
  return [...reader.push(Buffer.from(text)), ...reader.end()];
}

const records = (text: string, options?: Partial<SourceOptions>): SourceRecord[] =>
  read(text, options).map(({ parsed }) => {
    assert.equal(parsed.kind, 'record', JSON.stringify(parsed));
    return (parsed as { record: SourceRecord }).record;
  });

function rejection(text: string) {
  const [taken] = read(text);
  assert.equal(taken?.parsed.kind, 'rejected', JSON.stringify(taken?.parsed));
  return (taken.parsed as { rejection: { code: string; field?: string; reason: string } }).rejection;
}

/** A call by the names of its columns. */
const CALL: Record<string, string> = {
  calldate: '2026-03-02 09:04:54',
  clid: '"Ann" <1002>',
  src: '1002',
  dst: '+12025550158',
  dcontext: 'from-internal',
  channel: 'PJSIP/1002-00000002',
  dstchannel: 'PJSIP/carrier-00000003',
  lastapp: 'Dial',
  lastdata: 'PJSIP/+12025550158@carrier',
  duration: '48',
  billsec: '42',
  disposition: 'ANSWERED',
  amaflags: '3',
  accountcode: 'acme',
  uniqueid: '1772442294.103',
  userfield: 'spring',
  did: '493023125001',
  linkedid: '1772442294.101',
};
const file = (names: readonly string[], call = CALL) =>
  `${names.join(',')}\n${names.map((name) => call[name] ?? '').join(',')}\n`;

describe('the samples', () => {
  test('of FreePBX, PBXware and Grandstream are the same calls, all of them', () => {
    const told = (name: string) =>
      records(sample(name)).map((record) => [
        ...[record.accountCode, record.callId, record.cli, record.cld, record.startTime],
        ...[record.durationS, record.billedDurationS, record.attributes.caller_name],
      ]);
    const calls = told('freepbx.csv');
    assert.equal(calls.length, 6);
    assert.deepEqual(told('pbxware.csv'), calls);
    assert.deepEqual(told('grandstream.csv'), calls);
    assert.deepEqual(
      calls.map((call) => call.at(-1)),
      ['Alice Moreau', 'Sales, Bob', 'Ann "Annie" Lee', undefined, undefined, 'Dan'],
    );
  });

  test('tell how each call ended', () => {
    assert.deepEqual(
      records(sample('freepbx.csv')).map(({ result }) => result),
      ['answered', 'answered', 'busy', 'answered', 'answered', 'cancelled'],
    );
  });
});

describe('columns', () => {
  test('are found by name, in any order and with any of the others beside them', () => {
    const needed = ['calldate', 'src', 'dst', 'duration', 'billsec', 'disposition'];
    const others = Object.keys(CALL).filter((name) => !needed.includes(name));
    fc.assert(
      fc.property(
        fc
          .subarray([...others, 'AcctId', ''])
          .chain((some) =>
            fc.shuffledSubarray([...needed, ...some], { minLength: needed.length + some.length }),
          ),
        (names) => {
          const [record] = records(file(names));
          assert.deepEqual(
            [record!.cli, record!.cld, record!.startTime, record!.durationS, record!.billedDurationS],
            ['1002', '+12025550158', Date.UTC(2026, 2, 2, 9, 4, 54), 48, 42],
          );
          assert.equal(record!.accountCode, names.includes('accountcode') ? 'acme' : '');
          assert.equal(record!.callId, names.includes('uniqueid') ? CALL.uniqueid : '');
          assert.equal(record!.attributes.did, names.includes('did') ? CALL.did : undefined);
          assert.equal(record!.attributes.userfield, names.includes('userfield') ? 'spring' : undefined);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('are known whatever their case, in quotes, behind a byte-order mark, with other separators', () => {
    const names = Object.keys(CALL);
    const [expected] = records(file(names));
    for (const text of [
      file(names.map((name) => name)).replace(/^.*/, (header) => header.toUpperCase()),
      file(names).replace(/^.*/, (header) => `"${header.replaceAll(',', '","')}"`),
      `\ufeff${file(names)}`,
      file(names).replaceAll(',', ';'),
      `sep=;\r\n${file(names).replaceAll(',', ';')}`,
      file(names).replaceAll(',', '\t'),
    ]) {
      const [record] = records(text);
      assert.deepEqual(
        [record!.cld, record!.callId, record!.durationS],
        [expected!.cld, expected!.callId, 48],
      );
    }
  });

  test('start and calldate are the same; without a source number the caller id tells it', () => {
    const names = ['start', 'clid', 'dst', 'end', 'disposition', 'lastapp'];
    const [record] = records(
      file(names, { ...CALL, start: '2026-03-02 09:04:54', end: '2026-03-02 09:05:42' }),
    );
    assert.deepEqual([record!.cli, record!.durationS, record!.billedDurationS], ['1002', 48, null]);
  });

  test('that none but other programs have make no header of Asterisk’s', () => {
    for (const header of [
      'src,dst,start,duration',
      'Start,Secs,From,To',
      'clid,billsec',
      'id,src,dst,disposition,lastapp',
    ])
      assert.equal(isAsteriskHeader(header.split(',')), false, header);
    assert.equal(isAsteriskHeader('src,dst,start,duration,billsec,disposition'.split(',')), true);
  });

  test('a header that comes again, also of another version, is followed', () => {
    const [one, other] = [Object.keys(CALL), [...Object.keys(CALL)].reverse()];
    const both = records(`${file(one)}${file(one)}${file(other)}`);
    assert.deepEqual(
      both.map(({ callId }) => callId),
      [CALL.uniqueid, CALL.uniqueid, CALL.uniqueid],
    );
  });

  test('cdr_csv and cdr_custom under a header of their own tell the same record as without', () => {
    const names =
      'accountcode,src,dst,dcontext,clid,channel,dstchannel,lastapp,lastdata,start,answer,end,duration,billsec,disposition,amaflags,uniqueid,userfield';
    const rows = sample('asterisk-master.csv');
    const plain = openSource('asterisk-csv', { timeZone: 'UTC' });
    const expected = [...plain.push(Buffer.from(rows)), ...plain.end()].map(({ parsed }) => parsed);
    const found = read(`${names}\n${rows}`).map(({ parsed }) => parsed);
    assert.deepEqual(found, expected);
  });
});

describe('accounts', () => {
  test('any column may name them', () => {
    const text = sample('pbxware.csv');
    assert.equal(records(text, { accountField: 'Tenant' })[0]!.accountCode, '200');
    assert.throws(() => read(text, { accountField: 'customer' }), /no column "customer".*AcctId, tenant/);
  });
});

describe('rows', () => {
  test('read alone, with their header kept, are what they are in their file', () => {
    for (const name of ['freepbx.csv', 'pbxware.csv', 'grandstream.csv']) {
      const reader = createCsvReader(asteriskHeaderRows({ timeZone: 'UTC' }));
      for (const { row, parsed } of [...reader.push(Buffer.from(sample(name))), ...reader.end()]) {
        const [alone] = read(row.bytes.toString(), { columns: reader.columns! });
        assert.deepEqual(alone!.parsed, parsed);
      }
    }
  });

  test('of commas that nobody quoted are read where only one column can hold them', () => {
    const [header, , row] = sample('grandstream.csv').split('\n');
    assert.equal(records(`${header}\n${row}`)[0]!.attributes.lastdata, 'PJSIP/12025550143@carrier,300,T');
    const inUserfield = row!.replace(',300,T', '').replace(',EXT,', ',one,two,');
    assert.equal(records(`${header}\n${inUserfield}`)[0]!.attributes.userfield, 'one,two');
    assert.match(rejection(`${header}\n${row},1,2,3`).reason, /27 columns; the header names 22/);
    assert.match(
      rejection(`${header}\n${row!.replace(',acme,', ',')}`).reason,
      /columns; the header names 22/,
    );
    // Between two free texts nothing tells whose the comma is.
    const names = [
      'userfield',
      'lastdata',
      ...['calldate', 'src', 'dst', 'duration', 'disposition', 'billsec'],
    ];
    const row3 = ['a', 'b', 'c', ...names.slice(2).map((name) => CALL[name])].join(',');
    assert.equal(rejection(`${names}\n${row3}`).code, 'wrong_column_count');
  });

  test('that tell no duration, or none that is one, are set aside with the field', () => {
    assert.equal(rejection(file(Object.keys(CALL), { ...CALL, duration: 'long' })).field, 'duration');
    assert.equal(rejection(file(Object.keys(CALL), { ...CALL, calldate: '' })).field, 'calldate');
  });

  test('without a header are refused', () => {
    assert.throws(() => read('1,2,3\n'), /does not begin with a header of Asterisk's fields/);
  });
});
