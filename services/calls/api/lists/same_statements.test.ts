/** Who may not see something asks PostgreSQL the same as if it did not exist: neither text nor time nor number of statements tells. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testApi } from '#tests/calls_api.ts';
import { testDatabase } from '#tests/postgres.ts';
import { logStatements } from '#tests/statement_log.ts';

const { url, pool } = await testDatabase();
const log = await logStatements(url);
const api = await testApi({}, { database: { url: log.url, pool } });
const iOwn = await api.account('own');
const iOther = await api.account('other');
const operator = await api.key('operator');
const support = await api.key('support');
const customer = await api.key('customer', iOwn);

const NUMBER = '493023125001';
const record = {
  start_time: '2026-03-02T09:04:54Z',
  duration_s: 6,
  result: 'busy',
  cli: `+${NUMBER}`,
  cld: '1001',
};
const { body } = await api.post(
  [
    { ...record, account: 'other', call_id: `hidden-%2B${NUMBER}-1` },
    { ...record, account: 'own', call_id: 'shown-1' },
  ],
  operator,
);
const [iTheirs, iMine] = body.data.map((outcome: { i_cdr: number }) => outcome.i_cdr) as [number, number];

/** What is asked of tables when a request comes, and the answer but for what names the request. */
async function asked(path: string, key: string): Promise<{ statements: string[]; answer: string }> {
  await api.get(path, key); // keys are known now, and statements have their names
  log.statements.length = 0;
  const { text } = await api.get(path, key);
  const statements = log.statements.filter((statement) => /calls\.(?:cdrs|accounts|usage)/.test(statement));
  return { statements, answer: text.replace(/"(?:request_id|duration_ms)":[^,}]+/g, '') };
}

test('a call of somebody else is asked for as one that does not exist, by one statement', async () => {
  const theirs = await asked(`/cdrs/${iTheirs}`, customer);
  const none = await asked(`/cdrs/${iTheirs + 500}`, customer);
  assert.equal(theirs.statements.length, 1);
  assert.deepEqual(theirs.statements, none.statements);
  assert.equal(theirs.answer.replace(String(iTheirs), 'N'), none.answer.replace(String(iTheirs + 500), 'N'));
  assert.equal((await asked(`/cdrs/${iMine}`, customer)).statements.length, 1);
});

test('so is an account of somebody else', async () => {
  for (const path of [
    '/cdrs?i_account=',
    '/consumption?i_account=',
    '/cdrs?with_total=true&call_id=x&i_account=',
    '/cdrs?include=children&with_total=true&i_account=',
    '/consumption?include=children&i_account=',
  ]) {
    const theirs = await asked(path + iOther, customer);
    const none = await asked(`${path}987654`, customer);
    assert.equal(theirs.statements.length, 1);
    assert.deepEqual(theirs.statements, none.statements);
    assert.equal(theirs.answer.replace(String(iOther), 'N'), none.answer.replace('987654', 'N'));
  }
});

test('support asks for an id that it sees masked as for one that does not exist', async () => {
  const path = `/cdrs?i_account=${iOther}&with_total=true&call_id=`;
  const hidden = await asked(path + encodeURIComponent(`hidden-%2B${NUMBER}-1`), support);
  const guess = await asked(path + encodeURIComponent('hidden-%2B493023125991-1'), support);
  assert.deepEqual(hidden, guess);
  assert.match(hidden.answer, /"data":\[\],"total":0/);
  const shown = await api.get(`/cdrs?i_account=${iOwn}&call_id=shown-1`, support);
  assert.equal(shown.body.data.length, 1);
});

test('an id is looked up in all accounts by who may see them all, and a masked one is not found there either', async () => {
  for (const key of [operator, support]) {
    const { status, body } = await api.get('/cdrs?call_id=shown-1', key);
    assert.equal(status, 200);
    assert.deepEqual(
      body.data.map((call: { i_account: number }) => call.i_account),
      [iOwn],
    );
    assert.match(body.data_complete_to, /Z$/);
    const file = await api.get('/cdrs?call_id=shown-1', key, { accept: 'text/csv' });
    assert.equal(file.text.trim().split('\r\n').length, 2);
    assert.match(file.headers.get('content-disposition')!, /"calls\.csv"/);
    const counted = await api.get('/cdrs?call_id=shown-1&with_total=true&type=errors', key);
    assert.deepEqual([counted.body.data, counted.body.total], [[], 0]);
  }
  const path = '/cdrs?with_total=true&call_id=';
  const hidden = encodeURIComponent(`hidden-%2B${NUMBER}-1`);
  assert.equal((await api.get(path + hidden, operator)).body.total, 1);
  const [masked, guess] = [
    await asked(path + hidden, support),
    await asked(path + encodeURIComponent('hidden-%2B493023125991-1'), support),
  ];
  assert.deepEqual(masked, guess);
  assert.match(masked.answer, /"data":\[\],"total":0/);

  const without = await api.get('/cdrs?type=errors', operator);
  assert.deepEqual([without.status, without.body.code], [400, 'no_account']);
  const numbered = await api.get('/cdrs?call_id=shown-1&cld=1001', operator);
  assert.deepEqual([numbered.status, numbered.body.fields], [400, ['cld']]);
  assert.match(numbered.body.error, /`cld` needs `i_account`/);
});

test("a switch's id in the place of a call's number is answered with where it belongs", async () => {
  for (const id of ['shown-1', '1772440633.101', '9'.repeat(30)]) {
    const { status, body } = await api.get(`/cdrs/${id}`, operator);
    assert.equal(status, 400);
    assert.match(body.error, /Path parameter `i_cdr` .*\/cdrs\?call_id=/);
    assert.deepEqual(body.fields, ['i_cdr']);
  }
});
