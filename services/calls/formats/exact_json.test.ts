import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { printedSeed } from '#tests/seed.ts';
import { isRawNumber, numberText, parseExactJson } from './exact_json.ts';

test('a number that no double is stays as it was written, any other is a number', () => {
  const numbers = [
    '0.033333333333333333',
    '12345678901234567890',
    '1e400',
    '-0.1000000000000000055',
    '1.5e-400',
  ];
  for (const written of numbers) {
    const parsed = parseExactJson(`{"a": [${written}]}`) as { a: unknown[] };
    assert.ok(isRawNumber(parsed.a[0]), written);
    assert.equal(numberText(parsed.a[0]), written);
    assert.equal(JSON.stringify(parsed), `{"a":[${written}]}`);
  }
  const plain = '[0.025, 60.0, 1e-05, 1.2E-05, 1700000000000000, 0.10000000000000000, 5e0, -0, 0e5]';
  assert.deepEqual(parseExactJson(plain), JSON.parse(plain));
  assert.equal(numberText('12'), undefined);
  assert.throws(() => parseExactJson('{"a": 12345678901234567890'), SyntaxError);
  assert.deepEqual(parseExactJson('{"t": "a,12345678901234567890"}'), { t: 'a,12345678901234567890' });
});

test('whatever the JSON, nothing but such numbers differs', (t) => {
  const anyNumber = fc.stringMatching(/^-?(0|[1-9]\d{0,24})(\.\d{1,24})?([eE][-+]?\d{1,3})?$/);
  fc.assert(
    fc.property(fc.json(), anyNumber, (text, number) => {
      assert.deepEqual(parseExactJson(text), JSON.parse(text));
      const parsed = parseExactJson(`{"n":${number}}`) as { n: unknown };
      const kept = numberText(parsed.n)!;
      assert.ok(Number(kept) === Number(number), number);
      if (!isRawNumber(parsed.n)) assert.ok(Number.isFinite(parsed.n));
    }),
    { seed: printedSeed(t), numRuns: 500 },
  );
});
