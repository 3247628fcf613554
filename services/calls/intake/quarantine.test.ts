/** What is kept of rows that can't be taken in, and when it goes. */
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import fc from 'fast-check';
import { callRow, testImportSource } from '#tests/calls.ts';
import { importBytes } from '#tests/import_bytes.ts';
import { testDatabase } from '#tests/postgres.ts';
import { MAX_RECORD_BYTES } from '../formats/csv_records.ts';
import { parseMapping } from '../formats/mapping.ts';
import { openPostSource } from './import_source.ts';
import { takeIn } from './intake.ts';
import { retryRejected } from './retry.ts';

const { pool } = await testDatabase();
const ask = async (sql: string) => (await pool.query(sql)).rows;
beforeEach(() =>
  ask(
    'TRUNCATE calls.cdrs, calls.usage_quarters, calls.usage_days, calls.rejected_cdrs, calls.provisional_rows, calls.imports, calls.accounts, calls.api_keys CASCADE',
  ),
);

const READ = {
  mapping: parseMapping(
    ['Customer=account', 'From=cli', 'To=cld', 'Start=start_time', 'Secs=duration_s'],
    'test',
  ),
};
const HEADER = 'Customer,From,To,Start,Secs\n';
const row = (account: string, second: number, from = '1001') =>
  `${account},${from},+442079460001,2026-11-02 09:00:${String(second).padStart(2, '0')},5\n`;
const rows = (accounts: string[], from?: string) =>
  HEADER + accounts.map((account, second) => row(account, second, from)).join('');

const NEW = { currency: 'EUR', timeZone: 'UTC', country: 'DE' };
const addAccount = (code: string) =>
  pool.query(`INSERT INTO calls.accounts (code, name, currency, time_zone) VALUES ($1, $1, 'EUR', 'UTC')`, [
    code,
  ]);
const take = (text: string | Buffer, how: Parameters<typeof importBytes>[2] = {}) =>
  importBytes(pool, Buffer.from(text), {
    read: READ,
    newAccounts: null,
    file: '/var/log/Master.csv',
    ...how,
  });
const rejected = () =>
  ask('SELECT file, line, code FROM calls.rejected_cdrs WHERE taken_by IS NULL ORDER BY file, line');
const calls = async () => (await ask('SELECT count(*) AS n FROM calls.cdrs'))[0].n;
const retry = (newAccounts: typeof NEW | null = null) =>
  retryRejected(pool, { filter: {}, read: {}, newAccounts }, () => undefined);

test('a file that is rotated takes none of the rows with it that were set aside', async () => {
  await addAccount('acme');
  const old = rows(['acme', 'new', 'acme', 'new', 'acme', 'new', 'acme', 'new', 'acme', 'new']);
  const first = await take(old);
  assert.deepEqual([first!.stored, first!.rejected], [5, 5]);
  const rotated = await take(rows(Array(10).fill('acme'), '2002'));
  assert.deepEqual([rotated!.stored, (await rejected()).length], [10, 5]);
  const retried = await retry(NEW);
  assert.deepEqual([retried.stored, await calls(), await rejected()], [5, 20, []]);
});

test('the same content clears a row, by whatever name and in whatever place', async () => {
  await addAccount('acme');
  await take(rows(['acme', 'new']));
  const before = await rejected();
  await take(rows(['acme', 'acme', 'acme', 'new'], '3003'));
  assert.equal((await rejected()).length, 2, 'another row is another row');
  await addAccount('new');
  await take(`${HEADER}${row('acme', 30)}${row('new', 1)}`, { file: '/var/log/Master.csv.1' });
  assert.deepEqual(
    (await rejected()).map(({ line }) => line),
    [5],
  );
  assert.deepEqual(before, [{ file: '/var/log/Master.csv', line: 3, code: 'unknown_account' }]);
});

test('lines of a pipe are no names', async () => {
  await addAccount('acme');
  await take(rows(['new', 'acme']), { file: 'stdin', isStream: true });
  await take(rows(['acme', 'acme'], '2002'), { file: 'stdin', isStream: true });
  assert.equal((await rejected()).length, 1);
  await addAccount('new');
  await take(rows(['new', 'acme']), { file: 'stdin', isStream: true });
  assert.deepEqual(await rejected(), []);
});

test('rows that say the same are one, unless another switch says it or another header stands above', async () => {
  const text = rows(['new']);
  await take(text);
  await take(text, { file: '/var/log/Master.csv.1' });
  assert.equal((await rejected()).length, 1);
  await take(text, { source: 'other' });
  await take(text.replace('Secs', 'Secs,').replace(',5\n', ',5,\n'));
  await take(text.replace('Customer,From', 'From,Customer'));
  assert.equal((await rejected()).length, 4);
  await addAccount('new');
  await take(text);
  assert.equal((await rejected()).length, 3);
});

test('what is posted again and goes in is no longer set aside', async () => {
  const options = { file: 'POST /cdrs', format: 'posted', source: 'api', readOptions: {} };
  const unknown = await openPostSource(pool, { ...options, newAccounts: null });
  const posted = [callRow({ accountCode: 'new' }), callRow({ accountCode: 'new' })];
  await takeIn(pool, unknown, posted);
  assert.equal((await rejected()).length, 2);
  await addAccount('new');
  await takeIn(pool, unknown, [callRow({ accountCode: 'new' }), posted[1]!]);
  assert.equal((await rejected()).length, 1);
});

test('however rows are spread over files, names and pipes, what is not taken in stays, and nothing else', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          file: fc.constantFrom('/var/log/Master.csv', '/var/log/Master.csv.1', 'stdin'),
          picked: fc.array(fc.nat(11), { minLength: 1, maxLength: 8 }),
          makes: fc.boolean(),
        }),
        { minLength: 1, maxLength: 5 },
      ),
      async (imports) => {
        await ask('DELETE FROM calls.cdrs; DELETE FROM calls.rejected_cdrs; DELETE FROM calls.accounts');
        const waiting = new Set<number>();
        const known = new Set<string>();
        for (const { file, picked, makes } of imports) {
          const text = HEADER + picked.map((n) => row(`account ${n % 4}`, n)).join('');
          await take(text, { file, isStream: file === 'stdin', newAccounts: makes ? NEW : null });
          for (const n of picked) {
            if (makes) known.add(`account ${n % 4}`);
            if (known.has(`account ${n % 4}`)) waiting.delete(n);
            else waiting.add(n);
          }
        }
        const kept = await ask(
          `SELECT convert_from(bytes, 'UTF8') || E'\\n' AS row FROM calls.rejected_cdrs WHERE taken_by IS NULL`,
        );
        const expected = [...waiting].map((n) => row(`account ${n % 4}`, n));
        assert.deepEqual(kept.map((one) => one.row).sort(), expected.sort());
      },
    ),
    { numRuns: 40 },
  );
});

test('a row of which only the first bytes are kept is never read again', async () => {
  const filler = 'x'.repeat(MAX_RECORD_BYTES);
  const long = `acme,1001,+442079460001,2026-11-02 09:00:00,5,${filler}\n`;
  const other = long.replace('x\n', 'xx\n');
  const how = { isStream: true, newAccounts: NEW };
  await take(`${HEADER.replace('\n', ',Note\n')}${long}${other}`, how);
  assert.deepEqual(await ask('SELECT code, cut FROM calls.rejected_cdrs WHERE taken_by IS NULL'), [
    { code: 'too_large', cut: true },
    { code: 'too_large', cut: true },
  ]);
  const counts = await retry(NEW);
  assert.deepEqual([counts.tried, counts.stored, counts.stillRejected, counts.keptInPart], [0, 0, 2, 2]);
  assert.equal((await rejected()).length, 2);
  // The first bytes as a row of their own are another row.
  await take(`${HEADER.replace('\n', ',Note\n')}${long.slice(0, MAX_RECORD_BYTES - 10)}\n`, how);
  assert.deepEqual([await calls(), (await rejected()).length], [1, 2]);
});

test('NULs and documents of which only the first bytes are kept are marked as such', async () => {
  const nuls = '\0'.repeat(MAX_RECORD_BYTES + 1);
  await take(`${HEADER}${'\0'.repeat(10)}\n${nuls}\n`, { isStream: true });
  const document = JSON.stringify({ switchname: 'p', variables: { uuid: 'a' }, pad: 'x'.repeat(1_100_000) });
  await importBytes(pool, Buffer.from(document), { newAccounts: NEW });
  const open = `{"switchname":"p","variables":{"uuid":"b"},"pad":"${'x'.repeat(1_100_000)}`;
  await importBytes(pool, Buffer.from(`${open}\n`), { newAccounts: NEW, isStream: true });
  const kept = await ask(
    'SELECT cut, octet_length(bytes) AS bytes FROM calls.rejected_cdrs WHERE taken_by IS NULL ORDER BY i_rejected',
  );
  assert.deepEqual(
    kept.map(({ cut }) => cut),
    [false, true, true, true],
  );
  await retry(NEW);
  assert.equal(await calls(), 0);
});

test('rows that were set aside by a version before are known by their content too', async () => {
  const importSource = await testImportSource(pool, { source: 'mapped' });
  // As migration 0006 makes it.
  await pool.query(
    `INSERT INTO calls.rejected_cdrs (i_import, source, file, line, code, reason, bytes, columns, content)
     SELECT $1::int, 'mapped', '/old', 2, 'unknown_account', 'r', b, c, sha256(
       convert_to('mapped' || E'\\x1f' || coalesce(array_to_string(c, E'\\x1f', ''), '') || E'\\x1f', 'UTF8') || b)
     FROM (SELECT convert_to($2, 'UTF8') AS b, $3::text[] AS c) AS row`,
    [importSource.iImport, row('acme', 0).trim(), HEADER.trim().split(',')],
  );
  await take(rows(['acme']), { newAccounts: NEW });
  assert.deepEqual(await rejected(), []);
});
