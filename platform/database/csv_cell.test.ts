import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { csvCell } from './calls_csv.ts';

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
