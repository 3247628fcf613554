import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { withSession } from '#platform/database/pool.ts';
import { callRow, testImportSource } from '#tests/calls.ts';
import { testDatabase } from '#tests/postgres.ts';
import { assertUsageIsExact } from '#tests/usage.ts';
import type { ParsedRow } from '../formats/source_reader.ts';
import { createAccountCache, pretendedAccounts, storedAccounts } from './account_cache.ts';
import { openBatch } from './batch.ts';
import { dryRun, wouldStore } from './dry_run.ts';
import { takeIn } from './intake.ts';
import type { RowOutcome } from './rows.ts';
import { storeBatch } from './store_batch.ts';

const { pool } = await testDatabase();
const OF = { file: '/var/log/test.csv', columns: null };

const count = async (table: string): Promise<number> =>
  (await pool.query(`SELECT count(*) AS n FROM calls.${table}`)).rows[0].n;
const kinds = (outcomes: { kind: string }[]) => outcomes.map((outcome) => outcome.kind);

test('a call is stored with its normalized numbers, and again it is a duplicate', async () => {
  const importSource = await testImportSource(pool);
  const row = callRow({
    cli: '030 23125 001',
    cld: '0044 20 7946 0001',
    cost: '0.0125',
    attributes: { x: 'a\tb\\\0' },
  });
  const [first] = await takeIn(pool, importSource, [row]);
  assert.equal(first!.kind, 'stored');
  assert.deepEqual(kinds(await takeIn(pool, importSource, [row, row])), ['duplicate', 'duplicate']);
  const { rows } = await pool.query('SELECT * FROM calls.cdrs');
  assert.equal(rows.length, 1);
  const stored = rows[0];
  assert.equal(stored.cli, '+493023125001');
  assert.equal(stored.cli_in, '030 23125 001');
  assert.equal(stored.cld, '+442079460001');
  assert.equal(stored.country, 'GB');
  assert.equal(stored.direction, 'outbound');
  assert.equal(stored.cost, '0.0125');
  assert.deepEqual(stored.attributes, { x: 'a\tb\\\ufffd' });
  assert.equal(String(stored.i_cdr).slice(0, 6), '202611');
  assert.equal(stored.i_cdr, first!.kind === 'stored' && first!.iCdr);
  await assertUsageIsExact(pool);
});

test('several legs with one call id are several calls; one record twice in a batch is one', async () => {
  const importSource = await testImportSource(pool);
  const leg = callRow({ callId: 'legs', attributes: { sequence: '1' } });
  const rows = [leg, callRow({ callId: 'legs', attributes: { sequence: '2' } }), leg];
  assert.deepEqual(kinds(await takeIn(pool, importSource, rows)), ['stored', 'stored', 'duplicate']);
});

test('a file read again with another time zone adds nothing', async () => {
  const importSource = await testImportSource(pool);
  const startTime = Date.parse('2026-11-30T23:30:00Z');
  await takeIn(pool, importSource, [callRow({ callId: 'zone', identity: 'zone', startTime })]);
  const later = callRow({ callId: 'zone', identity: 'zone', startTime: startTime + 14 * 3_600_000 });
  assert.deepEqual(kinds(await takeIn(pool, importSource, [later])), ['duplicate']);
});

test('the same record from another switch is another call', async () => {
  const row = callRow({ callId: 'both', identity: 'both' });
  assert.deepEqual(kinds(await takeIn(pool, await testImportSource(pool, { source: 'a' }), [row])), [
    'stored',
  ]);
  assert.deepEqual(kinds(await takeIn(pool, await testImportSource(pool, { source: 'b' }), [row])), [
    'stored',
  ]);
});

test('rows without an account are set aside once, with their bytes, and go in when it exists', async () => {
  const file = '/var/log/unknown.csv';
  const rows = [callRow({ accountCode: 'nobody' }), callRow({ accountCode: '' })];
  for (let round = 0; round < 2; round++) {
    const outcomes = await takeIn(pool, await testImportSource(pool, { file, newAccounts: null }), rows);
    assert.deepEqual(kinds(outcomes), ['set_aside', 'set_aside']);
  }
  const kept = await pool.query(
    'SELECT line, code, bytes FROM calls.rejected_cdrs WHERE taken_by IS NULL AND file = $1 ORDER BY line',
    [file],
  );
  assert.deepEqual(
    kept.rows.map((r) => [r.line, r.code, r.bytes.toString()]),
    rows.map(({ row }, i) => [row.line, ['unknown_account', 'no_account'][i], row.bytes.toString()]),
  );
  const outcomes = await takeIn(pool, await testImportSource(pool, { file }), rows);
  assert.deepEqual(kinds(outcomes), ['stored', 'set_aside']);
  const waiting = await pool.query('SELECT 1 FROM calls.rejected_cdrs WHERE taken_by IS NULL');
  assert.equal(waiting.rowCount, 1);
});

test('a value that only PostgreSQL refuses costs its own row, not the batch', async () => {
  const bad = callRow({ remoteIp: 'x', startTime: Date.parse('2026-11-11T00:00:00Z') });
  const rows = [callRow(), callRow({ durationS: Number.NaN }), callRow({ cost: '1e999' }), callRow()];
  const outcomes = await takeIn(pool, await testImportSource(pool), [...rows, bad]);
  assert.deepEqual(kinds(outcomes), ['stored', 'set_aside', 'set_aside', 'stored', 'stored']);
});

test('NUL and lone surrogates, wherever they stand, are replaced; the calls go in at once', async () => {
  const poison = `\0${String.fromCharCode(0xd800)}😀`;
  const clean = '\ufffd\ufffd😀';
  const rows = Array.from({ length: 2_000 }, (_, i) =>
    callRow({
      accountCode: `a${poison}`,
      callId: `poisoned-${i}${i % 2 ? poison : ''}`,
      cli: `1${poison}`,
      cld: `2${poison}`,
      disconnectCause: poison,
      description: poison,
      remoteIp: poison,
      userAgent: poison,
      attributes: { [poison]: poison, literal: '\\u0000' },
    }),
  );
  const importSource = await testImportSource(pool, { source: `s${poison}` });
  const outcomes = await takeIn(pool, importSource, rows);
  assert.ok(outcomes.every(({ kind }) => kind === 'stored'));
  assert.ok((await takeIn(pool, importSource, rows)).every(({ kind }) => kind === 'duplicate'));
  const { rows: stored } = await pool.query(
    `SELECT a.code, c.call_id, c.description, c.attributes FROM calls.cdrs c JOIN calls.accounts a USING (i_account)
     WHERE source = $1 AND call_id LIKE 'poisoned-1%' ORDER BY line LIMIT 1`,
    [`s${clean}`],
  );
  assert.deepEqual(stored, [
    {
      code: `a${clean}`,
      call_id: `poisoned-1${clean}`,
      description: clean,
      attributes: { [clean]: clean, literal: '\\u0000' },
    },
  ]);
  const rejected: ParsedRow = {
    ...callRow(),
    parsed: { kind: 'rejected', rejection: { code: 'bad_value', field: poison, reason: poison } },
  };
  assert.deepEqual(kinds(await takeIn(pool, importSource, [rejected], { columns: [poison] })), ['set_aside']);
});

test('a call id too long for an index costs its own row', async () => {
  // Random, since PostgreSQL compresses what repeats.
  const callId = Array.from({ length: 9_000 }, (_, i) =>
    ((i * 2_654_435_761) % 4_294_967_296).toString(36),
  ).join('');
  const rows = [callRow(), callRow({ callId }), callRow()];
  const importSource = await testImportSource(pool, { file: '/var/log/too-long.csv' });
  assert.deepEqual(kinds(await takeIn(pool, importSource, rows)), ['stored', 'set_aside', 'stored']);
  const kept = await pool.query(
    'SELECT line, bytes FROM calls.rejected_cdrs WHERE taken_by IS NULL AND file = $1',
    [importSource.file],
  );
  const { line, bytes } = rows[1]!.row;
  assert.deepEqual(kept.rows, [{ line, bytes }], 'with its own bytes, which are none of its neighbours');
});

test('calls of any date go in; ones before 1970 or after 2099 are set aside', async () => {
  const at = (time: string) =>
    callRow({ startTime: Date.parse(time), connectTime: null, disconnectTime: null });
  const rows = [
    at('1970-01-01T00:00:00Z'),
    at('2099-12-31T23:59:59Z'),
    at('1969-12-31T23:59:59Z'),
    at('2100-01-01T00:00:00Z'),
  ];
  const outcomes = await takeIn(pool, await testImportSource(pool), rows);
  assert.deepEqual(kinds(outcomes), ['stored', 'stored', 'set_aside', 'set_aside']);
  const flagged = await pool.query(`SELECT flags FROM calls.cdrs WHERE start_time > '2099-01-01'`);
  assert.deepEqual(flagged.rows, [{ flags: ['in_the_future'] }]);
});

test('rows of very many months go in some months at a time; cut off, the same rows again go on', async () => {
  const importSource = await testImportSource(pool, { source: 'months' });
  const first = Date.UTC(1990, 0, 15);
  const rows = Array.from({ length: 70 }, (_, i) => callRow({ startTime: first + i * 30.44 * 86_400_000 }));
  const cut = new AbortController();
  const stored = async (): Promise<number> =>
    (await pool.query(`SELECT count(*) AS n FROM calls.cdrs WHERE source = 'months'`)).rows[0].n;
  const cutOff = takeIn(pool, importSource, [...rows, rows[0]!], {}, cut.signal);
  while ((await stored()) === 0) await setImmediate();
  cut.abort(new Error('the deadline'));
  await assert.rejects(cutOff);
  const kept = await stored();
  assert.ok(kept >= 20 && kept < 70, `${kept} are kept`);
  const again = kinds(await takeIn(pool, importSource, [...rows, rows[0]!]));
  assert.equal(again.filter((kind) => kind === 'stored').length, 70 - kept);
  assert.equal(again.at(-1), 'duplicate');
  assert.equal(await stored(), 70);
  await assertUsageIsExact(pool);
});

test('what is written beside a batch happens once, with the last of it, or not at all with it', async () => {
  const importSource = await testImportSource(pool, { source: 'beside' });
  const first = Date.UTC(1980, 0, 15);
  const rows = Array.from({ length: 45 }, (_, i) => callRow({ startTime: first + i * 30.44 * 86_400_000 }));
  const fill = async () => {
    const batch = openBatch(importSource, rows.length);
    batch.add(
      rows,
      await createAccountCache(storedAccounts(pool, importSource.newAccounts), importSource.account).of(rows),
      Date.now(),
      OF,
    );
    return batch;
  };
  const stored = async (): Promise<number> =>
    (await pool.query(`SELECT count(*) AS n FROM calls.cdrs WHERE source = 'beside'`)).rows[0].n;
  const seen: number[] = [];
  const refused = storeBatch(pool, importSource, await fill(), {
    also: async ({ client }) => {
      seen.push(
        (await client.query(`SELECT count(*) AS n FROM calls.cdrs WHERE source = 'beside'`)).rows[0].n,
      );
      throw new Error('not written');
    },
  });
  await assert.rejects(refused, /not written/);
  assert.deepEqual(seen, [45], 'the last of three transactions sees all calls');
  assert.equal(await stored(), 40, 'the last one is undone');
  await storeBatch(pool, importSource, await fill(), { also: async () => void seen.push(0) });
  assert.deepEqual([seen, await stored()], [[45, 0], 45]);
});

let storms = 0;

test('many imports of overlapping rows at once end in the same tables as one', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 2, max: 4 }), async (importers) => {
      const seed = storms++;
      const source = `storm-${seed}`;
      const rows: ParsedRow[] = Array.from({ length: 60 }, (_, i) =>
        callRow({
          accountCode: `s${i % 3}`,
          callId: `${seed}-${i}`,
          identity: `${seed}-${i}`,
          cost: '0.01',
        }),
      );
      const before = await count('cdrs');
      const outcomes = await Promise.all(
        Array.from({ length: importers }, async (_, i) => {
          const mine = i % 2 === 0 ? rows : rows.toReversed();
          return takeIn(pool, await testImportSource(pool, { source }), mine.slice(i * 5));
        }),
      );
      assert.equal((await count('cdrs')) - before, 60);
      assert.equal(outcomes.flat().filter((o) => o.kind === 'stored').length, 60);
    }),
    { numRuns: 15 },
  );
  await assertUsageIsExact(pool);
});

test('a batch that was emptied knows nothing of its rows before', async () => {
  const importSource = await testImportSource(pool);
  const batch = openBatch(importSource, 3);
  const store = async (rows: ParsedRow[]) => {
    batch.add(
      rows,
      await createAccountCache(storedAccounts(pool, importSource.newAccounts), importSource.account).of(rows),
      Date.now(),
      OF,
    );
    await storeBatch(pool, importSource, batch);
    const outcomes = kinds(batch.outcomes as RowOutcome[]);
    batch.empty();
    return outcomes;
  };
  const [first, second] = [callRow({ startTime: Date.UTC(2026, 8, 1) }), callRow()];
  assert.deepEqual(await store([first, first, callRow({ accountCode: '' })]), [
    'stored',
    'duplicate',
    'set_aside',
  ]);
  assert.deepEqual(await store([second, first]), ['stored', 'duplicate']);
  assert.deepEqual([batch.rows, batch.rowBytes, batch.callCount, batch.callIds.size], [0, 0, 0, 0]);
  await assertUsageIsExact(pool);
});

test('a dry run tells what would happen, over batches, and stores nothing', async () => {
  const tables = ['cdrs', 'accounts', 'rejected_cdrs', 'usage_quarters', 'usage_days'];
  const before = await Promise.all(tables.map(count));
  const importSource = { ...(await testImportSource(pool)), iImport: 0 };
  const row = callRow({ accountCode: 'not-yet' });
  await dryRun(pool, async (dry) => {
    const cache = createAccountCache(
      pretendedAccounts(dry.session, importSource.newAccounts),
      importSource.account,
    );
    const wouldTakeIn = async (rows: ParsedRow[]) => {
      const batch = openBatch(importSource, rows.length);
      batch.add(rows, await cache.of(rows), Date.now(), OF);
      await wouldStore(dry, importSource, batch);
      return batch.outcomes.map((outcome) => outcome?.kind);
    };
    assert.deepEqual(await wouldTakeIn([row, callRow()]), ['stored', 'stored']);
    assert.deepEqual(await wouldTakeIn([row, callRow({ accountCode: '' })]), ['duplicate', 'set_aside']);
  });
  assert.deepEqual(await Promise.all(tables.map(count)), before);
  await withSession(pool, async (session) =>
    assert.equal((await session.client.query('SELECT 1')).rowCount, 1),
  );
});
