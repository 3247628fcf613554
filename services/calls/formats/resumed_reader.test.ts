import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import type { FormatName } from './formats.ts';
import { parseMapping } from './mapping.ts';
import { openSource } from './reader.ts';
import { resumedReader } from './resumed_reader.ts';
import type { ParsedRow, SourceOptions, SourceReader } from './source_reader.ts';

const sample = (name: string) => readFileSync(new URL(`../../../tests/samples/${name}`, import.meta.url));
const MAPPING = parseMapping(
  [
    'Call ID=call_id',
    'Customer=account',
    'From=cli',
    'To=cld',
    'Start (UTC)=start_time',
    'Duration=duration_s',
  ],
  'carrier',
);
const SAMPLES: [FormatName, Buffer, Partial<SourceOptions>][] = [
  ['asterisk-csv', sample('asterisk-master.csv'), {}],
  ['asterisk-custom', sample('asterisk-custom-master.csv'), {}],
  ['freeswitch-example', sample('freeswitch-example.csv'), {}],
  ['freeswitch-json', sample('freeswitch-json-encoded.json'), {}],
  ['cisco-cucm', sample('cucm.csv'), {}],
  ['mapped', sample('carrier.csv'), { mapping: MAPPING }],
  ['mapped', Buffer.from(sample('carrier.csv').toString().replaceAll(',', ';')), { mapping: MAPPING }],
];

const told = (taken: readonly ParsedRow[]) =>
  taken.map(({ row: { line, offset, bytes, ended }, parsed }) => ({
    ...{ line, offset, bytes: bytes.toString('latin1'), ended },
    ...(parsed.kind === 'record' ? parsed.record : { rejection: parsed.rejection }),
  }));

test('a source that is read on from any place gives the rows of one that is read at once', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...SAMPLES),
      fc.nat(),
      fc.constantFrom(0, 40, 700, 10_000),
      fc.boolean(),
      ([format, file, options], cutAt, kept, withHeader) => {
        const open = (columns: readonly string[] | null): SourceReader =>
          openSource(format, { timeZone: 'Europe/Berlin', ...options, ...(columns && { columns }) });
        const whole = open(null);
        const expected = told([...whole.push(file), ...whole.end()]);
        const first = open(null);
        const before = told(first.push(file.subarray(0, cutAt % (file.length + 1))));
        const { offset, columns } = first;
        const line = file.subarray(0, offset).toString('latin1').split('\n').length;
        const body = Math.min(expected[0]!.offset, offset);
        const header = withHeader ? file.subarray(0, body) : Buffer.alloc(0);
        const rows = file.subarray(Math.max(header.length, offset - kept), offset);
        const on = resumedReader(open, { offset, line, columns, before: Buffer.concat([header, rows]) });
        assert.equal(on.offset, offset);
        assert.deepEqual([...before, ...told([...on.push(file.subarray(offset)), ...on.end()])], expected);
      },
    ),
    { numRuns: 400 },
  );
});
