import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { SourceRecord } from '../cdr.ts';
import { createCsvReader } from './csv_reader.ts';
import { mappedRows } from './mapped.ts';
import { parseMapping } from './mapping.ts';
import { openSource } from './reader.ts';
import { separatorOf } from './separators.ts';
import type { SourceOptions } from './source_reader.ts';

const BARE = ['Start=start_time', 'Secs=duration_s', 'From=cli', 'To=cld'];
const HEADER = ['Start', 'Secs', 'From', 'To'];
const ROW = ['2026-03-02 09:04:54', '48', '1002', '+12025550143'];

function read(text: string | Buffer, pairs = BARE, options: Partial<SourceOptions> = {}) {
  const reader = createCsvReader(
    mappedRows({ timeZone: 'UTC', mapping: parseMapping(pairs, 'm'), ...options }),
  );
  return [...reader.push(Buffer.from(text)), ...reader.end()];
}

/** What is told of each row: its numbers, or the code by which it was set aside. */
const outline = (text: string | Buffer, pairs?: string[]) =>
  read(text, pairs).map(({ parsed }) =>
    parsed.kind === 'record' ? `${parsed.record.cli}>${parsed.record.cld}` : parsed.rejection.code,
  );

const recordOf = (text: string | Buffer, pairs?: string[]): SourceRecord => {
  const [taken] = read(text, pairs);
  assert.equal(taken?.parsed.kind, 'record', JSON.stringify(taken?.parsed));
  return (taken.parsed as { record: SourceRecord }).record;
};

const ONE = ['1002>+12025550143'];

describe('a header', () => {
  test('tells any separator, also where its names hold others', () => {
    for (const separator of [',', ';', '\t', '|', '^'])
      assert.deepEqual(outline(`${HEADER.join(separator)}\n${ROW.join(separator)}\n`), ONE, separator);
    assert.equal(separatorOf('Start, UTC; in a, b, c, d; To', undefined, ['To']), ';');
    assert.equal(separatorOf('a,b,c|d', undefined, []), ',');
    assert.equal(separatorOf('sep=|'), '|');
    assert.deepEqual(outline(`sep=|\r\n${HEADER.join('|')}\r\n${ROW.join('|')}\r\n`), ONE);
    assert.deepEqual(outline(`"sep=;"\r\n${HEADER.join(';')}\r\n${ROW.join(';')}\r\n`), ONE);
  });

  test('may stand below a title, a comment or anything else', () => {
    const above = [
      'Call report for acme',
      'From;2026-03-01;to;2026-03-31',
      '',
      '# by portal 2.1',
      'say "hi',
      '",',
    ];
    for (let lines = 0; lines <= above.length; lines++)
      assert.deepEqual(outline(`${above.slice(0, lines).join('\n')}\n${HEADER}\n${ROW}\n`), ONE, `${lines}`);
    assert.deepEqual(outline(`#${HEADER}\n${ROW}\n`), ONE);
    assert.deepEqual(outline(`# ${HEADER}\n${ROW}\n`), ONE);
  });

  test('that never comes is an error that names what the likeliest line lacks', () => {
    const file = `Call report\nStart,Secs,Caller,To\n${`${ROW}\n`.repeat(5)}`;
    assert.throws(() => read(file), /the header has no column "From"; it has: Start, Secs, Caller, To$/);
    assert.throws(() => read(`${file}${`${ROW}\n`.repeat(100)}`), /no column "From"/);
    assert.throws(
      () => read(`"Start,Secs,From,To\n${ROW}\n${ROW}`),
      /the header can't be read: a field opens with a quote/,
    );
    assert.deepEqual(read(''), []);
  });

  test('of any length is told of in a message that is bounded', () => {
    const long = Array.from({ length: 2000 }, (_, i) => `column ${i} ${'x'.repeat(15)}`).join(',');
    assert.throws(
      () => read(`${long}\n${ROW}\n`),
      (error: Error) => error.message.length < 3000 && /and 1970 more$/.test(error.message),
    );
  });
});

describe('rows', () => {
  const MORE = [...BARE, 'Cost=cost'];

  test('may lack blank cells at their end, and have more of them', () => {
    assert.equal(recordOf(`${HEADER},Cost,Note\n${ROW}\n`, MORE).cost, null);
    assert.equal(recordOf(`${HEADER},Cost,Note\n${ROW},0.5\n`, MORE).cost, '0.5');
    assert.equal(recordOf(`${HEADER},Cost\n${ROW},0.5,,,\n`, MORE).cost, '0.5');
    assert.deepEqual(outline(`${HEADER},Cost\n${ROW},0.5,,x\n`, MORE), ['wrong_column_count']);
    // What a call needs is there, or the row was cut.
    assert.deepEqual(outline(`${HEADER},Cost\n${ROW.slice(0, 3)}\n`, MORE), ['wrong_column_count']);
    // And a row that the end of the file has cut is not taken for a short one.
    assert.deepEqual(outline(`${HEADER},Cost\n${ROW}`, MORE), ['wrong_column_count']);
  });

  test('of totals below the calls are set aside, and so is nothing that begins with a number sign', () => {
    const sums = ['Total,1234,,', 'Total:,,,12', ',1234,,', 'Grand total;1234', 'Sum,,,'];
    const read = outline(`${HEADER}\n${ROW}\n${sums.join('\n')}\n# 5 rows, "acme\n# bye\n${ROW}\n`);
    assert.deepEqual([read[0], read.at(-1), read.length], [...ONE, ...ONE, sums.length + 2]);
    assert.deepEqual(
      new Set(read.slice(1, -1)),
      new Set(['bad_time', 'missing_field', 'wrong_column_count']),
    );
    assert.deepEqual(outline(`From,To,Start,Secs\n#31#,+12025550143,2026-03-02 09:04:54,48\n`), [
      '#31#>+12025550143',
    ]);
  });

  test('in any shape that a program gives a file are the same calls', () => {
    const cell = (value: string, quotes: boolean, separator: string) =>
      quotes || value.includes(separator) || value.includes('"') ? `"${value.replaceAll('"', '""')}"` : value;
    const shape = fc.record({
      separator: fc.constantFrom(',', ';', '\t', '|', '^'),
      end: fc.constantFrom('\n', '\r\n', '\r'),
      quotes: fc.boolean(),
      wrapped: fc.boolean(),
      bom: fc.boolean(),
      told: fc.boolean(),
      above: fc.constantFrom('', 'Report\n', 'Report "March"\n\n'),
      blanks: fc.integer({ min: 0, max: 3 }),
      lastEnd: fc.boolean(),
    });
    const name = fc.string({
      unit: fc.constantFrom('A', 'é', '"', ',', ';', ' ', '|', '€'),
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(shape, fc.array(name, { minLength: 1, maxLength: 5 }), (how, names) => {
        const rows = names.map((note) => [...ROW, `X${note}X`]);
        const lines = [[...HEADER, 'Note'], ...rows].map((cells) => {
          const line = cells.map((value) => cell(value, how.quotes, how.separator)).join(how.separator);
          return how.wrapped
            ? `"${line.replaceAll('"', '""')}"`
            : `${line}${how.separator.repeat(how.blanks)}`;
        });
        const told = how.told ? [`sep=${how.separator}`] : [];
        const above = how.told ? '' : how.above;
        const text = [...told, ...lines].join('\n') + (how.lastEnd ? '\n' : '');
        const written = `${how.bom ? '\ufeff' : ''}${above}${text}`.replaceAll('\n', how.end);
        const notes = read(written).map(({ parsed }) =>
          parsed.kind === 'record' ? parsed.record.attributes.Note : null,
        );
        assert.deepEqual(
          notes,
          names.map((note) => `X${note}X`),
          written,
        );
      }),
      { numRuns: 2000 },
    );
  });
});

test('formats without a header are read by any separator too', () => {
  const row =
    '"acme","1002","+12025550143","default","","SIP/a","SIP/b","Dial","x","2026-03-02 09:04:54","2026-03-02 09:04:55","2026-03-02 09:05:00",6,5,"ANSWERED","DOCUMENTATION","1772442294.1",""';
  const kinds = (text: string) => {
    const reader = openSource('asterisk-csv', { timeZone: 'UTC' });
    return [...reader.push(Buffer.from(text)), ...reader.end(true)].map(({ parsed }) => parsed.kind);
  };
  for (const separator of [',', ';', '\t', '|']) {
    const line = row.replaceAll(',', separator);
    assert.deepEqual(kinds(`${line}\r${line}\r`), ['record', 'record'], separator);
    assert.deepEqual(
      kinds(`sep=${separator}\r\n${line}\r\n${line}${separator.repeat(6)}`),
      ['record', 'record'],
      separator,
    );
  }
});
