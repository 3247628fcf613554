/** What a post answers speaks of what its sender can do: of query parameters and fields, not of commands. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testApi } from '#tests/calls_api.ts';
import { PostedRecord } from '../../contract.ts';
import { readStamp } from '../../time/stamp_text.ts';
import { adviceForPost } from './advice.ts';

const api = await testApi();
const key = await api.key('ingest');
await api.account('acme');

const GOOD = {
  account: 'acme',
  call_id: 'advice-1',
  cli: '+493023125001',
  cld: '+442079460001',
  start_time: '2026-03-02T09:04:54Z',
  duration_s: 60,
  cost: '0.10',
  currency: 'EUR',
};

/** Values that some field takes and others don't. */
const VALUES: readonly unknown[] = [
  '',
  'x',
  '1:05',
  '1,5',
  '1.234,5',
  '-3',
  -3,
  1.5,
  '1e99',
  '4.93023E+11',
  '3/2/2026 9:04:54 PM',
  '2026-03-02 09:04:54',
  '2026-03-02 09:04:54 CET',
  '46083.5',
  'ACME',
  'acme\u202e',
  'nobody',
  'inf',
  null,
  true,
  [],
  {},
  '\u0000',
  '\ud800',
  'a\u0000b',
  { '\u0000': '\udfff' },
  1e300,
  '€ 1,5',
  '9'.repeat(50),
];

const COMMAND = /(?:^|[\s(,;])--?[a-z][a-z-]+|trunkline/;

test('no record, whatever it holds, makes a post fail: each gets its own answer, which speaks of no command', async () => {
  const records = Object.keys(PostedRecord.properties).flatMap((field) =>
    VALUES.map((value, at) => ({ ...GOOD, call_id: `advice-${field}-${at}`, [field]: value })),
  );
  const conflict = { ...GOOD, cost: '0.20' };
  const answer = await api.post([...records, GOOD, conflict], key);
  assert.equal(answer.status, 200);
  const outcomes = answer.body.data as { error?: string; code?: string }[];
  const codes = new Set(outcomes.flatMap(({ code }) => code ?? []));
  for (const code of ['unknown_account', 'conflict', 'bad_value'])
    assert.ok(codes.has(code), `${code} of ${[...codes]}`);
  const speaking = outcomes.flatMap(({ error }) =>
    error !== undefined && COMMAND.test(error) ? [error] : [],
  );
  assert.deepEqual([...new Set(speaking)], []);
});

test('each parameter that a post is advised to use is one that it takes', async () => {
  const advised = await api.post(
    [{ ...GOOD, account: 'nobody' }, { ...GOOD, cost: '-3', call_id: 'x' }, GOOD, { ...GOOD, cost: '0.3' }],
    key,
  );
  const errors: string[] = advised.body.data.map(({ error = '' }) => error);
  const parameters = errors.flatMap((error) => error.match(/\?[a-z_]+=[a-z-]+/g) ?? []);
  assert.deepEqual(
    new Set(parameters),
    new Set(['?create_accounts=true', '?credits=true', '?on_conflict=replace', '?call_ids=reused']),
  );
  for (const parameter of parameters)
    assert.equal((await api.post([GOOD], key, `/cdrs${parameter}`)).status, 200, parameter);
});

test('a date in an unknown order: the answer says what a record can do, and names no command', () => {
  const stamp = readStamp('28.11.2026 10:00', undefined);
  assert.ok(stamp.kind === 'bad');
  assert.equal(
    adviceForPost(stamp.reason),
    '"28.11.2026 10:00" has its day, month and year in an unknown order; write it in RFC 3339 with its zone',
  );
});

test('what a record says of itself is quoted as it is', () => {
  const reason = 'cli is "a; --credits \\" b"; save it with --map x=y; or with --credits';
  assert.equal(adviceForPost(reason), 'cli is "a; --credits \\" b"; or with ?credits=true');
});
