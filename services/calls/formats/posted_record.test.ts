import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decided } from '#tests/calls.ts';
import { POSTABLE_FIELDS } from '../call_fields.ts';
import { PostedRecord } from '../contract.ts';
import { namedAccounts, parsePostedRecord, recordFromFields } from './posted_record.ts';

const WHOLE = {
  account: 'acme',
  call_id: 'call-1',
  cli: '+493023125001',
  cld: '+442079460001',
  start_time: '2026-11-21T10:00:00+01:00',
  connect_time: '2026-11-21T10:00:05.5+01:00',
  disconnect_time: '2026-11-21T09:01:05.5Z',
  duration_s: 65.5,
  billed_duration_s: '60',
  result: 'answered',
  disconnect_cause: '16',
  country: 'gb',
  description: 'London',
  cost: '0.0420',
  currency: 'eur',
  remote_ip: '192.0.2.1',
  user_agent: 'Phone/1',
  direction: 'outbound',
  attributes: { codec: 'PCMA', tries: 2, hold: false, empty: '' },
};
const NO_CODES = new Map<number, string>();

function read(fields: object, codes = NO_CODES) {
  const parsed = recordFromFields(fields, codes);
  assert.ok(parsed.kind === 'record', JSON.stringify(parsed));
  return decided(parsed.record);
}
function refusal(fields: unknown, codes = NO_CODES) {
  const parsed = recordFromFields(fields, codes);
  assert.ok(parsed.kind === 'rejected', JSON.stringify(parsed));
  return parsed.rejection;
}

test('a whole record', () => {
  const { identity: _, alsoSays: __, wholeRow: ___, ...record } = read(WHOLE);
  assert.deepEqual(record, {
    accountCode: 'acme',
    callId: 'call-1',
    cli: '+493023125001',
    cld: '+442079460001',
    direction: 'outbound',
    startTime: Date.parse('2026-11-21T09:00:00Z'),
    connectTime: Date.parse('2026-11-21T09:00:05.500Z'),
    disconnectTime: Date.parse('2026-11-21T09:01:05.500Z'),
    durationS: 65.5,
    billedDurationS: 60,
    result: 'answered',
    disconnectCause: '16',
    country: 'GB',
    description: 'London',
    cost: '0.0420',
    currency: 'EUR',
    remoteIp: '192.0.2.1',
    userAgent: 'Phone/1',
    flags: [],
    attributes: { codec: 'PCMA', tries: '2', hold: 'false' },
  });
});

test('what is left out follows from the rest, where it can be told', () => {
  const { start_time, connect_time, disconnect_time } = WHOLE;
  const answered = read({ account: 'acme', cld: '1001', start_time, connect_time, disconnect_time });
  assert.deepEqual(
    [
      answered.durationS,
      answered.billedDurationS,
      answered.result,
      answered.direction,
      answered.cli,
      answered.cost,
    ],
    [65.5, 60, 'answered', 'unknown', '', null],
  );
  const busy = read({ account: 'acme', cld: '1001', start_time, duration_s: 3, disconnect_cause: '17' });
  assert.deepEqual([busy.result, busy.billedDurationS, busy.disconnectTime], ['busy', 0, null]);
  assert.deepEqual(read({ ...WHOLE, billed_duration_s: 70 }).flags, ['billed_longer_than_duration']);
});

test('each fault is named with its field', () => {
  const cases: [change: object, code: string, field: string | undefined, words: RegExp][] = [
    [{ start_time: undefined }, 'missing_field', 'start_time', /start/],
    [{ start_time: '2026-11-21T10:00:00' }, 'bad_time', 'start_time', /needs its zone/],
    [{ start_time: 1_763_719_200 }, 'bad_time', 'start_time', /RFC 3339/],
    [{ connect_time: 'soon' }, 'bad_time', 'connect_time', /connect_time/],
    [{ start_time: '1960-01-01T00:00:00Z' }, 'bad_time', 'start_time', /1970/],
    [{ duration_s: -1 }, 'bad_number', 'duration_s', /seconds/],
    [{ duration_s: 'long' }, 'bad_number', 'duration_s', /seconds/],
    [
      { duration_s: undefined, disconnect_time: undefined },
      'missing_field',
      'duration_s',
      /length of the call is missing/,
    ],
    [{ result: ['answered'] }, 'bad_value', 'result', /a text in quotes/],
    [{ direction: 1 }, 'bad_value', 'direction', /a text in quotes/],
    [{ cost: 'free' }, 'bad_number', 'cost', /decimal/],
    [{ cost: {} }, 'bad_number', 'cost', /decimal/],
    [{ cli: 493023125001 }, 'bad_value', 'cli', /text in quotes/],
    [{ cli: undefined, cld: '' }, 'missing_field', 'cld', /numbers of the call are missing/],
    [{ call_id: 'x'.repeat(256) }, 'bad_value', 'call_id', /256 characters/],
    [{ colour: 'red' }, 'bad_value', 'colour', /there is no field "colour".*call_id/],
    [{ attributes: { a: [1] } }, 'bad_value', 'attributes', /attributes\.a/],
    [{ attributes: [] }, 'bad_value', 'attributes', /object/],
    [{ i_account: 1.5 }, 'bad_value', 'i_account', /whole number/],
    [{ i_account: 99, account: undefined }, 'unknown_account', 'i_account', /no account 99/],
    [{ start_time: '1'.repeat(70_000) }, 'bad_value', 'start_time', /at most 100/],
    [{ cost: '1'.repeat(70_000) }, 'bad_value', 'cost', /at most 100/],
  ];
  for (const [change, code, field, words] of cases) {
    const rejection = refusal({ ...WHOLE, ...change });
    assert.deepEqual([rejection.code, rejection.field], [code, field], JSON.stringify(change).slice(0, 100));
    assert.match(rejection.reason, words);
  }
  for (const value of [null, 1, 'text', [], true]) assert.equal(refusal(value).code, 'unreadable_row');
});

test('an account by its number is the one by its code', () => {
  const codes = new Map([[7, 'acme']]);
  const { account: _, ...rest } = WHOLE;
  assert.deepEqual(read({ ...rest, i_account: 7 }, codes), read(WHOLE));
  assert.equal(read({ ...WHOLE, i_account: 7 }, codes).accountCode, 'acme');
  assert.equal(refusal({ ...WHOLE, account: 'other', i_account: 7 }, codes).field, 'i_account');
  assert.deepEqual(namedAccounts([{ i_account: 7 }, null, { i_account: 'x' }, { i_account: 7 }, 3]), [7]);
});

test('a record is recognised by its key, else by all that it says, in whatever order', () => {
  const identity = (fields: object) => read(fields).identity;
  const turned = Object.fromEntries(Object.entries(WHOLE).reverse());
  assert.equal(identity(turned), identity(WHOLE));
  assert.equal(identity({ ...WHOLE, source_key: null }), identity(WHOLE));
  assert.notEqual(identity({ ...WHOLE, cost: '0.0421' }), identity(WHOLE));
  assert.notEqual(identity({ ...WHOLE, attributes: { codec: 'G722' } }), identity(WHOLE));
  assert.equal(identity({ ...WHOLE, source_key: 'k', cost: '1' }), identity({ ...WHOLE, source_key: 'k' }));
  assert.notEqual(identity({ ...WHOLE, source_key: 'k' }), identity({ ...WHOLE, source_key: 'l' }));
});

test('a cost as a number is a decimal', () => {
  for (const [cost, decimal] of [
    [0.042, '0.042'],
    [1e-7, '0.0000001'],
    [-1.25e-7, '-0.000000125'],
    // These two are refused where records are normalized: too many digits.
    [1e-13, '0.0000000000001'],
    [1e300, '1e+300'],
    [-3, '-3'],
    [0, '0'],
  ] as const) {
    assert.equal(read({ ...WHOLE, cost }).cost, decimal);
  }
});

test('no value makes it throw, and what it takes as JSON it takes as bytes', () => {
  const anyField = fc.constantFrom(...POSTABLE_FIELDS, 'other', '__proto__');
  const changes = fc.array(fc.tuple(anyField, fc.jsonValue()), { maxLength: 4 });
  fc.assert(
    fc.property(changes, (drawn) => {
      const fields = { ...WHOLE, ...Object.fromEntries(drawn) };
      assert.deepEqual(
        parsePostedRecord(Buffer.from(JSON.stringify(fields))),
        recordFromFields(fields, NO_CODES),
      );
    }),
    { numRuns: 2_000 },
  );
  fc.assert(fc.property(fc.jsonValue(), (value) => recordFromFields(value, NO_CODES).kind !== undefined));
  assert.equal(parsePostedRecord(Buffer.from('{')).kind, 'rejected');
});

test('the document of the API knows every field that can be posted', () => {
  assert.deepEqual(Object.keys(PostedRecord.properties).sort(), [...POSTABLE_FIELDS].sort());
});
