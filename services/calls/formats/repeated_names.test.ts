import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import fc from 'fast-check';
import { printedSeed } from '#tests/seed.ts';
import { parseExactJson } from './exact_json.ts';
import { parseDocumentText } from './freeswitch_post.ts';
import { repeatedName } from './repeated_names.ts';

const repeatedIn = (text: string) => repeatedName(text, parseExactJson(text), () => true);

test('a name that stands twice in one object is found, in whatever writing; in two objects it is none', () => {
  for (const [text, name] of [
    ['{"a": 1, "a": 1}', 'a'],
    ['{"cost": "1", "\\u0063ost": "2"}', 'cost'],
    ['{"a" \n:1,"b":[{"x":1},{"y":2,"y":{}}]}', 'y'],
    ['{"__proto__": 1, "__proto__": 2}', '__proto__'],
    ['{"": 1, "": 2}', ''],
    ['{"a": 12345678901234567890, "a": 1e-400}', 'a'],
    ['{"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}', undefined],
    ['{"a": "\\"b\\": 1, \\"b\\": 2", "c": "{\\"c\\":"}', undefined],
    ['{"a": 12345678901234567890, "b": [0.033333333333333333]}', undefined],
    ['[]', undefined],
    ['"a: "', undefined],
  ] as const)
    assert.equal(repeatedIn(text), name, text);
});

test('whatever JSON says, what JSON.stringify writes repeats nothing; with a name once more it does', (t) => {
  const seed = printedSeed(t);
  const value = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4, noUnicodeString: false }));
  fc.assert(
    fc.property(value, fc.nat(), fc.boolean(), (record, place, indented) => {
      const text = JSON.stringify(record, undefined, indented ? 2 : 0);
      assert.equal(repeatedIn(text), undefined);
      const names = Object.keys(record);
      if (names.length === 0) return;
      const name = names[place % names.length]!;
      assert.equal(repeatedIn(`${text.slice(0, -1)},${JSON.stringify(name)}: null}`), name);
    }),
    { seed, numRuns: 2_000 },
  );
});

test('of a document of FreeSWITCH each value that makes the call must stand once; others may come again', async () => {
  const folder = new URL('../../../tests/samples/freeswitch-json/', import.meta.url);
  const text = await readFile(new URL('c1e5d0a7-94b2-4b0c-8c11-5b2f0e7a3c01.cdr.json', folder), 'utf8');
  assert.ok(parseDocumentText(text));
  const insert = (behind: RegExp, what: string) => {
    const changed = text.replace(behind, (begin) => `${begin}${what}`);
    assert.notEqual(changed, text);
    return changed;
  };
  for (const [behind, what] of [
    [/^\s*\{/, '"variables":{},'],
    [/"variables"\s*:\s*\{/, '"billsec":"1",'],
    [/"channel_data"\s*:\s*\{/, '"direction":"inbound",'],
    [/"caller_profile"\s*:\s*\{/, '"destination_number":"1",'],
    [/"times"\s*:\s*\{/, '"answered_time":"1",'],
  ] as const)
    assert.throws(
      () => parseDocumentText(insert(behind, what)),
      /^Error: the document has the name "\w+" twice$/,
    );
  assert.ok(parseDocumentText(insert(/^\s*\{/, '"hold-record":{"hold":{"on":"1"},"hold":{"on":"2"}},')));
});
