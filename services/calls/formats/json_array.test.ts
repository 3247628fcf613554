import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isJsonArray, scanJsonArray } from './json_array.ts';

function elementsOf(text: string, stepBytes = 1_000_000) {
  const body = Buffer.from(text);
  const scan = scanJsonArray(body, 1_000);
  while (!scan.step(stepBytes));
  return scan.elements.map((element) => ({
    ...element,
    text: body.toString('utf8', element.from, element.to),
  }));
}

const keysOf = (value: unknown): number =>
  typeof value !== 'object' || value === null
    ? 0
    : (Array.isArray(value) ? 0 : Object.keys(value).length) +
      Object.values(value).reduce((sum: number, inner) => sum + keysOf(inner), 0);
const depthOf = (value: unknown): number =>
  typeof value !== 'object' || value === null
    ? 0
    : 1 + Math.max(0, ...Object.values(value).map((inner) => depthOf(inner)));

test('the elements of any array, wherever a step ends, are those that JSON.parse finds', () => {
  fc.assert(
    fc.property(
      fc.array(fc.jsonValue()),
      fc.constantFrom(undefined, 1, '\t', '\r\n '),
      fc.integer({ min: 1, max: 40 }),
      (values, space, stepBytes) => {
        const text = `\ufeff ${JSON.stringify(values, null, space)} \n`;
        assert.ok(isJsonArray(Buffer.from(text)));
        const elements = elementsOf(text, stepBytes);
        const plain = JSON.parse(JSON.stringify(values));
        assert.deepEqual(
          elements.map((element) => JSON.parse(element.text)),
          plain,
        );
        assert.deepEqual(
          elements.map(({ keys, depth }) => ({ keys, depth })),
          plain.map((value: unknown) => ({ keys: keysOf(value), depth: depthOf(value) })),
        );
      },
    ),
    { numRuns: 1_000 },
  );
});

test('what is no array is refused with its place, or by what its elements are; nothing but an array passes', () => {
  for (const [text, place] of [
    ['[', 1],
    ['[1', 2],
    ['[1,', 3],
    ['[,1]', 1],
    ['[1,,2]', 3],
    ['[1,]', 3],
    ['[1]]', 3],
    ['[1] 2', 4],
    ['["]', 3],
    ['[}]', 1],
  ] as const) {
    assert.throws(
      () => elementsOf(text),
      { name: 'SyntaxError', message: `it breaks at position ${place}` },
      text,
    );
  }
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'[]{},:"\\1a ') }), (inner) => {
      const text = `[${inner}]`;
      const isJson = (json: string) => {
        try {
          return JSON.parse(json) !== undefined;
        } catch {
          return false;
        }
      };
      let passes = false;
      try {
        passes = elementsOf(text).every((element) => isJson(element.text));
      } catch {}
      assert.equal(passes, isJson(text), text);
    }),
    { numRuns: 20_000 },
  );
});

test('of very many elements no more are kept than are wanted, and all are counted', () => {
  const scan = scanJsonArray(Buffer.from(`[${'1,'.repeat(99_999)}1]`), 10);
  while (!scan.step(1_000));
  assert.deepEqual([scan.count, scan.elements.length], [100_000, 10]);
});
