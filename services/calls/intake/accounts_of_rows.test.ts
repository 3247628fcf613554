/** Whose rows are: codes as they are written, tidied, of none, and of accounts that were made before codes were tidied. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withSession } from '#platform/database/pool.ts';
import { NONE_WORDS } from '#tests/none_words.ts';
import { testDatabase } from '#tests/postgres.ts';
import { carrierFile, importWritten, type WrittenCall } from '#tests/written_calls.ts';
import { tidyCode } from '../account_codes.ts';
import { accountWithCode, createAccount } from '../accounts/accounts.ts';
import type { ImportOptions } from './import_file.ts';
import { retryRejected } from './retry.ts';

const { pool } = await testDatabase();
const BY = { id: 'terminal:test', name: 'test' };
const NEW = { currency: 'EUR', timeZone: 'UTC', country: null };

async function addAccount(code: string): Promise<void> {
  await pool.query(
    `INSERT INTO calls.accounts (code, name, currency, time_zone) VALUES ($1, $1, 'EUR', 'UTC')`,
    [code],
  );
}

let number = 0;
const callOf = (account: string): WrittenCall => {
  number++;
  const told = { answerAfter: 5, endAfter: 65, duration: 65, billed: 60, word: 'ANSWERED' };
  return { account, id: `c-${number}`, start: 1_772_442_000 + number * 60, ...told };
};

/** Imports a call for each text; gives the codes of the accounts that have them, null for what was set aside. */
async function accountsOf(texts: readonly string[], options: Partial<ImportOptions> = {}) {
  const calls = texts.map((text) => callOf(`"${text}"`));
  const counts = await importWritten(pool, carrierFile(calls), `accounts-${number}.csv`, options);
  const { rows } = await pool.query(
    'SELECT call_id, code FROM calls.cdrs JOIN calls.accounts USING (i_account) WHERE call_id = ANY($1)',
    [calls.map((call) => call.id)],
  );
  const codes = new Map(rows.map((row) => [row.call_id, row.code]));
  return { codes: calls.map((call) => codes.get(call.id) ?? null), counts };
}

test('blanks around a code, and letters in two parts, make no further account', async () => {
  const texts = ['caf\u00e9', ' caf\u00e9', 'caf\u00e9\u00a0', '\u200bcafe\u0301', '\ufeffcaf\u00e9\u2060 '];
  const { codes, counts } = await accountsOf(texts);
  assert.deepEqual(
    codes,
    texts.map(() => 'caf\u00e9'),
  );
  assert.deepEqual(counts.alikeCodes, []);
  assert.equal(
    (await withSession(pool, (session) => accountWithCode(session, ' cafe\u0301\u200b'))).code,
    'caf\u00e9',
  );
  await assert.rejects(createAccount(pool, { code: 'cafe\u0301 ', name: 'x', ...NEW }, null, BY), /already/);
  const made = await createAccount(pool, { code: '\u00a0made\u200b', name: 'x', ...NEW }, null, BY);
  assert.equal(made.code, 'made');
});

test('a value that stands for none names no account, unless one bears it as its code', async () => {
  const texts = [...NONE_WORDS, ''];
  const unnamed = await accountsOf(texts);
  assert.deepEqual(
    unnamed.codes,
    texts.map(() => null),
  );
  assert.deepEqual([...unnamed.counts.reasons], [['no_account', texts.length]]);
  const account = ' house\u00a0';
  const named = await accountsOf(texts, { read: { timeZone: 'UTC', account } });
  assert.deepEqual(
    named.codes,
    texts.map(() => 'house'),
  );
  const { rows } = await pool.query('SELECT code FROM calls.accounts WHERE code = ANY($1)', [texts]);
  assert.deepEqual(rows, [], 'none was made');
  const isBorne = (code: string) => code !== '' && code !== 'nil';
  for (const code of new Set(texts.map(tidyCode))) if (isBorne(code)) await addAccount(code);
  const borne = await accountsOf(texts, { read: { timeZone: 'UTC', account } });
  assert.deepEqual(
    borne.codes,
    texts.map((text) => (isBorne(tidyCode(text)) ? tidyCode(text) : 'house')),
  );
});

test('rows set aside for want of an account go in by a retry that names one, and what stands for none stays none', async () => {
  const calls = ['NULL', ' late '].map((text) => callOf(text));
  await importWritten(
    pool,
    carrierFile(calls.map((call) => ({ ...call, account: call.account.replace('NULL', 'nil') }))),
    'late.csv',
    { newAccounts: null },
  );
  const retry = (account: string | undefined) =>
    retryRejected(
      pool,
      { filter: { file: 'late.csv' }, newAccounts: NEW, read: account === undefined ? {} : { account } },
      () => undefined,
    );
  assert.equal((await retry(undefined)).stored, 1, 'of the account late');
  assert.equal((await retry('late')).stored, 1);
  const { rows } = await pool.query(
    'SELECT code, count(*) AS n FROM calls.cdrs JOIN calls.accounts USING (i_account) WHERE call_id = ANY($1) GROUP BY 1',
    [calls.map((call) => call.id)],
  );
  assert.deepEqual(rows, [{ code: 'late', n: 2 }]);
});

test('accounts that were made when codes were taken raw go on having their calls', async () => {
  await addAccount('old ');
  await addAccount('both');
  await addAccount('both ');
  await addAccount('nai\u0308f');
  const texts = ['old ', 'old', ' old\u00a0', 'both', 'both ', ' both', 'na\u00eff'];
  assert.deepEqual((await accountsOf(texts)).codes, [
    'old ',
    'old ',
    'old ',
    'both',
    'both ',
    'both',
    'nai\u0308f',
  ]);
  const plain = texts.map((text) =>
    withSession(pool, async (session) => (await accountWithCode(session, text)).code),
  );
  assert.deepEqual(await Promise.all(plain), ['old ', 'old ', 'old ', 'both', 'both ', 'both', 'nai\u0308f']);
});

test('codes that differ in case alone are told of, once', async () => {
  await addAccount('Umlaut \u00dc');
  const made = await accountsOf(['Globex', 'globex', 'GLOBEX', 'Globex', 'umlaut \u00fc', 'lonely']);
  const groups = made.counts.alikeCodes.map((group) => group.toSorted());
  assert.deepEqual(groups.sort(), [
    ['GLOBEX', 'Globex', 'globex'],
    ['Umlaut \u00dc', 'umlaut \u00fc'],
  ]);
  assert.deepEqual((await accountsOf(['lonely'])).counts.alikeCodes, []);
  const unknown = await accountsOf(['LONELY'], { newAccounts: null });
  assert.deepEqual(
    unknown.counts.alikeCodes.map((group) => group.toSorted()),
    [['LONELY', 'lonely']],
  );
  const { rows } = await pool.query(`SELECT reason FROM calls.rejected_cdrs WHERE reason LIKE '%LONELY%'`);
  assert.match(rows[0].reason, /No account has the code "LONELY" \(one has "lonely"\)/);
});
