import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createNumberReader, directionOf } from './numbers.ts';

// Numbers for fiction: Ofcom's drama ranges (020 7946 0xxx, 01632 960xxx, 07700 900xxx), NANP 555-01xx,
// Bundesnetzagentur's (030 23125 xxx, 0152 28817 xxx).
const reader = createNumberReader();

function read(written: string, country: string | null): string {
  const { number, country: found } = reader.read(written, country);
  return found === null ? number : `${number} ${found}`;
}

describe('certain numbers become E.164', () => {
  const certain: [written: string, country: string | null, stored: string][] = [
    // with a plus, whatever the account's country
    ['+493023125042', 'DE', '+493023125042 DE'],
    ['+493023125042', null, '+493023125042 DE'],
    ['+493023125042', 'US', '+493023125042 DE'],
    ['+442079460123', 'DE', '+442079460123 GB'],
    ['+44 (0)20 7946 0123', 'DE', '+442079460123 GB'],
    ['+1-202-555-0142', 'GB', '+12025550142 US'],
    ['tel:+493023125042', 'DE', '+493023125042 DE'],
    ['+80012345678', 'DE', '+80012345678'],
    // a range that the metadata does not know; +44 is shared with Jersey, Guernsey and Man
    ['+447700900123', 'GB', '+447700900123'],
    ['+15550123456', 'US', '+15550123456'],
    // with the international prefix of the country
    ['00442079460123', 'DE', '+442079460123 GB'],
    ['00442079460123', null, '+442079460123 GB'],
    ['00493023125042', 'DE', '+493023125042 DE'],
    ['011442079460123', 'US', '+442079460123 GB'],
    ['0011442079460123', 'AU', '+442079460123 GB'],
    ['010442079460123', 'JP', '+442079460123 GB'],
    ['00441632960123', 'DE', '+441632960123'],
    // as the country writes its own
    ['03023125042', 'DE', '+493023125042 DE'],
    ['030/23125-042', 'DE', '+493023125042 DE'],
    ['015228817386', 'DE', '+4915228817386 DE'],
    ['020 7946 0123', 'GB', '+442079460123 GB'],
    ['(202) 555-0142', 'US', '+12025550142 US'],
    ['2025550142', 'US', '+12025550142 US'],
    ['12025550142', 'US', '+12025550142 US'],
    ['12025550142', 'CA', '+12025550142 US'],
    ['912345678', 'ES', '+34912345678 ES'],
    ['0612345678', 'IT', '+390612345678 IT'],
    ['84951234567', 'RU', '+74951234567 RU'],
    ['13012345678', 'CN', '+8613012345678 CN'],
    ['2079460123', 'GB', '+442079460123 GB'],
    // bare international digits
    ['4930123456', 'DE', '+4930123456 DE'],
    ['493023125042', 'DE', '+493023125042 DE'],
    ['49211234567', 'DE', '+49211234567 DE'],
    ['442079460123', 'ES', '+442079460123 GB'],
    ['442079460123', 'FR', '+442079460123 GB'],
    ['493023125042', 'US', '+493023125042 DE'],
    ['12025550142', 'DE', '+12025550142 US'],
    ['393331234567', 'IT', '+393331234567 IT'],
  ];
  for (const [written, country, stored] of certain) {
    test(`${written} for ${country ?? 'no country'}`, () => assert.equal(read(written, country), stored));
  }
});

describe('all else survives as written', () => {
  const kept: [written: string, country: string | null][] = [
    ...['100', '1001', '4711', '20012', '123456', '0', '112', '911', '116117', '110'].map(
      (n): [string, string] => [n, 'DE'],
    ),
    ...['1001', '911', '411', '5550142'].map((n): [string, string] => [n, 'US']),
    ...['*97', '*43#', '**21*03023125042#', '*6712025550142', '#31#'].map((n): [string, string] => [n, 'DE']),
    ['anonymous', 'DE'],
    ['Anonymous', null],
    ['Restricted', 'US'],
    ['unknown', 'GB'],
    ['Unavailable', 'GB'],
    ['asterisk', 'DE'],
    ['alice', 'DE'],
    ['sip:alice@example.com', 'DE'],
    ['s', 'DE'],
    ['h', 'DE'],
    ['192.168.1.100', 'US'],
    ['1-800-FLOWERS', 'US'],
    // a subscriber's number without its area
    ['23125042', 'DE'],
    ['79460123', 'GB'],
    // two readings
    ['4951234567', 'RU'],
    ['442079460123', 'DE'],
    // nobody's
    ['+', 'DE'],
    ['+0123456789', 'DE'],
    ['+999123456789', 'DE'],
    ['+4912', 'DE'],
    ['0000000000', 'DE'],
    ['999999999999', 'DE'],
    ['12345678901234567890123', 'DE'],
    // without a country
    ['03023125042', null],
    ['4930123456', null],
    ['2025550142', null],
    ['13012345678', null],
    ['03023125042', 'XX'],
    ['03023125042', 'de'],
  ];
  for (const [written, country] of kept) {
    test(`${JSON.stringify(written)} for ${country ?? 'no country'}`, () =>
      assert.equal(read(written, country), written));
  }

  test('blanks are an empty number', () => {
    for (const blank of ['', ' ', '\t'])
      assert.deepEqual(reader.read(blank, 'DE'), { number: '', country: null });
  });
});

describe('hostile input', () => {
  test('long texts are cut to what an index holds, quickly, and never throw', () => {
    for (const part of ['1', '+', '(', '0 ', 'a', '\u{1F4DE}', '+49 30 ', '%', '\0', '-']) {
      for (const country of ['DE', null]) {
        const { number, country: found } = reader.read(part.repeat(10_000), country);
        assert.ok(number.length <= 128 && number.isWellFormed(), part);
        assert.equal(found, null);
      }
    }
  });

  test('any text and any country give a bounded number, the same each time', () => {
    const countries = fc.constantFrom(
      'DE',
      'US',
      'GB',
      'IT',
      'RU',
      'BR',
      'LU',
      null,
      'XX',
      '',
      '__proto__',
      'constructor',
    );
    const texts = fc.oneof(fc.string({ maxLength: 300 }), fc.stringMatching(/^[+0-9 ()./*#-]{0,40}$/));
    fc.assert(
      fc.property(texts, countries, (text, country) => {
        const once = reader.read(text, country);
        assert.ok(once.number.length <= 128);
        assert.ok(once.country === null || (once.number.startsWith('+') && /^[A-Z]{2}$/.test(once.country)));
        assert.deepEqual(createNumberReader().read(text, country), once);
      }),
      { numRuns: 2000 },
    );
  });

  test('a stored number is read as itself', () => {
    const written = fc.stringMatching(/^(\+|00|0)?[1-9][0-9]{6,13}$/);
    fc.assert(
      fc.property(
        written,
        fc.constantFrom('DE', 'US', 'GB', 'IT', 'RU', 'CN', 'LU', null),
        (text, country) => {
          const first = reader.read(text, country);
          assert.deepEqual(reader.read(first.number, country), first);
        },
      ),
      { numRuns: 3000 },
    );
  });

  test('more numbers than the cache holds are read the same', () => {
    const small = createNumberReader();
    for (let i = 0; i < 120_000; i++) small.read(`ext-${i}`, 'DE');
    assert.deepEqual(small.read('03023125042', 'DE'), { number: '+493023125042', country: 'DE' });
    assert.deepEqual(small.read('ext-1', 'DE'), { number: 'ext-1', country: null });
  });
});

test('the way of a call', () => {
  const ways: [cli: string, cld: string, direction: string][] = [
    ['1001', '+493023125042', 'outbound'],
    ['+493023125042', '1001', 'inbound'],
    ['1001', '1002', 'internal'],
    ['1001', '*97', 'internal'],
    ['+493023125042', '+442079460123', 'outbound'],
    ['1001', '112', 'outbound'],
    ['1001', '911', 'outbound'],
    ['+493023125042', '112', 'outbound'],
    ['+493023125042', '116117', 'outbound'],
    ['+493023125042', '116118', 'outbound'],
    ['1001', '110', 'internal'],
    ['anonymous', '+493023125042', 'unknown'],
    ['', '1001', 'inbound'],
    ['anonymous', '1001', 'inbound'],
    ['Anonymous', '*97', 'inbound'],
    ['Restricted', '1001', 'inbound'],
    ['<unknown>', '1001', 'inbound'],
    ['anonymous', 's', 'unknown'],
    ['1001', '', 'unknown'],
    ['alice', '1001', 'unknown'],
    ['1001', '*6712025550142', 'unknown'],
    ['1001', '23125042', 'unknown'],
    ['sip:+493023125042@example.com', '1001', 'unknown'],
  ];
  for (const [cli, cld, direction] of ways)
    assert.equal(directionOf(cli, cld), direction, `${cli} to ${cld}`);
});
