import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type NumberSearch, readNumberPattern, searchFor } from './number_pattern.ts';
import { createNumberReader } from './numbers.ts';

const reader = createNumberReader();

function search(text: string, country: string | null = null): NumberSearch {
  const pattern = readNumberPattern(text);
  return pattern.kind === 'bad' ? assert.fail(pattern.reason) : searchFor(pattern, reader, country);
}

/** The beginnings that a prefix looks for in cli. */
const begins = (text: string, country: string | null = null): string[] => {
  const found = search(text, country);
  return found.kind === 'prefix' ? found.stored.map(({ from }) => from) : assert.fail(text);
};

test('a number, a prefix, and stars that belong to the number', () => {
  assert.deepEqual(readNumberPattern('+4930123456'), { kind: 'exact', text: '+4930123456' });
  assert.deepEqual(readNumberPattern('+4930*'), { kind: 'prefix', text: '+4930' });
  assert.deepEqual(readNumberPattern('\\*100'), { kind: 'exact', text: '*100' });
  assert.deepEqual(readNumberPattern('\\*1*'), { kind: 'prefix', text: '*1' });
  assert.deepEqual(readNumberPattern('a\\\\'), { kind: 'exact', text: 'a\\' });
});

test('what can not be meant is refused', () => {
  for (const text of ['*', '+49*30', '*100', '\\x', '+49\\', '\u{10ffff}*']) {
    assert.equal(readNumberPattern(text).kind, 'bad', text);
  }
});

test('E.164 is looked for as it stands, and nothing beside it', () => {
  for (const country of ['DE', 'US', null]) {
    assert.deepEqual(search('+493023125001', country), {
      kind: 'exact',
      stored: ['+493023125001'],
      written: [],
    });
    assert.deepEqual(begins('+4930*', country), ['+4930']);
  }
});

test('a number as the account’s country dials it is looked for in E.164 and as it stands', () => {
  for (const text of [
    '03023125001',
    '030 23125001',
    '00493023125001',
    '+49 30 23125001',
    'tel:+493023125001',
  ])
    assert.deepEqual(search(text, 'DE'), { kind: 'exact', stored: ['+493023125001', text], written: [text] });
  assert.deepEqual(search('03023125001'), {
    kind: 'exact',
    stored: ['03023125001'],
    written: ['03023125001'],
  });
});

test('a + that a URL turned into a blank is still one; a blank that was meant is one too', () => {
  const text = ' 49 30 23125001';
  assert.deepEqual(search(text, 'DE'), {
    kind: 'exact',
    stored: ['+493023125001', '+49 30 23125001', text],
    written: ['+49 30 23125001', text],
  });
  assert.deepEqual(begins(' 4930*'), ['+4930', ' 4930']);
});

test('a prefix is read as far as the country’s dialling tells', () => {
  const cases: [text: string, country: string | null, begins: string[]][] = [
    ['030*', 'DE', ['+4930', '030']],
    ['030 23*', 'DE', ['+493023', '030 23']],
    ['004930*', 'DE', ['+4930', '004930']],
    ['+49 (0)30*', 'DE', ['+4930', '+49 (0)30']],
    ['4930*', 'DE', ['+4930', '4930']],
    ['10*', 'DE', ['10']],
    ['0*', 'DE', ['0']],
    ['00*', 'DE', ['00']],
    ['49*', 'DE', ['49']],
    ['06*', 'IT', ['+3906', '06']],
    ['91*', 'ES', ['+3491', '91']],
    ['202*', 'US', ['+1202', '202']],
    ['1202*', 'US', ['+1202', '1202']],
    ['01144*', 'US', ['+44', '01144']],
    ['8495*', 'RU', ['+7495', '8495']],
    ['030*', null, ['030']],
    ['0049*', null, ['+49', '0049']],
    ['anon*', 'DE', ['anon']],
  ];
  for (const [text, country, expected] of cases) assert.deepEqual(begins(text, country), expected, text);
});

test('a number begins as each beginning of it is read', () => {
  const SURE: [written: string, country: string][] = [
    ['03023125042', 'DE'],
    ['00442079460123', 'DE'],
    ['020 7946 0123', 'GB'],
    ['12025550142', 'US'],
    ['2025550142', 'US'],
    ['011442079460123', 'US'],
    ['912345678', 'ES'],
    ['0612345678', 'IT'],
    ['84951234567', 'RU'],
    ['+49 30 23125042', 'FR'],
  ];
  for (const [written, country] of SURE) {
    const { number } = reader.read(written, country);
    assert.match(number, /^\+\d+$/);
    // Shorter ones may yet become the country's way abroad.
    for (let length = 4; length <= written.length; length++) {
      const begin = reader.readBegin(written.slice(0, length), country);
      if (begin !== null) assert.ok(number.startsWith(begin), `${written.slice(0, length)} is ${begin}`);
      else assert.ok(length < 5, `${written.slice(0, length)} tells something`);
    }
  }
});

test('a prefix holds exactly the texts that begin with it, in the order of bytes', () => {
  const bytes = (text: string) => Buffer.from(text);
  const text = fc.string({ unit: 'binary', maxLength: 6 });
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', minLength: 1, maxLength: 4 }),
      text,
      text,
      (prefix, tail, other) => {
        const pattern = readNumberPattern(`${prefix.replace(/[\\*]/g, '\\$&')}*`);
        fc.pre(pattern.kind === 'prefix');
        assert.ok(pattern.kind === 'prefix');
        const found = searchFor(pattern, reader, null);
        assert.ok(found.kind === 'prefix');
        for (const { from, below } of found.written) {
          for (const candidate of [from + tail, other]) {
            const within: boolean =
              Buffer.compare(bytes(from), bytes(candidate)) <= 0 &&
              Buffer.compare(bytes(candidate), bytes(below)) < 0;
            assert.equal(within, candidate.startsWith(from), JSON.stringify([from, below, candidate]));
          }
        }
      },
    ),
  );
});
