import assert from 'node:assert/strict';
import { isIPv4 } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { callsThatDifferInAMaskedDigit } from '#tests/masked_calls.ts';
import { createNumberReader } from '../../numbers.ts';
import { type Maskable, maskCall } from './masking.ts';

const shownText = (description: string) => maskCall({ description }).description;

test('numbers are starred wherever a call shows them', () => {
  const masked = maskCall({
    cli: '+493023125001',
    cld: '+442079460123',
    cli_in: '03023125001',
    cld_in: null,
    call_id: 'a3f-1772440633.101',
    description: 'call to 020 7946 0123',
    user_agent: 'Phone/2.1 (+4930231250017)',
    disconnect_cause: '16',
    source_key: 'hash',
    attributes: { clid: '"Alice" <+493023125001>', channel: 'SIP/+442079460123-0000001', codec: 'PCMA' },
  });
  assert.deepEqual(masked, {
    cli: '+493023****01',
    cld: '+442079****23',
    cli_in: '03023****01',
    cld_in: null,
    call_id: 'a3f-1772440633.101',
    description: 'call to *** **** ****',
    user_agent: 'Phone/2.1 (+49***********)',
    disconnect_cause: '16',
    source_key: null,
    attributes: { channel: 'SIP/+44**********-*******', clid: '"Alice" <+49**********>', codec: 'PCMA' },
  });
});

test("a call id is masked when it holds one of the call's numbers, however it is written", () => {
  const masked = maskCall({ cli: '+493023125001', cld: '+442079460123', call_id: '02079460123@10.0.0.1' });
  assert.equal(masked.call_id, '***********@**.*.*.*');
});

/** Digits and separators drawn at random may be an IPv4 address, Asterisk's uniqueid or a date, which stay. */
const isSomethingElse = (written: string): boolean =>
  isIPv4(written) || /^1\d{9}\.\d{1,9}$/.test(written) || /^(?:19|20)\d\d-\d\d-\d\d/.test(written);

test('of a number in a text, however it is written, at least four digits are hidden', () => {
  const separator = fc.constantFrom('', '', '', ' ', '-', '.', '/', ' (', ') ');
  const number = fc.array(fc.tuple(fc.constantFrom(...'123456789'), separator), {
    minLength: 8,
    maxLength: 15,
  });
  const around = fc.constantFrom(
    '',
    'SIP/',
    '<',
    ' at ',
    'tel:+',
    '%2B',
    '-0000001',
    ';x=7',
    ' 12:30',
    '@10.0.0.1',
  );
  fc.assert(
    fc.property(number, around, around, (digits, before, after) => {
      const written = digits
        .map(([digit, gap], at) => digit + (at === digits.length - 1 ? '' : gap))
        .join('');
      fc.pre(!isSomethingElse(written));
      const masked = shownText(`${before}${written}${after}`);
      const part = masked.slice(before.length, before.length + written.length);
      assert.ok((part.match(/\*/g) ?? []).length >= 4, `${before}${written}${after} gave ${masked}`);
    }),
    { numRuns: 3_000 },
  );
});

test('extensions stay', () => {
  assert.equal(maskCall({ cli: '1001', cld: '+442079460123' }).cli, '1001');
  assert.equal(shownText('ext 1001, room 42'), 'ext 1001, room 42');
});

test('no number is left whole in attributes of any kind', () => {
  const number = '493023125001';
  const attributes = {
    a: `tel:${number}`,
    b: `%2B${number}`,
    c: { nested: [number] },
    d: Number(number),
    e: `${number};phone-context=x`,
    f: '49 30 23125001',
    g: '(+49) 30-2312-5001',
  };
  const shown = JSON.stringify(maskCall({ attributes }));
  assert.ok(!shown.replace(/[ ()-]/g, '').includes('23125001'), shown);
});

test('an address is masked where its number stands', () => {
  for (const [address, shown] of [
    ['+4930123456', '+4930****56'],
    ['sip:+493023125001@sip.example.com', 'sip:+493023****01@sip.example.com'],
    ['sip:493023125001@10.0.0.1:5060', 'sip:493023****01@10.0.0.1:5060'],
    ['tel:+493023125001;phone-context=+4930', 'tel:+493023****01;phone-context=+4930'],
    ['493023125001;npdi;rn=4917012345', '493023****01;npdi;rn=4917****45'],
    // The stars must not depend on hidden digits, which might be those that stand before the end of the other number.
    ['00493023125001 ext. 12345', '00493023****** ext. ***45'],
    ['"Bob" <+493023125001>', '"Bob" <+493023****01>'],
    ['sip:alice@example.com', 'sip:alice@example.com'],
    ['1001', '1001'],
  ] as const) {
    assert.equal(maskCall({ cli: address }).cli, shown);
  }
});

test('no field of a call shows a number, in whatever writing', () => {
  const writings = [
    '+49\u00a030\u00a02312\u00a05001',
    '4930,2312,5001',
    '49 30 \u2013 2312 \u2013 5001',
    '49_3023_1250_01',
    '\uff14\uff19\uff13\uff10\uff12\uff13\uff11\uff12\uff15\uff10\uff10\uff11',
    '\u0664\u0669\u0663\u0660\u0662\u0663\u0661\u0662\u0665\u0660\u0660\u0661',
    '49\u200b3023\u200b125001',
    'sip:+493023125001@x',
  ];
  for (const number of writings) {
    const masked = maskCall({
      cli: number,
      cld: number,
      cli_in: number,
      cld_in: number,
      description: number,
      user_agent: number,
      disconnect_cause: number,
      remote_ip: number,
      source: number,
      file: number,
      attributes: { [number]: number },
    });
    const texts = [...Object.values(masked), ...Object.entries(masked.attributes!).flat()];
    for (const text of texts.filter((value) => typeof value === 'string')) {
      assert.ok((text.match(/\*/g) ?? []).length >= 4, text);
    }
  }
  assert.equal(maskCall({ remote_ip: '192.168.100.200' }).remote_ip, '192.168.100.200');
  assert.equal(maskCall({ remote_ip: '2001:db8::1234' }).remote_ip, '2001:db8::1234');
});

test("a call's own number is hidden in other signs, escaped, glued to words and by its end alone", () => {
  const call = { cli: '+493023125001', cld: '+442079460123' };
  for (const [text, shown] of [
    ['³⁰²³¹²⁵⁰⁰¹', '**********'],
    ['⑤⓪⓪① and ➎⓿⓿➊', '**⓪① and **⓿➊'],
    ['%35%30%30%31', '**%30%31'],
    ['%2535%2530%2530%2531', '**%2530%2531'],
    ['&#53;&#x30;&#48;&#49;', '**&#48;&#49;'],
    ['\\u0035\\u0030\\u0030\\u0031', '**\\u0030\\u0031'],
    ['foo-5001', 'foo-**01'],
    ['_5001_', '_**01_'],
    ['ext25001', 'ext*****'],
    ['=35=30=30=31', '*'],
    [Buffer.from('{"orig":{"tn":"493023125001"}}').toString('base64url'), '*'],
    ['4x9x3x0x2x3x1x2x5x0x0x1', '*x*x*x*x*x*x*x*x*x*x*x*'],
    // Of something else.
    [
      '10.0.0.101 at 12:45:01, 5ef8732a3c4901a3481addd5ce1659',
      '10.0.0.101 at 12:45:01, 5ef8732a3c4901a3481addd5ce1659',
    ],
    ['foo-5002', 'foo-5002'],
  ] as const)
    assert.equal(maskCall({ ...call, description: text }).description, shown, text);
});

test("an id is hidden that holds the end of one of its call's numbers, and no other", () => {
  const call = { cli: '+493023125001', cld: '+442079460123' };
  for (const id of [
    'foo-5001',
    '_25001_',
    'a.5001.b',
    '⁵⁰⁰¹',
    '%35%30%30%31',
    '&#53;&#48;&#48;&#49;',
    'x-001@pbx',
    '0 0 1  16',
    '7 5001 2',
    '1-50-01-16',
    'U+0968 U+0966 U+0966 U+0967  16',
  ])
    assert.equal(maskCall({ ...call, call_id: id }).call_id?.match(/[0-9\u2070-\u2079]{2}/), null, id);
  for (const id of [
    'foo-5002',
    '1772440633.101',
    '5ef8732a3c49701a34481addd5ce1659@10.0.0.1:5060',
    'web1-77',
  ])
    assert.equal(maskCall({ ...call, call_id: id }).call_id, id);
});

test("an id is hidden that holds the end of its call's number, whatever stands behind that", () => {
  for (const cli of [
    'sip:03023125001@10.0.0.1:5060',
    '03023125001;ext=12',
    '030 23125001 ext. 12',
    '03023125001',
  ])
    assert.equal(maskCall({ cli, cld: '1001', call_id: 'x-5001' }).call_id, 'x-****', cli);
});

test('of two calls that differ in a masked digit, the same is shown', () => {
  const numbers = createNumberReader();
  const country = fc.constantFrom(null, 'DE', 'GB', 'US');
  fc.assert(
    fc.property(callsThatDifferInAMaskedDigit, country, (calls, country) => {
      const [one, other] = calls.map(({ record, source }) => {
        const { call_id: id, linked_id: linked, ...rest } = record;
        const normalized = {
          cli: numbers.read(record.cli, country).number,
          cld: numbers.read(record.cld, country).number,
          cli_in: record.cli,
          cld_in: record.cld,
        };
        const ids = { ...(id !== null && { call_id: id }), ...(linked !== null && { linked_id: linked }) };
        return JSON.stringify(maskCall({ ...rest, ...ids, ...normalized, source } as Maskable));
      });
      assert.equal(one, other);
    }),
    { numRuns: 2_000, endOnFailure: true },
  );
});
