/** Rows that were set aside are mended in a file: each takes the place of what it was, whatever its format. */
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { withSession } from '#platform/database/pool.ts';
import { testDatabase } from '#tests/postgres.ts';
import { importWritten } from '#tests/written_calls.ts';
import { parseMapping } from '../formats/mapping.ts';
import { countRejected, discardRejected, listRejected, type Rejected } from '../store/rejected.ts';
import { beginMendedFile, isMendedFile, lineBefore, readMendedFile, takeInMended } from './mended_rows.ts';

const { pool } = await testDatabase();
const NEW = { currency: 'EUR', timeZone: 'UTC', country: 'DE' };
const read = {
  timeZone: 'Europe/Berlin',
  account: 'acme',
  mapping: parseMapping(['From=cli', 'To=cld', 'Start=start_time', 'Secs=duration_s'], 'm'),
};
const HEADER = 'From,To,Start,Secs';
const row = (start: string, seconds = '60') => `1001,+442079460001,${start},${seconds}`;
const take = (rows: string[], file = '/bad.csv') =>
  importWritten(pool, { format: 'mapped', text: `${[HEADER, ...rows].join('\n')}\n`, read }, file);
const waiting = () => withSession(pool, (session) => session.rows(listRejected({}, 0, 100)));

beforeEach(() =>
  pool.query(
    'TRUNCATE calls.cdrs, calls.rejected_cdrs, calls.provisional_rows, calls.tellings, calls.told_again',
  ),
);

/** The file that `export` writes, with each row mended. */
function fileOf(rows: readonly Rejected[], mend: (text: string, row: Rejected) => string): string {
  return `${beginMendedFile()}${rows.map((one) => `${lineBefore(one)}${mend(one.bytes.toString(), one)}\n`).join('')}`;
}

async function mended(text: string, pieces = 7) {
  assert.ok(isMendedFile(Buffer.from(text)));
  async function* chunks() {
    for (let at = 0; at < text.length; at += pieces) yield Buffer.from(text.slice(at, at + pieces));
  }
  return takeInMended(pool, readMendedFile(chunks()), { read: {}, newAccounts: NEW }, () => undefined);
}

test('a mended row clears what it was, in the zone and by the mapping of its file', async () => {
  await take([row('2026-07-01 10:00:00'), row('not a time'), row('2026-07-01 11:00:00', 'x')]);
  const rows = await waiting();
  assert.equal(rows.length, 2);
  const { counts, gone } = await mended(
    fileOf(rows, (text) => text.replace('not a time', '2026-07-01 12:00:00').replace(',x', ',30')),
  );
  assert.deepEqual([counts.stored, counts.rejected, gone], [2, 0, 0]);
  assert.deepEqual(await waiting(), []);
  const { rows: calls } = await pool.query('SELECT start_time FROM calls.cdrs ORDER BY 1');
  assert.deepEqual(
    calls.map(({ start_time }) => start_time),
    ['2026-07-01T08:00:00Z', '2026-07-01T09:00:00Z', '2026-07-01T10:00:00Z'],
  );
  const again = await take([row('2026-07-01 10:00:00'), row('not a time'), row('2026-07-01 11:00:00', 'x')]);
  assert.deepEqual(
    [again.rejected, again.newlyRejected],
    [2, 0],
    'the file still has them: they are not new',
  );
  assert.deepEqual(await waiting(), []);
});

test('a row that is wrong still takes the place of what it was; one that was not touched stays; one without text waits', async () => {
  await take([row('not a time'), row('no time either'), row('nor this')]);
  const rows = await waiting();
  const { counts } = await mended(
    fileOf(rows, (text) => (text.includes('not a') ? row('worse') : text.includes('nor') ? '' : text)),
  );
  assert.deepEqual([counts.stored, counts.rejected], [0, 2]);
  const left = (await waiting()).map(({ bytes }) => bytes.toString().split(',')[2]);
  assert.deepEqual(left.toSorted(), ['no time either', 'nor this', 'worse']);
});

test('the same file read twice takes each row in once, and rows that were discarded stay so', async () => {
  await take([row('not a time'), row('no time either')]);
  const rows = await waiting();
  const file = fileOf(rows, () => row('2026-07-02 10:00:00'));
  assert.equal((await mended(file)).counts.stored, 1, 'two rows that say the same are one call');
  assert.equal((await mended(file)).gone, 2);
  await take([row('nor this')]);
  assert.equal((await withSession(pool, (session) => session.row(discardRejected({}))))!.count, 1);
  const again = await take([row('nor this')]);
  assert.deepEqual([again.rejected, again.newlyRejected], [1, 0]);
  assert.deepEqual(await withSession(pool, (session) => session.rows(countRejected({}))), []);
});

test('rows of several lines and what a spreadsheet makes of the lines between', async () => {
  await take(['1001,"+44\n2079460001",never,60']);
  const [one] = await waiting();
  const text = fileOf([one!], (was) => was.replace('never', '2026-07-03 10:00:00'));
  const quoted = text.replaceAll(/^(# trunkline.*)$/gm, (line) => `"${line.replaceAll('"', '""')}",,,`);
  const { counts } = await mended(quoted.replaceAll('\n', '\r\n'), 1);
  assert.deepEqual([counts.read, counts.stored], [1, 1], JSON.stringify(await waiting()));
});
