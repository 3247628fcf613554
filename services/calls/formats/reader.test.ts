import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type Decided, decided } from '#tests/calls.ts';
import type { SourceRecord } from '../cdr.ts';
import { FORMATS, type FormatName } from './formats.ts';
import { type Mapping, parseMapping } from './mapping.ts';
import { openSource } from './reader.ts';
import type { ParsedRow, SourceOptions } from './source_reader.ts';

const sample = (name: string) => readFileSync(new URL(`../../../tests/samples/${name}`, import.meta.url));
const MAPPING: Mapping = parseMapping(
  [
    ...[
      'Call ID=call_id',
      'Customer=account',
      'From=cli',
      'To=cld',
      'Start (UTC)=start_time',
      'Answer (UTC)=connect_time',
    ],
    ...[
      'Duration=duration_s',
      'Billed=billed_duration_s',
      'Status=result',
      'Country=country',
      'Destination=description',
    ],
    ...['Price=cost', 'Currency=currency'],
  ],
  'carrier',
);
const SAMPLES: [FormatName, file: string, records: number, Partial<SourceOptions>][] = [
  ['asterisk-csv', 'asterisk-master.csv', 12, {}],
  ['asterisk-custom', 'asterisk-custom-master.csv', 12, {}],
  ['asterisk-header', 'freepbx.csv', 6, {}],
  ['asterisk-header', 'pbxware.csv', 6, {}],
  ['asterisk-header', 'grandstream.csv', 6, {}],
  ['freeswitch-example', 'freeswitch-example.csv', 12, {}],
  ['freeswitch-asterisk', 'freeswitch-asterisk.csv', 12, {}],
  ['freeswitch-default', 'freeswitch-default.csv', 12, {}],
  ['cisco-cucm', 'cucm.csv', 9, {}],
  ['avaya-smdr', 'avaya-smdr.csv', 5, {}],
  ['3cx-cdr', '3cx-cdr.log', 4, { accountField: 'from-dn' }],
  ['mapped', 'carrier.csv', 9, { mapping: MAPPING }],
];

/** Read by their header. */
const HEADED: ReadonlySet<FormatName> = new Set(['asterisk-header', 'cisco-cucm', 'mapped']);

function readAll(format: FormatName, chunks: Buffer[], options: Partial<SourceOptions>): ParsedRow[] {
  const reader = openSource(format, { timeZone: 'Europe/Berlin', ...options });
  return [...chunks.flatMap((chunk) => reader.push(chunk)), ...reader.end()];
}

const recordsOf = (taken: ParsedRow[]) =>
  taken.map(({ parsed }): Decided => {
    assert.equal(parsed.kind, 'record', JSON.stringify(parsed));
    return decided((parsed as { record: SourceRecord }).record);
  });

describe('the samples', () => {
  for (const [format, file, count, options] of SAMPLES) {
    test(`${file}: every row is a record of an account, told from the others`, () => {
      const records = recordsOf(readAll(format, [sample(file)], options));
      assert.equal(records.length, count);
      assert.equal(new Set(records.map((record) => record.identity + record.alsoSays)).size, count);
      for (const record of records) {
        assert.ok(record.accountCode !== '' && record.callId !== '' && record.cld !== '');
        assert.equal(record.startTime > Date.UTC(2026, 2, 2), true);
        assert.equal(record.result === 'answered', record.billedDurationS > 0);
      }
    });
  }

  test('the same calls by cdr_csv and cdr_custom, and by the templates of FreeSWITCH, are the same records', () => {
    const identities = (format: FormatName, file: string) =>
      recordsOf(readAll(format, [sample(file)], {})).map((record) => [record.callId, record.identity]);
    assert.deepEqual(
      identities('asterisk-custom', 'asterisk-custom-master.csv'),
      identities('asterisk-csv', 'asterisk-master.csv'),
    );
    const example = identities('freeswitch-example', 'freeswitch-example.csv');
    assert.deepEqual(identities('freeswitch-asterisk', 'freeswitch-asterisk.csv'), example);
    assert.deepEqual(identities('freeswitch-default', 'freeswitch-default.csv'), example);
  });
});

test('rows that only the end of the source gave are not ended; where they begin is told before', () => {
  for (const [format, file, , options] of SAMPLES) {
    const whole = sample(file);
    // A header that is cut is an error.
    for (let cut = headerEnd(format, whole); cut <= whole.length; cut++) {
      const reader = openSource(format, { timeZone: 'UTC', ...options });
      const given = reader.push(whole.subarray(0, cut));
      const reached = reader.offset;
      assert.ok(given.every(({ row }) => row.ended && row.offset < reached));
      assert.ok(reached === 0 || whole[reached - 1] === 0x0a, `${file} at ${cut}`);
      for (const { row } of reader.end()) assert.deepEqual([row.ended, row.offset], [false, reached]);
      const all = openSource(format, { timeZone: 'UTC', ...options });
      all.push(whole.subarray(0, cut));
      assert.ok(all.end(true).every(({ row }) => row.ended));
    }
  }
});

describe('wherever a source is cut, and whatever is broken in it', () => {
  for (const [format, file, , options] of SAMPLES) {
    test(`${format}, ${file}: the same rows come out`, () => {
      const whole = sample(file);
      // Breaks may not hit the header, without which there is nothing to read.
      const bodyStart = headerEnd(format, whole);
      const broken = fc
        .array(fc.tuple(fc.nat(), fc.constantFrom('"', '\n', '', '\0', '\r\n', ',', '\u00fc', '"\n"')), {
          maxLength: 6,
        })
        .map((breaks) => breakAt(whole, bodyStart, breaks));
      fc.assert(
        fc.property(broken, fc.array(fc.nat(), { maxLength: 8 }), (bytes, cuts) => {
          const expected = readAll(format, [bytes], options);
          assert.deepEqual(readAll(format, cutAt(bytes, cuts), options), expected);
          for (const { row, parsed } of expected) {
            assert.deepEqual(bytes.subarray(row.offset, row.offset + row.bytes.length), row.bytes);
            assert.ok(parsed.kind === 'record' || parsed.rejection.reason !== '');
          }
        }),
        { numRuns: 60 },
      );
    });

    test(`${format}, ${file}: each row read alone is what it is in its file`, () => {
      const reader = openSource(format, { timeZone: 'Europe/Berlin', ...options });
      const taken = [...reader.push(sample(file)), ...reader.end()];
      const columns = reader.columns ?? undefined;
      for (const { row, parsed } of taken) {
        const [alone, ...others] = readAll(format, [row.bytes], { ...options, ...(columns && { columns }) });
        assert.deepEqual([alone!.parsed, others], [parsed, []]);
      }
    });
  }
});

test('every format has a title and a family', () => {
  for (const { title, source } of Object.values(FORMATS)) assert.ok(title.length > 0 && source.length > 0);
});

test('a time zone that is none is an error', () => {
  for (const [format, , , options] of SAMPLES) {
    assert.throws(() => openSource(format, { ...options, timeZone: 'Mars/Olympus' }), RangeError);
  }
});

const headerEnd = (format: FormatName, whole: Buffer): number =>
  HEADED.has(format) ? whole.indexOf('\n') + 1 : 0;

/** Overwrites or inserts text at places of the body. */
function breakAt(whole: Buffer, bodyStart: number, breaks: [place: number, text: string][]): Buffer {
  let bytes = whole;
  for (const [place, text] of breaks) {
    const at = bodyStart + (place % (bytes.length - bodyStart));
    bytes = Buffer.concat([
      bytes.subarray(0, at),
      Buffer.from(text, 'latin1'),
      bytes.subarray(at + (place % 2)),
    ]);
  }
  return bytes;
}

function cutAt(bytes: Buffer, cuts: number[]): Buffer[] {
  const places = cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b);
  const edges = [0, ...places, bytes.length];
  return edges.slice(1).map((edge, at) => bytes.subarray(edges[at], edge));
}
