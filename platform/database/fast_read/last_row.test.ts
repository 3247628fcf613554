import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLastRow } from './last_row.ts';

/** A row of one column. */
function row(text: string): DataView<ArrayBuffer> {
  const bytes = Buffer.alloc(2 + 4 + text.length);
  bytes.writeUInt16BE(1, 0);
  bytes.writeInt32BE(text.length, 2);
  bytes.write(text, 6);
  return new DataView(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length);
}

test('of a run that is begun anew nothing is left', () => {
  const last = createLastRow(['id']);
  const columns = [{ name: 'id', type: 23, kind: 'number' }] as const;
  last.columns(columns);
  last.row(row('7'), 0);
  last.columns(columns); // its memory is gone by now
  last.pieceEnd();
  assert.equal(last.values(), undefined);
  last.row(row('8'), 0);
  last.pieceEnd();
  assert.deepEqual(last.values(), { id: '8' });
});
