import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isPrintable, printable, printableJson } from './printable.ts';

test('characters that control a terminal or change the order of text are shown escaped', () => {
  for (const [text, shown] of [
    ['\x1b[2J', '\\x1b[2J'],
    ['\x9b2J', '\\x9b2J'],
    ['a\rb\nc\td', 'a\\rb\\nc\\td'],
    ['\x07\x7f', '\\x07\\x7f'],
    ['acme\u202egpj', 'acme\\u202egpj'],
    ['\u2066x\u2069', '\\u2066x\\u2069'],
    ['\ud800', '\\ud800'],
    ['\u{e0041}', '\\u{e0041}'],
  ] as const) {
    assert.ok(!isPrintable(text));
    assert.equal(printable(text), shown);
  }
  for (const text of [
    '',
    'Acme Ltd',
    'Z\u00fcrich \u{1f4a9}',
    '\u0645\u0631\u062d\u0628\u0627',
    '\u05e9\u05dc\u05d5\u05dd',
    'a\u200db',
  ])
    assert.ok(isPrintable(text) && printable(text) === text, text);
});

test('every text is printable afterwards; JSON keeps its value', () => {
  const text = fc.string({
    unit: fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('\x1b', '\u202e', '\x9b', '\ud83d')),
  });
  fc.assert(fc.property(text, (some) => isPrintable(printable(some))));
  fc.assert(
    fc.property(fc.dictionary(text, text), (value) => {
      const json = printableJson(JSON.stringify(value, null, 2));
      assert.ok(isPrintable(json.replaceAll('\n', '')));
      assert.deepEqual(JSON.parse(json), JSON.parse(JSON.stringify(value)));
    }),
  );
});
