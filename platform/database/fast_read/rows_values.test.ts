import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Column } from './row_columns.ts';
import { valuesQuery } from './rows_values.ts';

const COLUMNS: readonly Column[] = [
  { name: 'n', type: 20, kind: 'int8' },
  { name: 'x', type: 701, kind: 'float' },
  { name: 'is', type: 16, kind: 'boolean' },
  { name: 'at', type: 1184, kind: 'timestamptz' },
  { name: 'cost', type: 3802, kind: 'json' },
  { name: 'text', type: 25, kind: 'text' },
];

/** A row's bytes as DataRow has them: how many values, then each with its length; -1 stands for null. */
function rowBytes(values: readonly (string | null)[]): Buffer {
  const head = Buffer.alloc(2);
  head.writeInt16BE(values.length);
  const parts = values.map((value) => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(value === null ? -1 : Buffer.byteLength(value));
    return Buffer.concat([length, Buffer.from(value ?? '')]);
  });
  return Buffer.concat([head, ...parts]);
}

/** What is read of rows that come in these pieces, each somewhere in memory of its own. */
function read(pieces: readonly (readonly (readonly (string | null)[])[])[]): readonly unknown[] {
  const { sink, answer } = valuesQuery({ sql: '', parameters: [] });
  sink.columns(COLUMNS);
  for (const [index, rows] of pieces.entries()) {
    const bytes = rows.map(rowBytes);
    const memory = new ArrayBuffer(index + Buffer.concat(bytes).length + 7);
    Buffer.from(memory).set(Buffer.concat(bytes), index + 3);
    const view = new DataView(memory, index);
    let at = 3;
    for (const row of bytes) {
      sink.row(view, at, at + row.length);
      at += row.length;
    }
  }
  return answer();
}

test('values are of their types, wherever in memory their bytes lie', () => {
  const row = ['12', '1.5', 't', '2026-11-02 09:00:00+00', '[{"amount": "1"}]', 'Zoë 😀'];
  const value = {
    n: 12,
    x: 1.5,
    is: true,
    at: '2026-11-02T09:00:00Z',
    cost: [{ amount: '1' }],
    text: 'Zoë 😀',
  };
  const nothing = { n: null, x: null, is: null, at: null, cost: null, text: '' };
  assert.deepEqual(read([[row, [null, null, null, null, null, '']], [row], [], [row]]), [
    value,
    nothing,
    value,
    value,
  ]);
});

test('any texts are read as they are', () => {
  const texts = fc.array(fc.array(fc.string({ unit: 'grapheme' }), { maxLength: 5 }), { maxLength: 4 });
  fc.assert(
    fc.property(texts, (pieces) => {
      const rows = pieces.map((some) => some.map((text) => [null, null, null, null, null, text]));
      assert.deepEqual(
        (read(rows) as { text: string }[]).map(({ text }) => text),
        pieces.flat(),
      );
    }),
  );
});
