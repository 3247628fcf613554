import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { readCallerId } from './caller_id.ts';
import { splitRecord } from './csv_fields.ts';
import type { QuoteFault } from './sparse_quotes.ts';

const split = (text: string, columns: number, separator = ','): string[] | QuoteFault =>
  splitRecord(text, separator, ['backslash', 'bare', 'sparse'], (count) => count === columns);

/** How a writer puts a value into a row. */
const WRITERS: Record<string, (value: string) => string> = {
  'RFC 4180': (value) => (/[",]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value),
  'FreePBX, around values with a comma': (value) => (value.includes(',') ? `"${value}"` : value),
  'Grandstream and PBXware, around none': (value) => value,
  'all in quotes, nothing escaped': (value) => `"${value}"`,
};

describe('a caller id with bare quotes', () => {
  test('is one column, as the header says', () => {
    const row = (caller: string) =>
      split(`2026-03-02 09:04:54,${caller},48,1002,+12025550158`, 5) as string[];
    const cases: [written: string, name: string][] = [
      ['"Ann" <1002>', 'Ann'],
      ['"Smith, Ann" <1002>', 'Smith, Ann'],
      ['"Smith, Ann, Dr." <1002>', 'Smith, Ann, Dr.'],
      ['""Smith, Ann" <1002>"', 'Smith, Ann'],
      ['"""Smith, Ann"" <1002>"', 'Smith, Ann'],
      ['""Ann"" <1002>', 'Ann'],
      ['""Smith, Ann"" <1002>', 'Smith, Ann'],
      ['"" <1002>', ''],
      ['<1002>', ''],
      ['"Ann ""Annie"" Lee" <1002>', 'Ann "Annie" Lee'],
      ['"Ann \\"Annie\\" Lee" <1002>', 'Ann "Annie" Lee'],
      ['"Lee, \\"Annie\\"" <1002>', 'Lee, "Annie"'],
      ['"Ann "Annie" Lee" <1002>', 'Ann "Annie" Lee'],
      ['Ann "Annie" Lee <1002>', 'Ann "Annie" Lee'],
      ['"Ann"<1002>', 'Ann'],
      [' "Ann" <1002> ', 'Ann'],
    ];
    for (const [written, name] of cases) {
      const fields = row(written);
      assert.equal(fields.length, 5, `${written}: ${fields}`);
      assert.deepEqual([fields[0], fields[2], fields[4]], ['2026-03-02 09:04:54', '48', '+12025550158']);
      assert.deepEqual(readCallerId(fields[1]!), { name, number: '1002' }, written);
    }
  });

  test('is told in the same way whatever the separator', () => {
    for (const separator of [',', ';', '\t', '|']) {
      const text = ['1', '"Ann" <1002>', `""Smith${separator} Ann" <1002>"`, '2'].join(separator);
      assert.deepEqual(split(text, 4, separator), [
        '1',
        '"Ann" <1002>',
        `"Smith${separator} Ann" <1002>`,
        '2',
      ]);
    }
  });

  test('of no writer is taken for anything else', () => {
    const plain = fc.stringMatching(/^[a-z0-9 .:@/+-]{0,12}$/).map((text) => text.trim());
    const name = fc.stringMatching(/^[A-Z][a-z]{0,6}(, [A-Z][a-z]{0,6}){0,2}$/);
    const caller = fc.tuple(name, fc.nat(99_999)).map(([text, number]) => `"${text}" <${number}>`);
    const args = fc.array(fc.stringMatching(/^[A-Za-z0-9@]{1,6}$/), { minLength: 1, maxLength: 4 });
    const value = fc.oneof(plain, plain, caller, args.map(String));
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 2, maxLength: 12 }),
        fc.constantFrom(...Object.keys(WRITERS)),
        (values, writer) => {
          // Around no value: then a separator may stand between quotes only.
          fc.pre(
            !writer.startsWith('Grandstream') || values.every((v) => !v.includes(',') || v.includes('"')),
          );
          fc.pre(values.some((v) => v !== ''));
          const row = values.map(WRITERS[writer]!).join(',');
          const fields = split(row, values.length);
          // Set aside is no harm; taken for something else is.
          if (typeof fields === 'string') return;
          assert.deepEqual(fields, values, `${writer}: ${row}`);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

describe('what can be read in two ways, or in none', () => {
  test('is no record', () => {
    assert.equal(split('""a, b" <1>", ""c, d" <2>",e" <3>"', 4), 'ambiguous');
    assert.equal(split('1,"Ann <1002>,48', 3), 'unterminated');
    assert.deepEqual(
      split('a,"Ann" <1002>,b', 2),
      ['a', '"Ann" <1002>', 'b'],
      'told as it is, for the reason',
    );
  });

  test('nor are rows whose quotes are in order, with another number of columns', () => {
    assert.deepEqual(split('"a,b","c"', 3), ['a,b', 'c']);
    assert.deepEqual(split('"a","b","c"', 2), ['a', 'b', 'c']);
  });

  test('an inch mark in the middle of a value opens nothing; where columns are as many as expected, it is text', () => {
    assert.deepEqual(split('a,5" pipe,b', 3), ['a', '5" pipe', 'b']);
    assert.equal(split('a,5" pipe,b', 4), 'misplaced');
  });

  test('hostile rows end, as no record', () => {
    for (const row of ['""a,'.repeat(16_000), '"x" <1>,'.repeat(8_000), '""a, b" <1>",'.repeat(300)])
      assert.notEqual(split(row, 7).length, 7);
  });
});
