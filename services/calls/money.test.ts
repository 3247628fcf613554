/** What a call cost: to the last digit, none, not rated, a credit; by every way in, and in the sums. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testApi } from '#tests/calls_api.ts';
import { assertUsageIsExact } from '#tests/usage.ts';
import { importWritten, type WrittenFile } from '#tests/written_calls.ts';
import { parseMapping } from './formats/mapping.ts';
import { retryRejected } from './intake/retry.ts';

const api = await testApi();
const { pool } = api.database;
const operator = await api.key('operator');

let number = 0;
/** A carrier's file with a call for each cost as it is written. */
function priced(account: string, costs: readonly string[]): WrittenFile {
  const rows = costs.map((cost) => {
    number++;
    const second = String(number % 60).padStart(2, '0');
    return `${account},id-${number},2026-03-02 09:00:${second},60,1001,+442079460001,"${cost}"`;
  });
  const mapping = parseMapping(
    ['A=account', 'I=call_id', 'S=start_time', 'D=duration_s', 'F=cli', 'T=cld', 'P=cost'],
    'carrier',
  );
  return { format: 'mapped', text: `A,I,S,D,F,T,P\n${rows.join('\n')}\n`, read: { mapping } };
}

async function stored(account: string): Promise<{ cost: string | null; flags: string[] }[]> {
  const { rows } = await pool.query(
    `SELECT cost::text AS cost, coalesce(flags, '{}') AS flags FROM calls.cdrs JOIN calls.accounts USING (i_account)
     WHERE code = $1 ORDER BY split_part(call_id, '-', 2)::int`,
    [account],
  );
  return rows.map(({ cost, flags }) => ({
    cost,
    flags: flags.filter((flag: string) => flag === 'not_rated'),
  }));
}
const costsOf = async (account: string) => (await stored(account)).map(({ cost }) => cost);

async function total(account: string): Promise<unknown> {
  const { rows } = await pool.query('SELECT i_account FROM calls.accounts WHERE code = $1', [account]);
  const query = `i_account=${rows[0].i_account}&granularity=total&from=2026-01-01&to=2027-01-01`;
  return (await api.get(`/consumption?${query}`, operator)).body.totals.cost;
}

async function post(account: string, costs: readonly string[], query = ''): Promise<string[]> {
  const records = costs.map((cost) => {
    number++;
    return `{"account": "${account}", "call_id": "p-${number}", "cld": "1001", "start_time": "2026-03-02T09:00:00Z", "duration_s": 60, "cost": ${cost}}`;
  });
  const headers = { authorization: `Bearer ${operator}`, 'content-type': 'application/json' };
  const answer = await api.send(
    'POST',
    `/cdrs?create_accounts=true${query}`,
    headers,
    `[${records.join(',')}]`,
  );
  assert.equal(answer.status, 200, answer.text);
  return answer.body.data.map(
    (outcome: { status: string; error?: string }) => outcome.error ?? outcome.status,
  );
}

test('costs and their sum are exact, however they are written', async () => {
  const costs = ['0.033333333333333333', '1.2E-05', '1e-40', '12345678901234567890.5', '\u22120.0', '0,1'];
  await importWritten(pool, priced('exact', costs.slice(0, 5)), 'exact.csv');
  const plain = ['0.033333333333333333', '0.000012', `0.${'0'.repeat(39)}1`, '12345678901234567890.5', '0.0'];
  assert.deepEqual(await costsOf('exact'), plain);
  assert.deepEqual(await total('exact'), [
    { currency: 'EUR', amount: '12345678901234567890.5333453333333333330000000000000000000001' },
  ]);
  assert.deepEqual(
    await post('exact-post', ['0.033333333333333333', '1e-05', '"1.2E-05"', '12345678901234567890.5']),
    Array(4).fill('stored'),
  );
  assert.deepEqual(await costsOf('exact-post'), [
    '0.033333333333333333',
    '0.00001',
    '0.000012',
    '12345678901234567890.5',
  ]);
  await assertUsageIsExact(pool);
});

test('a cost beyond forty digits is set aside, in a file and in a post', async () => {
  const long = `0.${'1'.repeat(41)}`;
  const { reasons } = await importWritten(pool, priced('long', [long, '1e41']), 'long.csv');
  assert.deepEqual([...reasons.values()], [2]);
  for (const error of await post('long', [`"${long}"`, long, '1e41'])) {
    assert.match(
      error,
      /^cost is .*; it must be a decimal of at most 40 digits, with an exponent from -40 to 40/,
    );
  }
});

const MINUS_ONES = ['-1', '-1.0000', '-1E0', '\u22121', '-10e-1', '-01.', '(1.00)'];

test('exactly -1 in any writing says that the call was not rated; any other cost below nought is set aside and says what credit notes need', async () => {
  const file = priced('unrated', [...MINUS_ONES, '0.1', '-0.9', '-1.0001', '-11', '-0.00']);
  const counts = await importWritten(pool, file, 'unrated.csv');
  assert.deepEqual([counts.stored, counts.rejected], [MINUS_ONES.length + 2, 3]);
  const unrated = { cost: null, flags: ['not_rated'] };
  assert.deepEqual(await stored('unrated'), [
    ...MINUS_ONES.map(() => unrated),
    { cost: '0.1', flags: [] },
    { cost: '0.00', flags: [] },
  ]);
  assert.deepEqual(await total('unrated'), [{ currency: 'EUR', amount: '0.1' }]);
  const { rows } = await pool.query(
    `SELECT DISTINCT field, reason FROM calls.rejected_cdrs WHERE file = 'unrated.csv' ORDER BY 2`,
  );
  assert.equal(rows.length, 3);
  for (const { field, reason } of rows) {
    assert.equal(field, 'cost');
    assert.match(reason, /^cost is -.*; it must be 0 or more; credit notes are taken in with --credits/);
  }
  const answers = await post('unrated-post', ['-1', '"-1.0000"', '-1e0', '"\u22121"', '-0.9']);
  assert.deepEqual(answers.slice(0, 4), Array(4).fill('stored'));
  assert.match(answers[4]!, /\?credits=true/);
  assert.deepEqual(await stored('unrated-post'), Array(4).fill(unrated));
  await assertUsageIsExact(pool);
});

test('in a file of credit notes a cost below nought is money, -1 as well; a retry remembers it, or is told', async () => {
  const credits = { read: { timeZone: 'UTC', credits: true } };
  await importWritten(pool, priced('credit', ['-1', '-0.9', '2.5']), 'credit.csv', credits);
  assert.deepEqual(
    await stored('credit'),
    ['-1', '-0.9', '2.5'].map((cost) => ({ cost, flags: [] })),
  );
  assert.deepEqual(await total('credit'), [{ currency: 'EUR', amount: '0.6' }]);

  const retry = (file: string, read: { credits?: true } = {}) =>
    retryRejected(
      pool,
      { filter: { file }, newAccounts: { currency: 'EUR', timeZone: 'UTC', country: null }, read },
      () => undefined,
    );
  await importWritten(pool, priced('credit-later', ['-1', '-0.9']), 'later.csv', {
    ...credits,
    newAccounts: null,
  });
  assert.equal((await retry('later.csv')).stored, 2);
  assert.deepEqual(await costsOf('credit-later'), ['-1', '-0.9']);
  await importWritten(pool, priced('credit-told', ['-0.9']), 'told.csv');
  assert.equal((await retry('told.csv')).stored, 0);
  assert.equal((await retry('told.csv', { credits: true })).stored, 1);

  assert.deepEqual(await post('credit-post', ['-1', '-0.9'], '&credits=true'), ['stored', 'stored']);
  assert.deepEqual(await costsOf('credit-post'), ['-1', '-0.9']);
  assert.match(
    (await post('credit-post', ['-0.9']))[0]!,
    /\?credits=true/,
    'the next post is none of credits',
  );
  await assertUsageIsExact(pool);
});
