/** What operators are told of imports, and the calls of one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { callRow, testImportSource } from '#tests/calls.ts';
import { testApi } from '#tests/calls_api.ts';
import type { ImportSource } from '../../intake/import_source.ts';
import { takeIn } from '../../intake/intake.ts';

const api = await testApi();
const { pool } = api.database;
const operator = await api.key('operator');
const iAccount = await api.account('acme');

async function imported(
  fields: Partial<ImportSource>,
  ...rows: ReturnType<typeof callRow>[]
): Promise<number> {
  const importSource = await testImportSource(pool, fields);
  await takeIn(pool, importSource, rows);
  return importSource.iImport;
}

const first = await imported({ file: '/var/log/a.csv', source: 'pbx 1' }, callRow(), callRow());
const second = await imported({ file: '/var/log/b.csv', source: 'pbx 2' }, callRow());
const third = await imported({ file: '/var/log/b.csv', source: 'pbx 2' }, callRow({ accountCode: 'other' }));
const numbers = async (query: string) => {
  const { status, body } = await api.get(`/imports${query}`, operator);
  assert.equal(status, 200, JSON.stringify(body));
  return body.data.map((one: { i_import: number }) => one.i_import);
};

test('imports are listed, the newest first, by source and file, a page at a time', async () => {
  assert.deepEqual(await numbers(''), [third, second, first]);
  assert.deepEqual(await numbers('?source=pbx%202'), [third, second]);
  assert.deepEqual(await numbers('?file=/var/log/a.csv'), [first]);
  const page = (await api.get('/imports?limit=2', operator)).body;
  assert.deepEqual([page.data.length, page.next_before], [2, second]);
  const last = (await api.get(`/imports?limit=2&before=${page.next_before}`, operator)).body;
  assert.deepEqual([last.data.length, last.next_before], [1, null]);
});

test('one import says what became of its rows and how they were read', async () => {
  const { data } = (await api.get(`/imports/${first}`, operator)).body;
  assert.deepEqual(
    [data.file, data.source, data.read, data.stored, data.completed, data.duplicates, data.set_aside],
    ['/var/log/a.csv', 'pbx 1', 2, 2, 0, 0, 0],
  );
  assert.equal(data.options.timeZone, 'UTC');
  assert.equal((await api.get('/imports/999999', operator)).status, 404);
  assert.equal((await api.get('/imports/0', operator)).status, 400);
  assert.equal((await api.get('/imports?limit=0', operator)).status, 400);
});

test('calls of an account can be had by their import, in pages and counted', async () => {
  const found = (await api.get(`/cdrs?i_account=${iAccount}&i_import=${first}&with_total=true`, operator))
    .body;
  assert.deepEqual([found.data.length, found.total], [2, 2]);
  const page = (await api.get(`/cdrs?i_account=${iAccount}&i_import=${first}&limit=1`, operator)).body;
  const next = `/cdrs?i_account=${iAccount}&limit=1&cursor=${page.next_cursor}`;
  assert.equal((await api.get(`${next}&i_import=${first}`, operator)).body.data.length, 1);
  assert.match((await api.get(`${next}&i_import=${second}`, operator)).body.error, /another i_import/);
  assert.equal(
    (await api.get(`/cdrs?i_account=${iAccount}&i_import=${third}`, operator)).body.data.length,
    0,
  );
});

test('only operators are told of imports', async () => {
  for (const scope of ['customer', 'support', 'ingest'] as const) {
    const key = await api.key(scope, scope === 'customer' ? iAccount : undefined);
    for (const path of ['/imports', `/imports/${first}`])
      assert.equal((await api.get(path, key)).status, 403);
  }
});
