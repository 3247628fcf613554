import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { maskCall, maskDigits } from './masking.ts';

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
    description: 'call to 02* **** **23',
    user_agent: 'Phone/2.1 (+49*********17)',
    disconnect_cause: '16',
    source_key: null,
    attributes: { clid: '"Alice" <+49********01>', channel: 'SIP/+44**********-*****01', codec: 'PCMA' },
  });
});

test("a call id is masked when it holds one of the call's numbers, however it is written", () => {
  const masked = maskCall({ cli: '+493023125001', cld: '+442079460123', call_id: '02079460123@10.0.0.1' });
  assert.equal(masked.call_id, '02*******23@10.0.0.1');
});

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
      const masked = maskDigits(`${before}${written}${after}`);
      const part = masked.slice(before.length, before.length + written.length);
      assert.ok((part.match(/\*/g) ?? []).length >= 4, `${before}${written}${after} gave ${masked}`);
    }),
    { numRuns: 3_000 },
  );
});

test('extensions stay', () => {
  assert.equal(maskCall({ cli: '1001', cld: '+442079460123' }).cli, '1001');
  assert.equal(maskDigits('ext 1001, room 42'), 'ext 1001, room 42');
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
