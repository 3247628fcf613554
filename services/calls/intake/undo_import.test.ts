/**
 * An import that is taken back leaves the tables as they would be had it never been: whatever was told before, meanwhile and
 * after it, in whatever order; in steps, of which each leaves the sums right.
 */
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import fc from 'fast-check';
import { withSession } from '#platform/database/pool.ts';
import { callRow, testImportSource } from '#tests/calls.ts';
import { testDatabase } from '#tests/postgres.ts';
import { printedSeed } from '#tests/seed.ts';
import { assertUsageIsExact } from '#tests/usage.ts';
import type { SourceRecord } from '../cdr.ts';
import type { ParsedRow } from '../formats/source_reader.ts';
import { type Actor, listAudit } from '../store/audit.ts';
import { openFileSource, openPostSource } from './import_source.ts';
import { takeIn } from './intake.ts';
import { CannotUndoError, dryUndo, undoImport, undoStep } from './undo_import.ts';

const { pool } = await testDatabase();
const by: Actor = { id: 'terminal:anna', name: 'anna on db1' };
const TABLES =
  'calls.cdrs, calls.usage_quarters, calls.usage_days, calls.watermarks, calls.account_sources, calls.provisional_rows, calls.rejected_cdrs, calls.imports, calls.cdr_history, calls.tellings, calls.told_again, calls.source_turns';

beforeEach(() => empty());

/** What an import told, in which words. */
interface Told {
  readonly who: 'A' | 'B' | 'C' | 'post';
  readonly rows: readonly Row[];
}

interface Row {
  readonly call: number;
  /** Fields that it leaves out. */
  readonly without: readonly (keyof SourceRecord)[];
  /** Another cost than the others tell. */
  readonly otherCost: boolean;
  /** Hours by which its stamps differ, since they are read in another time zone. */
  readonly zone: number;
  /** It names no account. */
  readonly bad: boolean;
}

const START = Date.UTC(2026, 2, 31, 23, 50);

function taken(row: Row): ParsedRow {
  const { call, without, otherCost, zone, bad } = row;
  // Beside a month's end, so that another zone moves them over it; several in one quarter of an hour.
  const startTime = START + call * 6 * 60_000 - zone * 3_600_000;
  const said: Partial<SourceRecord> = {
    ...{ cost: otherCost ? '9.5' : `0.${call + 1}`, userAgent: 'Phone/1', connectTime: startTime + 5_000 },
    // Some name what joins their legs.
    ...(call % 2 === 0 && { linkedId: `chain-${call}` }),
  };
  for (const field of without) Object.assign(said, { [field]: null });
  // What the row says before anything is read into it: its zone is no part of it.
  const words = JSON.stringify([call, without, otherCost, bad]);
  const made = callRow({
    ...{
      callId: `call-${call}`,
      identity: words,
      alsoSays: words,
      startTime,
      disconnectTime: startTime + 65_000,
    },
    ...said,
    ...(bad && { accountCode: '' }),
  });
  return { ...made, row: { ...made.row, bytes: Buffer.from(words), line: call + 1 } };
}

const NEW_ACCOUNTS = { currency: 'EUR', timeZone: 'Europe/Berlin', country: 'DE' };
type OnConflict = 'set-aside' | 'replace';

/** @returns the numbers of the imports that told for each of them */
async function tellAll(
  tellings: readonly Told[],
  onConflict: OnConflict,
): Promise<Map<Told['who'], Set<number>>> {
  const iImports = new Map<Told['who'], Set<number>>();
  for (const [index, { who, rows }] of tellings.entries()) {
    // Rows that are read in another zone are read by another import.
    for (const [zone, its] of Map.groupBy(rows, (row) => row.zone)) {
      const shared = {
        ...{ source: 'pbx', format: 'mapped', readOptions: { timeZone: `Etc/GMT-${zone}` } },
        ...{ newAccounts: NEW_ACCOUNTS, sameCall: { onConflict, callIds: 'unique' as const } },
      };
      const importSource =
        who === 'post'
          ? await openPostSource(pool, { ...shared, file: 'POST /cdrs' })
          : await openFileSource(pool, { ...shared, file: `/${index}.csv` });
      iImports.set(who, (iImports.get(who) ?? new Set()).add(importSource.iImport));
      await takeIn(pool, importSource, its.map(taken));
    }
  }
  return iImports;
}

/** All that the tables say, but for numbers that are given out. */
async function contents() {
  const ask = async (sql: string) => (await pool.query(sql)).rows;
  const label = "concat(i.file, ' ', i.options ->> 'timeZone')";
  return {
    calls: await ask(
      `SELECT i_cdr / 10000000000 AS month, ${label} AS import, to_jsonb(c) - '{i_cdr,i_import,told}'::text[] AS call,
              told & ~2097152 AS told
       FROM calls.cdrs c JOIN calls.imports i USING (i_import) ORDER BY call_id, start_time`,
    ),
    imports: await ask(
      `SELECT ${label} AS import, read, stored, completed + duplicates AS told_again, conflicts, set_aside, told_to FROM calls.imports i
       WHERE undone_at IS NULL ORDER BY 1`,
    ),
    history: await ask(
      `SELECT h.i_cdr / 10000000000 AS month, ${label} AS import, h.call - '{i_cdr,i_import,told}'::text[] AS call
       FROM calls.cdr_history h JOIN calls.imports i USING (i_import) ORDER BY call ->> 'call_id', i.i_import, call`,
    ),
    rejected: await ask(
      `SELECT ${label} AS import, r.line, r.code, r.content FROM calls.rejected_cdrs r JOIN calls.imports i USING (i_import)
       WHERE taken_by IS NULL ORDER BY r.content`,
    ),
    watermarks: await ask('SELECT source, last_disconnect FROM calls.watermarks'),
    accounts: await ask(
      `SELECT s.i_account, ${label} AS import FROM calls.account_sources s JOIN calls.imports i USING (i_import) ORDER BY 1`,
    ),
    quarters: await ask(
      'SELECT i_account, quarter, direction, country, currency, calls, trim_scale(seconds) AS seconds, trim_scale(cost) AS cost FROM calls.usage_quarters ORDER BY 1, 2, 3, 4',
    ),
  };
}

/** Of few rows: TRUNCATE would make files anew for each month and index. */
const empty = () =>
  pool.query(
    TABLES.split(', ')
      .map((table) => `DELETE FROM ${table}`)
      .join(';'),
  );

const row = fc.record<Row>({
  call: fc.nat(3),
  without: fc.subarray(['cost', 'userAgent', 'connectTime'] as (keyof SourceRecord)[]),
  otherCost: fc.nat(5).map((n) => n === 0),
  zone: fc.constantFrom(0, 0, 0, 1),
  bad: fc.nat(9).map((n) => n === 0),
});
/**
 * A row that contradicts what is taken back waits for a retry. So none contradicts another: all replace, or tell more of the same, or
 * are the same rows read in several zones.
 */
const KINDS = ['replacing', 'completing', 'reading'] as const;
function ofKind(kind: (typeof KINDS)[number], one: Row): Row {
  if (kind === 'replacing') return one;
  return kind === 'completing'
    ? { ...one, otherCost: false, zone: 0 }
    : { ...one, otherCost: false, without: [] };
}

const scenario = fc.record({
  tellings: fc.array(
    fc.record<Told>({
      who: fc.constantFrom('A', 'A', 'B', 'C', 'post'),
      rows: fc.array(row, { minLength: 1, maxLength: 5 }),
    }),
    { minLength: 1, maxLength: 6 },
  ),
  // Replacing ones: told_to of others may stay further than without it (decisions/0028).
  kind: fc.constantFrom<(typeof KINDS)[number]>('completing', 'reading'),
  /** Which others are taken back behind A. */
  also: fc.subarray(['B', 'C'] as const),
});

test('whatever others told, before, meanwhile and after: it is as if the import had never been', async (t) => {
  const seed = printedSeed(t);
  await fc.assert(
    fc.asyncProperty(scenario, async ({ tellings: all, kind, also }) => {
      const onConflict = kind === 'replacing' ? 'replace' : 'set-aside';
      const tellings = all.map(({ who, rows }) => ({ who, rows: rows.map((one) => ofKind(kind, one)) }));
      await empty();
      const iImports = await tellAll(tellings, onConflict);
      const gone: Told['who'][] = [];
      for (const who of ['A', ...also] as const) {
        gone.push(who);
        for (const iImport of iImports.get(who) ?? []) assert.ok((await undoImport(pool, iImport, by))!.done);
        await assertUsageIsExact(pool);
        const left = await contents();
        const others = tellings.map((one) => (gone.includes(one.who) ? { ...one, rows: [] } : one));
        // Each row that is left is known.
        await tellAll(others, onConflict);
        const { calls, quarters } = await contents();
        assert.deepEqual({ calls, quarters }, { calls: left.calls, quarters: left.quarters }, 'told again');
        await empty();
        await tellAll(others, onConflict);
        assert.deepEqual(left, await contents(), `without ${gone.join(', ')}`);
        if (who === also.at(-1)) break;
        await empty();
        const again = await tellAll(tellings, onConflict);
        for (const before of gone)
          for (const iImport of again.get(before) ?? []) await undoImport(pool, iImport, by);
        for (const [name, numbers] of again) iImports.set(name, numbers);
      }
    }),
    { seed, numRuns: 25, endOnFailure: true },
  );
});

const iImportsOf = async (...rows: Row[]): Promise<number> => {
  const told = await tellAll([{ who: 'A', rows }], 'set-aside');
  return [...told.get('A')!][0]!;
};
const plain = { without: [], otherCost: false, zone: 0, bad: false } as const;

test('a dry run says what would be taken back, and changes nothing', async () => {
  const a = await iImportsOf(
    { ...plain, call: 0 },
    { ...plain, call: 1 },
    { ...plain, call: 2, without: ['cost'] },
    { ...plain, call: 3, bad: true },
  );
  const others = await tellAll(
    [
      { who: 'B', rows: [{ ...plain, call: 1 }] },
      { who: 'C', rows: [{ ...plain, call: 2 }] },
    ],
    'set-aside',
  );
  const before = await contents();
  const dry = await withSession(pool, (session) => dryUndo(session, a));
  assert.deepEqual(await contents(), before);
  assert.deepEqual(dry, {
    ...{
      i_import: a,
      done: false,
      calls_removed: 1,
      calls_kept: 2,
      kept_by: [...others.get('B')!, ...others.get('C')!],
      calls_restored: 0,
      rows_removed: 1,
      rows_returned: 0,
    },
  });
  assert.deepEqual(await undoImport(pool, a, by), { ...dry, done: true });
  assert.equal(await withSession(pool, (session) => dryUndo(session, 999_999)), undefined);
  assert.equal(await undoImport(pool, 999_999, by), undefined);
});

test('the audit trail has who took it back, what there was and what was taken', async () => {
  const a = await iImportsOf({ ...plain, call: 0 }, { ...plain, call: 1 });
  await undoImport(pool, a, by);
  const [undone, undo] = await withSession(pool, (session) =>
    session.rows(listAudit({ subject: `import ${a}` }, 2)),
  );
  assert.deepEqual(
    [undo!.action, undo!.by_id, undo!.detail.calls_stored, undo!.before],
    ['imports.undo', by.id, 2, null],
  );
  assert.deepEqual(
    [undone!.action, undone!.detail.calls_removed, undone!.after],
    ['imports.undone', 2, null],
  );
});

test('the same file can be imported again at once, and in the right time zone', async () => {
  const wrong = await iImportsOf(...[0, 1, 2].map((call) => ({ ...plain, call, zone: 1 })));
  await undoImport(pool, wrong, by);
  await tellAll([{ who: 'B', rows: [0, 1, 2].map((call) => ({ ...plain, call })) }], 'set-aside');
  const right = await contents();
  await assertUsageIsExact(pool);
  await empty();
  await tellAll([{ who: 'B', rows: [0, 1, 2].map((call) => ({ ...plain, call })) }], 'set-aside');
  assert.deepEqual(right, await contents());
});

test('cut off between its steps it goes on, and the sums are right all along; its own batches are refused', async () => {
  const importSource = await testImportSource(pool, { source: 'many' });
  const rows = Array.from({ length: 5_000 }, () => callRow());
  await takeIn(pool, importSource, rows);
  const other = await testImportSource(pool, { source: 'many' });
  await takeIn(pool, other, rows.slice(0, 1_000));
  const first = (await undoStep(pool, importSource.iImport, by))!;
  assert.deepEqual([first.done, first.calls_removed + first.calls_kept], [false, 2_000]);
  await assertUsageIsExact(pool);
  await assert.rejects(takeIn(pool, importSource, [callRow()]), /is being undone/);
  // The one that is under way is undone by the database, as by a kill of the process.
  const cut = new AbortController();
  const second = undoStep(pool, importSource.iImport, by, cut.signal);
  cut.abort(new Error('killed'));
  await second.catch(() => undefined);
  await assertUsageIsExact(pool);
  const done = (await undoImport(pool, importSource.iImport, by))!;
  assert.deepEqual([done.done, done.calls_removed, done.calls_kept], [true, 4_000, 1_000]);
  await assertUsageIsExact(pool);
  const { rows: left } = await pool.query('SELECT i_import, count(*) AS n FROM calls.cdrs GROUP BY 1');
  assert.deepEqual(left, [{ i_import: other.iImport, n: 1_000 }]);
  await assert.rejects(undoStep(pool, importSource.iImport, by), /is taken back already/);
});

test('a row that it took in after another had set it aside waits again', async () => {
  const row = callRow({ accountCode: 'later' });
  const first = await testImportSource(pool, { newAccounts: null });
  await takeIn(pool, first, [row]);
  const second = await testImportSource(pool);
  await takeIn(pool, second, [row]);
  const waiting = async () =>
    (await pool.query('SELECT i_import FROM calls.rejected_cdrs WHERE taken_by IS NULL')).rows;
  assert.deepEqual(await waiting(), []);
  const done = (await undoImport(pool, second.iImport, by))!;
  assert.deepEqual([done.calls_removed, done.rows_returned], [1, 1]);
  assert.deepEqual(await waiting(), [{ i_import: first.iImport }]);
});

test('what a switch has posted, and what a version before has completed, is refused with the reason', async () => {
  const told = await tellAll([{ who: 'post', rows: [{ ...plain, call: 0 }] }], 'set-aside');
  await assert.rejects(undoStep(pool, [...told.get('post')!][0]!, by), CannotUndoError);
  const a = await iImportsOf({ ...plain, call: 1 });
  await pool.query('UPDATE calls.imports SET noted = false, completed = 3 WHERE i_import = $1', [a]);
  await assert.rejects(undoStep(pool, a, by), /made by a version before/);
});

test('a call that names what joins its legs is as its first import told it, once the one that completed it is taken back', async () => {
  const first: Told = { who: 'B', rows: [{ ...plain, call: 0, without: ['cost'] }] };
  await tellAll([first], 'set-aside');
  const before = await contents();
  const told = await tellAll([{ who: 'A', rows: [{ ...plain, call: 0 }] }], 'set-aside');
  for (const iImport of told.get('A')!) await undoImport(pool, iImport, by);
  assert.deepEqual((await contents()).calls, before.calls);
});
