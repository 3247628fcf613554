import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import type { RawRow, RejectionCode } from '../cdr.ts';
import type { QuoteStyle } from './csv_fields.ts';
import { createRecordReader, MAX_RECORD_BYTES, MAX_RECORD_LINES } from './csv_records.ts';

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

interface Row {
  line: number;
  /** As Latin-1, which shows every byte. */
  bytes: string;
  fields?: string[];
  ended?: boolean;
  code?: RejectionCode;
  reason?: string;
}

/** Reads `chunks` as records of three columns. */
function readChunks(chunks: Buffer[], rescue: QuoteStyle[] = ['backslash'], columns = 3): Row[] {
  const rows: Row[] = [];
  const reader = createRecordReader(
    { separator: ',', rescue, fits: (count) => count === columns },
    {
      record: ({ line, bytes, ended }, fields) =>
        rows.push({ line, bytes: bytes.toString('latin1'), fields, ended }),
      fault: ({ line, bytes }, { code, reason }) =>
        rows.push({ line, bytes: bytes.toString('latin1'), code, reason }),
    },
  );
  for (const chunk of chunks) reader.push(chunk);
  reader.end(false);
  return rows;
}

const read = (text: string | Buffer, rescue?: QuoteStyle[], columns?: number) =>
  readChunks([typeof text === 'string' ? Buffer.from(text) : text], rescue, columns);
const fieldsOf = (text: string | Buffer, rescue?: QuoteStyle[]) =>
  read(text, rescue).map((row) => row.fields);
/** Line and code of what was set aside, line and fields of what was read. */
const outline = (rows: Row[]) => rows.map((row) => [row.line, row.code ?? row.fields!.join('|')]);

describe('fields', () => {
  test('quoted, unquoted and blank', () => {
    assert.deepEqual(fieldsOf('"a",b,\n,,"c"\n'), [
      ['a', 'b', ''],
      ['', '', 'c'],
    ]);
  });

  test('blanks around a field are no part of it, those within quotes are', () => {
    assert.deepEqual(fieldsOf('"a" , "b", " c "\n a ,b  , c\n'), [
      ['a', 'b', ' c '],
      ['a', 'b', 'c'],
    ]);
  });

  test('quotes within a field: doubled, behind a backslash, and bare where the switch escapes nothing', () => {
    assert.deepEqual(fieldsOf('"""Bob, Jr"" <1>",b,""""\n'), [['"Bob, Jr" <1>', 'b', '"']]);
    assert.deepEqual(fieldsOf('"\\"Bob\\" <1>","say \\"hi\\"","\\\\"\n'), [['"Bob" <1>', 'say "hi"', '\\']]);
    assert.deepEqual(fieldsOf('""Bob, Jr" <1>","Joe "B"", "x"\n', ['bare']), [
      ['"Bob, Jr" <1>', 'Joe "B"', 'x'],
    ]);
  });

  test('a backslash in front of a closing quote is one, as Asterisk writes it', () => {
    assert.deepEqual(fieldsOf('"C:\\","b","c\\"\n'), [['C:\\', 'b', 'c\\']]);
  });

  test('separators and line ends within quotes belong to the field', () => {
    const [row] = read('"a,b","c\nd\r\n\ne",f\n"1","2","3"\n');
    assert.deepEqual(row, {
      line: 1,
      bytes: '"a,b","c\nd\r\n\ne",f',
      fields: ['a,b', 'c\nd\r\n\ne', 'f'],
      ended: true,
    });
    assert.equal(read('"a,b","c\nd\r\n\ne",f\n"1","2","3"\n')[1]!.line, 5);
  });
});

describe('lines', () => {
  test('Windows line ends, a byte-order mark, no line end at the end', () => {
    const rows = read('\ufeffa,b,c\r\n"d","e","f"\r\ng,h,i');
    assert.deepEqual(rows, [
      { line: 1, bytes: 'a,b,c', fields: ['a', 'b', 'c'], ended: true },
      { line: 2, bytes: '"d","e","f"', fields: ['d', 'e', 'f'], ended: true },
      { line: 3, bytes: 'g,h,i', fields: ['g', 'h', 'i'], ended: false },
    ]);
  });

  test('a byte-order mark in the middle, where files were put together', () => {
    assert.deepEqual(outline(read('\ufeffa,b,c\n\ufeff"d","e","f"\n')), [
      [1, 'a|b|c'],
      [2, 'd|e|f'],
    ]);
  });

  test('blank lines and lines of separators alone are skipped, and counted', () => {
    assert.deepEqual(outline(read('\n  \r\na,b,c\n\n,,\n"","",""\nd,e,f')), [
      [3, 'a|b|c'],
      [7, 'd|e|f'],
    ]);
  });

  test('an empty source, and one of nothing but a byte-order mark', () => {
    assert.deepEqual(read(''), []);
    assert.deepEqual(read('\ufeff'), []);
    assert.deepEqual(outline(read('ab')), [[1, 'ab']]);
  });

  test('UTF-8, and Latin-1 where it is not, row by row', () => {
    const text = Buffer.concat([
      Buffer.from('Jürgen,b,c\n', 'latin1'),
      Buffer.from('Jürgen,Łukasz,c\n', 'utf8'),
      Buffer.from('Zoë,b,c', 'latin1'),
    ]);
    assert.deepEqual(fieldsOf(text), [
      ['Jürgen', 'b', 'c'],
      ['Jürgen', 'Łukasz', 'c'],
      ['Zoë', 'b', 'c'],
    ]);
  });

  test('a chunk that is overwritten after push changes nothing', () => {
    const rows: string[] = [];
    const reader = createRecordReader(
      { separator: ',', rescue: [], fits: () => true },
      { record: (row) => rows.push(row.bytes.toString()), fault: assert.fail },
    );
    const chunk = Buffer.from('a,b,c\nd,e');
    reader.push(chunk);
    chunk.fill('x');
    reader.end(false);
    assert.deepEqual(rows, ['a,b,c', 'd,e']);
  });
});

describe('what is set aside', () => {
  test('a quote that is never closed costs its line, wherever it is', () => {
    for (const broken of ['"a","b', '"a","b,c', 'x,"', '"a","b","c']) {
      const rows = read(`1,2,3\n${broken}\n"4","5","6"\n"","7","8"\n${broken}\n${broken}`);
      assert.deepEqual(
        outline(rows),
        [
          [1, '1|2|3'],
          [2, 'unterminated_quote'],
          [3, '4|5|6'],
          [4, '|7|8'],
          [5, 'unterminated_quote'],
          [6, 'unterminated_quote'],
        ],
        broken,
      );
      assert.equal(rows[1]!.bytes, broken);
      assert.equal(rows[5]!.bytes, broken);
    }
  });

  test('a broken line does not swallow a following line of blank fields', () => {
    assert.deepEqual(outline(read('"a","b\n"","",""\n,"x",""\n')), [
      [1, 'unterminated_quote'],
      [3, '|x|'],
    ]);
  });

  test('a quote in the middle of a field costs its line', () => {
    for (const broken of ['"a"b,c,d', 'a,b"c,d', '"a,"b","c"', 'a"","b","c"']) {
      const rows = read(`${broken}\r\n1,2,3\r\n`);
      assert.deepEqual(outline(rows), [
        [1, 'unreadable_row'],
        [2, '1|2|3'],
      ]);
      assert.equal(rows[0]!.bytes, broken);
    }
  });

  test('a record over as many lines as allowed is read, over one more it is not', () => {
    const spanning = (lines: number) => `"a","b${'\nx'.repeat(lines - 1)}","c"\n1,2,3\n`;
    assert.deepEqual(
      read(spanning(MAX_RECORD_LINES)).map((row) => row.line),
      [1, MAX_RECORD_LINES + 1],
    );
    const tooLong = read(spanning(MAX_RECORD_LINES + 1));
    assert.deepEqual(
      tooLong.map(({ code, fields }) => code ?? fields),
      ['unterminated_quote', ['1', '2', '3']],
    );
  });

  test('an open quote is set aside with the text behind it, in rows of at most 64 KiB that name its line', () => {
    const text = Array.from({ length: 30_000 }, (_, at) => `line ${at} of a trace`).join('\r\n\n');
    const source = `1,2,3\n4,"${text}",6\n7,8,9\nx,y\n`;
    const rows = read(source);
    const rejected = rows.filter(({ code }) => code === 'unterminated_quote');
    assert.ok(rejected.length < 1 + source.length / 60_000, `${rejected.length} rows`);
    assert.deepEqual(
      rejected
        .map(({ bytes }) => bytes)
        .join('')
        .replace(/\s/g, ''),
      `4,"${text}",6`.replace(/\s/g, ''),
    );
    for (const { bytes, reason } of rejected) {
      assert.ok(bytes.length <= MAX_RECORD_BYTES);
      assert.match(reason!, /opens with a quote in line 2 that is not closed/);
    }
    assert.deepEqual(
      rows.filter(({ code }) => code === undefined).map(({ fields }) => fields!.join('')),
      ['123', '789', 'xy'],
    );
  });

  test('a row behind an open quote that is broken itself is a row of its own', () => {
    const rows = read('4,"5,6\nx\n1,2"x,3\n1,"2,3\n\ny\n\n7,8,9\n');
    assert.deepEqual(
      rows.map(({ line, bytes, code }) => [line, bytes, code]),
      [
        [1, '4,"5,6\nx', 'unterminated_quote'],
        [3, '1,2"x,3', 'unreadable_row'],
        [4, '1,"2,3\n\ny', 'unterminated_quote'],
        [8, '7,8,9', undefined],
      ],
    );
  });

  test('lines that together would make a record of another number of columns are not one', () => {
    assert.deepEqual(outline(read('"a","b\nc","d","e"\n1,2,3\n')), [
      [1, 'unterminated_quote'],
      [2, 'unreadable_row'],
      [3, '1|2|3'],
    ]);
  });

  test('a line over the limit keeps its first bytes and tells its length', () => {
    const long = `a,b,${'c'.repeat(MAX_RECORD_BYTES)}`;
    for (const end of ['\n', '\r\n']) {
      const rows = read(`1,2,3${end}${long}${end}4,5,6`);
      assert.deepEqual(outline(rows), [
        [1, '1|2|3'],
        [2, 'too_large'],
        [3, '4|5|6'],
      ]);
      assert.equal(rows[1]!.bytes, long.slice(0, MAX_RECORD_BYTES));
      assert.match(rows[1]!.reason!, new RegExp(`has ${long.length} bytes`));
    }
    assert.deepEqual(outline(read(long)), [[1, 'too_large']]);
    const atLimit = `a,b,${'c'.repeat(MAX_RECORD_BYTES - 4)}`;
    assert.equal(read(`${atLimit}\r\n`)[0]!.fields![2]!.length, MAX_RECORD_BYTES - 4);
  });

  test('the worst of rows take no long: quotes and blanks to the limit', () => {
    const worst = ['"', '""', '" ', '\\"', ' ', ' "', '","', '<', '"x'].map((piece) =>
      piece.repeat(Math.floor(MAX_RECORD_BYTES / piece.length)),
    );
    const rows = read(`${worst.join('\n')}\n1,2,3\n`, ['backslash', 'bare']);
    assert.deepEqual(rows.at(-1)!.fields, ['1', '2', '3']);
  });

  test('memory does not grow with a line that never ends', async () => {
    const faults: [number, string][] = [];
    const reader = createRecordReader(
      { separator: ',', rescue: [], fits: () => true },
      { record: () => assert.fail(), fault: ({ bytes }, { reason }) => faults.push([bytes.length, reason]) },
    );
    const chunk = Buffer.alloc(1024 * 1024, 'x');
    collectGarbage();
    const before = process.memoryUsage().arrayBuffers;
    for (let megabytes = 0; megabytes < 200; megabytes++) reader.push(chunk);
    const held = () => process.memoryUsage().arrayBuffers - before;
    // What is garbage is given back by another thread, a little later.
    const deadline = performance.now() + 10_000;
    do {
      collectGarbage();
      await setImmediate();
    } while (held() > 10 * 1024 * 1024 && performance.now() < deadline);
    assert.ok(held() < 10 * 1024 * 1024);
    reader.end(false);
    assert.equal(faults.length, 1);
    assert.equal(faults[0]![0], MAX_RECORD_BYTES);
    assert.match(faults[0]![1], /^the line has 209715200 bytes/);
  });

  test('NUL bytes, as a crash leaves them: the row behind them is read', () => {
    const rows = read(`1,2,3\n${'\0'.repeat(5000)}"a","b","c"\n4,\0,6\n7,8,9\n\0\0\0`);
    assert.deepEqual(outline(rows), [
      [1, '1|2|3'],
      [2, 'unreadable_row'],
      [2, 'a|b|c'],
      [3, 'unreadable_row'],
      [4, '7|8|9'],
      [5, 'unreadable_row'],
    ]);
    assert.match(rows[1]!.reason!, /^5000 NUL bytes/);
    assert.equal(rows[1]!.bytes, '\0'.repeat(5000));
    assert.equal(rows[3]!.bytes, '4,\0,6');
  });
});

/** Rows as the sink was given them. */
function readRows(bytes: Buffer): { row: RawRow; code?: string }[] {
  const rows: { row: RawRow; code?: string }[] = [];
  const reader = createRecordReader(
    { separator: ',', rescue: ['backslash'], fits: (count) => count === 3 },
    { record: (row) => rows.push({ row }), fault: (row, { code }) => rows.push({ row, code }) },
  );
  reader.push(bytes);
  reader.end(false);
  return rows;
}

/** Pieces that meet in the worst ways; one is over the limit of a record. */
const piece = fc.constantFrom(
  ...[
    'a',
    'b,c',
    ',',
    ',',
    '"',
    '"',
    '""',
    '\n',
    '\n',
    '\r\n',
    '\r',
    '\0',
    ' ',
    '\\"',
    '"a","b","c"\n',
    '1,2,3\r\n',
  ],
  ...['\ufeff', 'ü', '\x1a', '"x\ny","2","3"\n', '"unclosed,1,2\n', 'z'.repeat(MAX_RECORD_BYTES - 1)],
);
const source = fc.array(piece, { maxLength: 40 }).map((pieces) => Buffer.from(pieces.join('')));

test('the rows do not depend on where the source is cut', () => {
  fc.assert(
    fc.property(source, fc.array(fc.nat(), { maxLength: 12 }), (bytes, cuts) => {
      assert.deepEqual(readChunks(cutAt(bytes, cuts)), read(bytes));
    }),
    { numRuns: 400 },
  );
});

test('the rows do not depend on where the source is cut, byte by byte', () => {
  const text = '\ufeff"a","b\nc","d"\r\n"x","y\n"","",""\r\n1,2,3\n\0\0é,"5 ""6""",7\r\n\r\n"un';
  const bytes = Buffer.from(text);
  const whole = read(bytes);
  assert.deepEqual(readChunks([...bytes].map((byte) => Buffer.from([byte]))), whole);
  for (let at = 1; at < bytes.length; at++) {
    assert.deepEqual(readChunks([bytes.subarray(0, at), bytes.subarray(at)]), whole);
  }
});

test('every byte is in a row that knows its place, or is blank', () => {
  fc.assert(
    fc.property(source, (bytes) => {
      const text = bytes.toString('latin1');
      const left = Buffer.from(bytes);
      for (const { row, code } of readRows(bytes)) {
        const { offset } = row;
        assert.deepEqual(bytes.subarray(offset, offset + row.bytes.length), row.bytes);
        const ends = text.slice(0, offset).match(/\r\n|\r|\n/g)?.length ?? 0;
        const feeds = text.slice(0, offset).match(/\n/g)?.length ?? 0;
        // A CR alone may be a line's end or a part of the data.
        assert.ok(row.line > feeds && row.line <= ends + 1, `line ${row.line} of ${ends + 1}`);
        // Of a line that is too large only its first bytes are kept.
        const long =
          code === 'too_large' ? /^[^\r\n]*/.exec(text.slice(offset))![0].length : row.bytes.length;
        left.fill(32, offset, offset + long);
      }
      assert.match(left.toString().replaceAll('\x1a', ''), /^[\s,"\ufeff]*$/);
    }),
    { numRuns: 400 },
  );
});

describe('as people’s programs save files', () => {
  const LINES = ['a,b,c', '"d ""x""","e,f",g', 'h,"i\nj",k', 'l,m,'];
  const expected = fieldsOf(`${LINES.join('\n')}\n`);

  test('lines that end with CR, and with all three in one file', () => {
    assert.deepEqual(fieldsOf(`${LINES.join('\r')}\r`), expected);
    assert.deepEqual(fieldsOf(LINES.join('\r')), expected);
    const ends = fc.array(fc.constantFrom('\r', '\n', '\r\n', '\r\r', '\n\n'), {
      minLength: 4,
      maxLength: 4,
    });
    fc.assert(
      fc.property(ends, fc.array(fc.nat(), { maxLength: 8 }), (each, cuts) => {
        const bytes = Buffer.from(LINES.map((line, at) => line + each[at]).join(''));
        const rows = readChunks(cutAt(bytes, cuts));
        assert.deepEqual(
          rows.map((row) => row.fields),
          expected,
        );
      }),
    );
  });

  test('a CR alone within a value is a part of it', () => {
    assert.deepEqual(fieldsOf('a,b\rb,c\n"d\r","e",f\r\n'), [
      ['a', 'b\rb', 'c'],
      ['d\r', 'e', 'f'],
    ]);
    assert.deepEqual(outline(read('a,b,c\r1,2\r"un,2,3\rd,e,f\r')), [
      [1, 'a|b|c'],
      [2, '1|2'],
      [3, 'unterminated_quote'],
      [4, 'd|e|f'],
    ]);
  });

  test('a line over the limit costs itself, whatever its end', () => {
    const long = 'z'.repeat(MAX_RECORD_BYTES + 5);
    for (const end of ['\r', '\n', '\r\n']) {
      const bytes = Buffer.from(`a,b,c${end}${long}${end}d,e,f${end}`);
      for (const rows of [read(bytes), readChunks(cutAt(bytes, [7, 60_000, 65_549, 65_550, 65_551]))])
        assert.deepEqual(
          outline(rows).map(([, what]) => what),
          ['a|b|c', 'too_large', 'd|e|f'],
        );
    }
  });

  test('any separator, where the format’s own makes no record of the first lines', () => {
    for (const separator of [';', '\t', '|', '^'])
      assert.deepEqual(
        fieldsOf(
          `# of today\na${separator}"b,${separator}"${separator}c\nd${separator}e${separator}\n`,
        ).slice(1),
        [
          ['a', `b,${separator}`, 'c'],
          ['d', 'e', ''],
        ],
      );
    assert.deepEqual(fieldsOf('sep=;\r\na;b;c\r\n'), [['a', 'b', 'c']]);
    assert.deepEqual(fieldsOf('a,b,c\nd;e;f\n'), [['a', 'b', 'c'], ['d;e;f']]);
  });

  test('lines that are one quoted cell, with the separators of blank cells behind it or without', () => {
    for (const tail of ['', ';;;', ',,', '\t'])
      assert.deepEqual(fieldsOf(`"a,b,c"${tail}\n"d,""e, f"",g"${tail}\n`), [
        ['a', 'b', 'c'],
        ['d', 'e, f', 'g'],
      ]);
  });

  test('Windows-1252 where a line is not UTF-8', () => {
    const bytes = Buffer.concat([
      Buffer.from('J\u00fcrgen \u0093B\u0094,\u0080,c\n', 'latin1'),
      Buffer.from('“ü”,€,c\n'),
    ]);
    assert.deepEqual(fieldsOf(bytes), [
      ['Jürgen “B”', '€', 'c'],
      ['“ü”', '€', 'c'],
    ]);
  });
});

test('what is written as RFC 4180 says is read back', () => {
  const field = fc.string({ unit: fc.constantFrom('a', '"', ',', ' ', '\\', 'ß', ';'), maxLength: 8 });
  const row = fc.tuple(field, field, field).filter((fields) => fields.some((text) => text.trim() !== ''));
  fc.assert(
    fc.property(fc.array(row, { maxLength: 5 }), fc.constantFrom('\n', '\r\n'), (rows, end) => {
      const text = rows
        .map((fields) => fields.map((value) => `"${value.replaceAll('"', '""')}"`).join(',') + end)
        .join('');
      assert.deepEqual(fieldsOf(text), rows);
    }),
  );
});

function cutAt(bytes: Buffer, cuts: number[]): Buffer[] {
  const places = cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b);
  const edges = [0, ...places, bytes.length];
  return edges.slice(1).map((edge, at) => bytes.subarray(edges[at], edge));
}
