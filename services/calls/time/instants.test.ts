import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readDate, readInstant, utcText } from './instants.ts';

const at = (text: string) => {
  const read = readInstant(text);
  assert.equal(read.kind, 'instant', text);
  return read.kind === 'instant' ? utcText(read.at) : '';
};
const reason = (text: string) => {
  const read = readInstant(text);
  assert.equal(read.kind, 'bad', text);
  return read.kind === 'bad' ? read.reason : '';
};

test('an instant is read with its zone, to the microsecond', () => {
  assert.equal(at('2026-11-01T00:00:00Z'), '2026-11-01T00:00:00Z');
  assert.equal(at('2026-11-01T00:00:00+01:00'), '2026-10-31T23:00:00Z');
  assert.equal(at('2026-11-01t00:00:00.5-05:45'), '2026-11-01T05:45:00.5Z');
  assert.equal(at('1969-12-31T23:59:59.999999z'), '1969-12-31T23:59:59.999999Z');
});

test('a + that a URL turned into a blank is still one', () => {
  assert.equal(at('2026-11-01T00:00:00 01:00'), '2026-10-31T23:00:00Z');
});

test('what is wrong with a time is said', () => {
  assert.match(reason('2026-11-01T00:00:00'), /has no zone/);
  assert.match(reason('2026-11-01'), /is a date/);
  assert.match(reason('2026-02-30'), /^names no day of the calendar/);
  assert.match(reason('2016-12-31T23:59:60Z'), /leap second/);
  assert.match(reason('yesterday'), /must be an RFC 3339 instant/);
  assert.match(reason('2026-02-30T00:00:00Z'), /names no day/);
  assert.match(reason('2026-02-01T24:00:00Z'), /names no day or time/);
  assert.match(reason('2026-02-01T00:00:00.1234567Z'), /six decimals/);
  assert.match(reason('2026-02-01T00:00:00+24:00'), /offset/);
  assert.match(reason('1700-02-01T00:00:00Z'), /1900 to 2199/);
});

test('only days of the calendar are dates', () => {
  assert.equal(readDate('2024-02-29'), '2024-02-29');
  assert.equal(readDate('2026-02-29'), undefined);
  assert.equal(readDate('2026-2-1'), undefined);
});

test('an instant survives being written and read', () => {
  const earliest = Date.UTC(1900, 0, 2) * 1000;
  const latest = Date.UTC(2199, 11, 30) * 1000;
  fc.assert(
    fc.property(fc.integer({ min: earliest, max: latest }), (micros) => {
      assert.deepEqual(readInstant(utcText(micros)), { kind: 'instant', at: micros });
    }),
  );
});
