import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { copyCommonCell, csvCell } from './csv_cell.ts';

test('numbers stay as they are', () => {
  for (const number of ['+493023125001', '-0.021', '1001', '0.5', '+493023****01'])
    assert.equal(csvCell(number), number);
});

test('what a spreadsheet would run is text', () => {
  assert.equal(csvCell('=1+1'), "'=1+1");
  assert.equal(csvCell('+cmd'), "'+cmd");
  assert.equal(csvCell('-2+3'), "'-2+3");
  assert.equal(csvCell('+2*3'), "'+2*3");
  assert.equal(csvCell('@SUM(A1)'), "'@SUM(A1)");
  assert.equal(csvCell('\t=1'), `" '=1"`);
  assert.equal(csvCell('\r\n=1'), `" '=1"`);
  assert.equal(csvCell('\uff1d1'), "'\uff1d1");
  assert.equal(csvCell('+49 30=1'), "'+49 30=1");
});

test('a cell that another separator would cut holds no formula either', () => {
  assert.equal(csvCell('a;=1'), `"a;'=1"`);
  assert.equal(csvCell('a,"=1'), `"a,""'=1"`);
  assert.equal(csvCell('x|@y'), `"x|'@y"`);
});

/** A strict reader of RFC 4180, for one line. */
function cellsOf(line: string, separator: string): string[] {
  const cells: string[] = [];
  let at = 0;
  while (at <= line.length) {
    let cell = '';
    if (line[at] === '"') {
      for (at++; at < line.length; at++) {
        if (line[at] === '"' && line[at + 1] !== '"') break;
        if (line[at] === '"') at++;
        cell += line[at];
      }
      at++;
    }
    while (at < line.length && line[at] !== separator) cell += line[at++];
    cells.push(cell);
    at++;
  }
  return cells;
}

test('no text makes a formula, a second cell or a second line, whatever separator it is read with', () => {
  const nasty = fc.string({
    unit: fc.constantFrom(...'=+-@;,|"\'\t\r\n a1\u2028\u0000\uff1d'),
    maxLength: 12,
  });
  fc.assert(
    fc.property(nasty, (text) => {
      const line = `x,${csvCell(text)},y`;
      assert.ok(!/[\r\n\u2028\0]/.test(line));
      assert.equal(cellsOf(line, ',').length, 3, line);
      for (const separator of [',', ';', '|', '\t']) {
        for (const cell of cellsOf(line, separator)) {
          const isNumber = /^[+-]?\d+$/.test(cell);
          const isFormula = /^["\s]*[=+\-@\uff1d]/.test(cell) && !isNumber;
          assert.ok(!isFormula, `${JSON.stringify(text)} by ${separator}: ${JSON.stringify(cell)}`);
        }
      }
    }),
    { numRuns: 3_000 },
  );
});

/** The cell that the bytes alone give; undefined where they don't. A byte written beyond the room that there is throws. */
function commonCell(text: string): string | undefined {
  const bytes = new TextEncoder().encode(text);
  const before = 3;
  const to = Buffer.alloc(before + bytes.length + 2);
  const view = new DataView(to.buffer as ArrayBuffer, to.byteOffset, to.length);
  const end = copyCommonCell(new DataView(bytes.buffer), 0, view, before, bytes.length);
  return end === -1 ? undefined : to.toString('utf8', before, end);
}

test('what most cells hold is decided on its bytes', () => {
  const common = [
    ...[
      '',
      '1',
      '202611000000001',
      '+493023125001',
      '-5',
      '0.021000',
      '0044 20 70000000',
      'GB',
      'EUR',
      '10.0.7.1',
    ],
    ...[
      'Yealink SIP-T46S 66.85.0.5',
      'a1b2-c3@host:5060',
      'x=1',
      'Müller',
      'Ελλάδα',
      '東京',
      '😀 ok',
      "O'Neil",
    ],
    ...['United Kingdom, fixed', 'a;b|c', ' before', 'behind ', ' '],
  ];
  for (const text of common) assert.equal(commonCell(text), csvCell(text), JSON.stringify(text));
});

test('the bytes never give another cell than the rules do', () => {
  const part = fc.oneof(
    fc.constantFrom(
      ...'=+-@;,|"\'\t\r\n .*09aé',
      '+49',
      '\uff1d',
      '\u00a0',
      '\u3000',
      '\ufeff',
      '\u2028',
      '\u0085',
    ),
    fc.string({ unit: 'binary', maxLength: 3 }),
    fc.string({ unit: 'grapheme-ascii', maxLength: 9 }),
  );
  const text = fc.array(part, { maxLength: 8 }).map((parts) => parts.join('').replaceAll('\0', ''));
  fc.assert(
    fc.property(text, (it) => {
      const cell = commonCell(it);
      if (cell !== undefined) assert.equal(cell, csvCell(it));
    }),
    { numRuns: 20_000 },
  );
});

test('no character of Unicode misleads them, wherever it stands', () => {
  for (let code = 1; code <= 0x1ffff; code++) {
    if (code >= 0xd800 && code <= 0xdfff) continue; // PostgreSQL holds no half of a pair
    const it = String.fromCodePoint(code);
    for (const text of [it, `${it}a`, `a${it}`, `${it}=1`, `;${it}=1`, `+1${it}`, `a, ${it}`]) {
      const cell = commonCell(text);
      if (cell !== undefined)
        assert.equal(cell, csvCell(text), `U+${code.toString(16)} in ${JSON.stringify(text)}`);
    }
  }
});
