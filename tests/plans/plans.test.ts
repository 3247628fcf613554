/**
 * How PostgreSQL goes about each statement that a request runs, on ten million calls over 36 months: by indexes, in the
 * months that are asked for, sorting no more than a page, the thousandth page as cheap as the first.
 */
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import type { ClientBase } from 'pg';
import type { RowQuery } from '#platform/database/fast_read/fast_read.ts';
import { withSession } from '#platform/database/pool.ts';
import { nearbyMonths } from '#services/calls/api/lists/nearby_months.ts';
import { CALL_COLUMNS } from '#services/calls/call_fields.ts';
import type { CallFilter } from '#services/calls/call_filter.ts';
import { CALL_TYPES } from '#services/calls/contract.ts';
import { monthOfICdr } from '#services/calls/i_cdr.ts';
import { callColumns, callIdOf, sourceKeyOf } from '#services/calls/intake/call_columns.ts';
import { SOURCE_KEY_LENGTH } from '#services/calls/intake/normalize.ts';
import { ZONE_SPREAD_MS } from '#services/calls/intake/same_call.ts';
import { sumByQuarter } from '#services/calls/intake/usage.ts';
import { addMonths, startOfMonth } from '#services/calls/months.ts';
import { readNumberPattern, searchFor } from '#services/calls/number_pattern.ts';
import { createNumberReader } from '#services/calls/numbers.ts';
import { deleteUsageDays, rebuildUsageDays } from '#services/calls/store/account_edits.ts';
import {
  allAccounts,
  codesOfAccounts,
  everyAccount,
  visibleAccount,
  visibleAccounts,
  visibleTree,
} from '#services/calls/store/accounts.ts';
import {
  callsToWrite,
  countCalls,
  type KeysetPosition,
  pageOfCalls,
  recordsOfCalls,
  visibleCall,
} from '#services/calls/store/calls.ts';
import { formerKeys } from '#services/calls/store/former_keys.ts';
import { accountsByCode, addUsage } from '#services/calls/store/intake.ts';
import { legsOfCall, pageOfLinkedCalls } from '#services/calls/store/linked_calls.ts';
import { sumLinkedUsage } from '#services/calls/store/linked_usage.ts';
import {
  dropProvisionalRejections,
  findProvisional,
  provisionalRows,
  takeProvisional,
} from '#services/calls/store/provisional.ts';
import {
  countRejected,
  listRejected,
  rejectedLengths,
  takeContents,
  takeRejected,
} from '#services/calls/store/rejected.ts';
import { findCalls, MAX_OF_ONE_ID, monthsWithIds } from '#services/calls/store/told_calls.ts';
import { sumUsage, totalOfCalls } from '#services/calls/store/usage.ts';
import { readInstant } from '#services/calls/time/instants.ts';
import { zoneClock } from '#services/calls/time/zone_clock.ts';
import { bucketBounds, spansOfBuckets } from '#services/calls/usage/consumption.ts';
import { coverRange } from '#services/calls/usage/usage_cover.ts';
import { keyByHash } from '#services/identity/store.ts';
import { testDatabase } from '#tests/postgres.ts';
import { CALLS, fillBigTable, MONTHS, MOVED } from './big_table.ts';
import { assertByIndex, keptPlanOn, PAGE, planOn, readOfMonths, SMALL } from './explained.ts';

const { pool } = await testDatabase();
await fillBigTable(pool);
const planOf = (statement: RowQuery, client: Pick<ClientBase, 'query'> = pool) => planOn(client, statement);
const keptPlanOf = (statement: RowQuery) => keptPlanOn(pool, statement);
const numbers = createNumberReader();
const berlin = zoneClock('Europe/Berlin')!;
const base: CallFilter = { iAccount: 1, type: 'all' } as CallFilter;
const month = { from: '2026-03-01T00:00:00Z', to: '2026-04-01T00:00:00Z' };

test('the table is as large as it says', async () => {
  const { rows } = await pool.query(
    `SELECT sum(reltuples)::bigint AS calls, count(*) AS months FROM pg_class WHERE relname ~ '^cdrs_\\d{6}$'`,
  );
  assert.equal(rows[0].months, MONTHS);
  assert.ok(Math.abs(rows[0].calls - CALLS) < CALLS / 100);
});

/** A filter for a number or its beginning, of an account of Germany. */
function search(column: 'cli' | 'cld' | 'number', text: string): Partial<CallFilter> {
  const pattern = readNumberPattern(text);
  assert.ok(pattern.kind !== 'bad');
  return { [column]: searchFor(pattern, numbers, 'DE') };
}

const lists: [string, Partial<CallFilter>, { months: number; blocks: number }][] = [
  ['all calls of an account', {}, { months: 2, blocks: 400 }],
  ['a month', month, { months: 1, blocks: 400 }],
  ['answered calls', { type: 'answered' }, { months: 2, blocks: 600 }],
  ['billed calls of a month', { ...month, type: 'non_zero' }, { months: 1, blocks: 600 }],
  ['errors, few among many', { type: 'errors' }, { months: 36, blocks: 1_500 }],
  ['one called number', search('cld', '+4420794607900'), { months: 36, blocks: 1_500 }],
  ['a called number as the switch wrote it', search('cld', '004420794607900'), { months: 36, blocks: 1_500 }],
  ['a caller as the switch wrote it', search('cli', '0302312501'), { months: 36, blocks: 4_000 }],
  ['calls of an import', { iImport: 50 }, { months: 36, blocks: 1_500 }],
  ['either number', search('number', '+4420794607900'), { months: 36, blocks: 2_500 }],
  ['either number, as the switch wrote it', search('number', '0302312501'), { months: 36, blocks: 6_000 }],
  ['one call id, whosever it is', { iAccount: null, callId: 'c5000000' }, { months: 36, blocks: 400 }],
  [
    'the same, as support asks',
    { iAccount: null, callId: 'c5000000', numbersHidden: true },
    { months: 36, blocks: 400 },
  ],
  ['one call id', { callId: 'c5000000' }, { months: 36, blocks: 400 }],
  ['one call id, as support asks', { callId: 'c5000000', numbersHidden: true }, { months: 36, blocks: 400 }],
];

for (const order of ['desc', 'asc'] as const) {
  for (const [name, filter, most] of lists) {
    test(`${name}, ${order}`, async () => {
      assertByIndex(
        await planOf(pageOfCalls({ ...base, ...filter } as CallFilter, order, undefined, PAGE)),
        most,
      );
    });
  }
}

/** As the planner must find them in the months that are near, whatever else of them is read. */
const narrowed: [string, Partial<CallFilter>][] = [
  ['a calling number', search('cli', '+493023125001')],
  ['a calling number as it is dialled', search('cli', '030 231250-1')],
  ['called numbers that begin alike', search('cld', '+4420*')],
  ['called numbers that begin alike, as dialled', search('cld', '0044 20*')],
  ['either number', search('number', '+493023125001')],
  ['either number, of those that begin alike', search('number', '0044 20*')],
  ['a direction', { direction: 'inbound' }],
  ['calls that are long', { minDurationS: 600 }],
];

test('pages of a filter, and the records of an export, are by index in the months near to where they begin', async () => {
  const now = Date.UTC(2026, 11, 15);
  for (const [name, filter] of narrowed) {
    const asked = { ...base, ...filter } as CallFilter;
    for (const order of ['desc', 'asc'] as const) {
      const place = { start_time: '2025-05-01T00:00:00Z', i_cdr: 1 };
      const [window] = nearbyMonths(asked, order, place, now);
      const plan = await planOf(callsToWrite(asked, order, place, PAGE, window));
      assert.ok(plan.months.size <= 2, name);
      assertByIndex(plan, { months: 2, blocks: Number.POSITIVE_INFINITY });
    }
  }
  const [window] = nearbyMonths(base, 'desc', undefined, now);
  const records = await planOf(recordsOfCalls(CALL_COLUMNS, base, 'desc', undefined, 2_000, window));
  assertByIndex(records, { months: 2, blocks: 4_000, sorted: 0 });
});

test("a count reads the account's calls of its range, by index, and no others", async () => {
  const plan = await planOf(countCalls({ ...base, ...month, direction: 'inbound' } as CallFilter));
  assertByIndex(plan, { months: 1, blocks: Number.POSITIVE_INFINITY });
});

test('a page is planned for the months near to where it begins, not for all', async () => {
  const now = Date.UTC(2026, 11, 15);
  const { rows } = await pool.query<KeysetPosition>(
    `SELECT start_time, i_cdr FROM calls.cdrs_202505 WHERE i_account = 1 ORDER BY start_time LIMIT 1`,
  );
  for (const [order, place, months] of [
    ['desc', undefined, ['cdrs_202611', 'cdrs_202612']],
    ['desc', rows[0], ['cdrs_202504', 'cdrs_202505']],
    ['asc', rows[0], ['cdrs_202505', 'cdrs_202506']],
  ] as const) {
    const [nearest] = nearbyMonths(base, order, place, now);
    const plan = await planOf(callsToWrite(base, order, place, PAGE, nearest));
    assert.deepEqual([...plan.planned].sort(), months);
    assertByIndex(plan, { months: 2, blocks: 400 });
  }
});

test('a plan that is kept is by index too, for accounts of many calls and of few, on the first page and a late one', async () => {
  const now = Date.UTC(2026, 11, 15);
  for (const iAccount of [1, 7]) {
    const { rows } = await pool.query<KeysetPosition>(
      `SELECT start_time, i_cdr FROM calls.cdrs_202505 WHERE i_account = $1 ORDER BY start_time LIMIT 1`,
      [iAccount],
    );
    for (const type of CALL_TYPES) {
      const filter = { iAccount, type };
      for (const place of [undefined, rows[0]]) {
        for (const window of nearbyMonths(filter, 'desc', place, now)) {
          const statement = callsToWrite(filter, 'desc', place, PAGE, window);
          const [kept, own] = [await keptPlanOf(statement), await planOf(statement)];
          assertByIndex(kept, { months: own.months.size, blocks: 1.2 * own.blocks + 40 });
        }
      }
      const everything = coverRange({ from: null, to: null }, berlin);
      assertByIndex(
        await keptPlanOf(
          totalOfCalls([{ iAccounts: [iAccount], timeZone: 'Europe/Berlin', cover: everything }], type),
        ),
        { months: 0, blocks: 300 },
      );
    }
    assertByIndex(await keptPlanOf(visibleAccount(iAccount, null)), { months: 0, blocks: 60 });
  }
});

test('the thousandth page costs what the first does', async () => {
  const first = await planOf(pageOfCalls(base, 'desc', undefined, PAGE));
  const { rows } = await pool.query<KeysetPosition>(
    `SELECT start_time, i_cdr FROM calls.cdrs WHERE i_account = 1 ORDER BY start_time DESC, i_cdr DESC OFFSET 99900 LIMIT 1`,
  );
  const late = await planOf(pageOfCalls(base, 'desc', rows[0]!, PAGE));
  assertByIndex(late, { months: 2, blocks: 400 });
  assert.ok(late.blocks <= first.blocks * 1.5 + 20, `${late.blocks} blocks against ${first.blocks}`);
});

test('one call is looked up in its own month alone', async () => {
  const { rows } = await pool.query<{ i_cdr: number }>(`SELECT i_cdr FROM calls.cdrs_202505 LIMIT 1`);
  const iCdr = rows[0]!.i_cdr;
  const within = monthOfICdr(iCdr)!;
  for (const bound of [null, 7])
    assertByIndex(
      await planOf(visibleCall(iCdr, startOfMonth(within), startOfMonth(addMonths(within, 1)), bound)),
      { months: 1, blocks: 40 },
    );
});

test('who may see what, and keys, are looked up by index', async () => {
  assertByIndex(await planOf(visibleAccount(7, 1)), { months: 0, blocks: 60 });
  assertByIndex(await planOf(visibleAccount(7, null)), { months: 0, blocks: 60 });
  assertByIndex(await planOf(everyAccount()), { months: 0, blocks: 60 });
  assertByIndex(await planOf(codesOfAccounts([1, 2, 3])), { months: 0, blocks: 60 });
  assertByIndex(await planOf(accountsByCode(['a1', 'a2', 'a3'])), { months: 0, blocks: 60 });
  assertByIndex(await planOf(keyByHash(Buffer.alloc(32))), { months: 0, blocks: 20 });
  assertByIndex(await planOf(formerKeys.byHash(Buffer.alloc(32))), { months: 0, blocks: 20 });
});

const at = (text: string) => {
  const read = readInstant(text);
  assert.ok(read.kind === 'instant');
  return read.at;
};

test('what an import asks and adds for a batch is by index, in the months of the batch', async () => {
  const at = Date.UTC(2026, 2, 31, 12);
  const columns = callColumns(2_000);
  const calls = Array.from({ length: 2_000 }, (_, call) => call);
  for (const call of calls) {
    columns.startTime[call] = at + call * 1_000;
    columns.key[call] = `${`k${call}`.padEnd(SOURCE_KEY_LENGTH)}c${call}`;
    columns.iAccount[call] = 1 + (call % 1_000);
    columns.direction[call] = 'outbound';
    columns.country[call] = 'GB';
    columns.currency[call] = 'EUR';
    columns.cost[call] = '0.01';
  }
  // A look-up each, of some levels of an index.
  const lookUps = calls.map((call) => ({
    callId: callIdOf(columns.key[call]!),
    sourceKey: sourceKeyOf(columns.key[call]!),
    told: 0,
    start: columns.startTime[call]!,
  }));
  const known = await planOf(findCalls(lookUps, ['test'], { nearMs: ZONE_SPREAD_MS }));
  assertByIndex(known, { months: 2, blocks: 2_000 * 2 * 4 });
  // Of a source that the statistics do not know yet they expect nothing, and would have read all to find it.
  const unheard = await planOf(findCalls(lookUps, ['just begun'], { nearMs: ZONE_SPREAD_MS }));
  assertByIndex(unheard, { months: 2, blocks: 2_000 * 2 * 4 });
  const usage = sumByQuarter(columns, calls);
  await withSession(pool, async ({ client }) => {
    await client.query('BEGIN');
    const added = await planOf(addUsage(usage), client);
    await client.query('ROLLBACK');
    assertByIndex(added, { months: 0, blocks: 40 * usage.length, sorted: usage.length });
  });
});

test('months far from the rows are looked through for their ids to a bound, whatever other sources have there', async () => {
  const months = [2, 3, 4, 5, 6, 7, 8].map((month) => ({
    from: Date.UTC(2026, month, 1),
    to: Date.UTC(2026, month + 1, 1),
  }));
  const MOST = 2_000;
  // Ids without an order: those of another source lie between them in each month.
  for (const [source, read] of [
    ['just begun', MOST],
    ['test', 1],
  ] as const) {
    const plan = await planOf(monthsWithIds(months, 'c0', 'c9', [source], MOST));
    assertByIndex(plan, { months: months.length, blocks: months.length * 100 });
    assert.ok(readOfMonths(plan) <= months.length * read, `${readOfMonths(plan)} entries were read`);
  }
  const ids = Array.from({ length: 200 }, (_, n) => `c${n * 7_919}x`);
  const start = Date.UTC(2026, 5, 15);
  const within = { from: months[0]!.from, to: months.at(-1)!.to };
  const lookUps = ids.map((callId) => ({ callId, sourceKey: '', told: 0, start }));
  const far = { nearMs: 100 * 86_400_000, within };
  const plan = await planOf(findCalls(lookUps, ['test'], far));
  assertByIndex(plan, { months: months.length, blocks: ids.length * months.length * 4 });
});

test('of an id that very many calls bear no more are looked at than name a call', async () => {
  const start = Date.UTC(2026, 5, 15);
  const lookUps = [{ callId: 'inbound', sourceKey: '', told: 0, start }];
  await withSession(pool, async ({ client }) => {
    await client.query('BEGIN');
    await client.query(`
      INSERT INTO calls.cdrs SELECT (jsonb_populate_record(c, jsonb_build_object(
        'call_id', 'inbound', 'source_key', md5(c.i_cdr::text), 'i_cdr', c.i_cdr + 5000000000))).*
      FROM calls.cdrs c WHERE start_time >= '2026-06-10Z' AND start_time < '2026-06-20Z'`);
    const within = { from: Date.UTC(2026, 4, 1), to: Date.UTC(2026, 7, 1) };
    for (const [source, reach] of [
      ['test', { nearMs: ZONE_SPREAD_MS, limited: true }],
      ['test', { nearMs: 100 * 86_400_000, within }],
      ['just begun', { nearMs: 100 * 86_400_000, within }],
    ] as const) {
      const plan = await planOf(findCalls(lookUps, [source], reach), client);
      assertByIndex(plan, { months: 3, blocks: 8 * MAX_OF_ONE_ID });
      assert.ok(readOfMonths(plan) <= MAX_OF_ONE_ID + 1, `${readOfMonths(plan)} calls were read`);
    }
    await client.query('ROLLBACK');
  });
});

test('what was set aside is found and dropped by index, among hundreds of thousands', async () => {
  const SET_ASIDE = 300_000;
  await withSession(pool, async ({ client }) => {
    await client.query(`INSERT INTO calls.imports (file, format, source, options)
      SELECT 'file ' || n, 'mapped', 'test', '{}' FROM generate_series(1, 300) n`);
    await client.query(
      `INSERT INTO calls.rejected_cdrs (i_import, source, file, line, code, reason, bytes, content)
       SELECT i.i_import, i.source, i.file, n, CASE WHEN n % 10 = 0 THEN 'bad_time' ELSE 'unknown_account' END, 'r',
         repeat('x', n % 50)::bytea, sha256((i.file || ' ' || n)::bytea)
       FROM calls.imports i, generate_series(1, $1::int / 300) n WHERE i.file LIKE 'file %'`,
      [SET_ASIDE],
    );
    // Of every tenth a file ended within it; as many calls were stored so.
    await client.query(
      `INSERT INTO calls.provisional_rows (fingerprint, source_bytes, head, source, row_offset, row_hash, i_rejected, i_cdr)
       SELECT sha256(i_rejected::text::bytea), 1000, sha256('head'), 'source ' || (i_rejected / 10) % 50, 900, sha256('row'),
         CASE WHEN i_rejected % 20 = 0 THEN i_rejected END, CASE WHEN i_rejected % 20 > 0 THEN i_rejected END
       FROM calls.rejected_cdrs WHERE i_rejected % 10 = 0`,
    );
    await client.query('VACUUM ANALYZE calls.rejected_cdrs, calls.imports, calls.provisional_rows');
    const { rows } = await client.query('SELECT max(i_rejected) / 2 AS middle FROM calls.rejected_cdrs');
    const middle: number = rows[0].middle;
    const lines = Array.from({ length: 100 }, (_, i) => i + 1);
    const ids = lines.map((line) => middle + line);
    for (const [statement, blocks] of [
      [listRejected({}, middle, PAGE), 700],
      [listRejected({ file: 'file 7', code: 'bad_time' }, 0, PAGE), 2_000],
      [countRejected({ file: 'file 7' }), 1_200],
      [rejectedLengths('test'), 300],
      [
        takeContents(
          1,
          lines.map((line) => hash('sha256', `file 7 ${line}`, 'buffer')),
        ),
        // A row that is taken in is written anew, with its entries in all six indexes.
        3_500,
      ],
      [takeRejected(1, ids), 3_500],
      [provisionalRows('source 10'), 2_500],
      [findProvisional('source 10', [hash('sha256', '100')]), 60],
      [takeProvisional('source 10', [hash('sha256', '100')]), 60],
      [dropProvisionalRejections('source 20', [hash('sha256', '200')]), 60],
    ] as const) {
      await client.query('BEGIN');
      assertByIndex(await planOf(statement, client), { months: 0, blocks, sorted: 1_000 });
      await client.query('ROLLBACK');
    }
  });
});

test("an account's usage is put together anew from its own quarters", async () => {
  await withSession(pool, async ({ client }) => {
    await client.query('BEGIN');
    const dropped = await planOf(deleteUsageDays(7), client);
    const rebuilt = await planOf(rebuildUsageDays(7), client);
    await client.query('ROLLBACK');
    const { rows } = await client.query(
      'SELECT count(*)::int AS quarters FROM calls.usage_quarters WHERE i_account = 7',
    );
    assertByIndex(dropped, { months: 0, blocks: 5_000 });
    assertByIndex(rebuilt, { months: 0, blocks: 20_000, sorted: rows[0].quarters });
  });
});

const busy = { iAccounts: [1], timeZone: 'Europe/Berlin' };

test('a total counts no rows but those of two ragged ends', async () => {
  for (const type of ['all', 'answered', 'non_zero', 'errors'] as const) {
    const range = { from: at('2024-02-03T04:05:06Z'), to: at('2026-11-12T13:14:15Z') };
    const plan = await planOf(totalOfCalls([{ ...busy, cover: coverRange(range, berlin) }], type));
    assertByIndex(plan, { months: 2, blocks: 300 });
    assertByIndex(
      await planOf(totalOfCalls([{ ...busy, cover: coverRange({ from: null, to: null }, berlin) }], type)),
      {
        months: 0,
        blocks: 300,
      },
    );
  }
});

test('a year of consumption reads days, or quarters, and no calls', async () => {
  const [from, to] = [at('2025-01-01T00:00:00+01:00'), at('2026-01-01T00:00:00+01:00')];
  const own = bucketBounds(from, to, 'day', berlin)!;
  assertByIndex(await planOf(sumUsage([{ ...busy, spans: spansOfBuckets(own, berlin) }], [], 100_000)), {
    sorted: 366, // the days of the answer and their total
    months: 0,
    blocks: 300,
  });
  const nepal = zoneClock('Asia/Kathmandu')!;
  const other = bucketBounds(at('2025-01-01T00:00:00+05:45'), at('2026-01-01T00:00:00+05:45'), 'day', nepal)!;
  const plan = await planOf(
    sumUsage([{ ...busy, spans: spansOfBuckets(other, undefined) }], ['country'], 100_000),
  );
  assert.equal(plan.months.size, 0);
  assert.deepEqual(
    plan.nodes.filter(
      (n) => n['Node Type'] === 'Seq Scan' && n['Actual Loops'] > 0 && !SMALL.includes(n['Relation Name']!),
    ),
    [],
  );
});

test('calls of several legs are walked by account and time, and their legs looked up, in the months that are near', async () => {
  const now = Date.UTC(2026, 11, 15);
  const { rows } = await pool.query<KeysetPosition>(
    `SELECT start_time, i_cdr FROM calls.cdrs_202505 WHERE i_account = 1 ORDER BY start_time LIMIT 1`,
  );
  for (const filter of [base, { ...base, type: 'answered' } as CallFilter]) {
    for (const place of [undefined, rows[0]]) {
      const [nearest] = nearbyMonths(filter, 'desc', place, now);
      const plan = await planOf(pageOfLinkedCalls(false, filter, 'desc', place, PAGE, nearest));
      // Two, and those that a call of a hundred days may begin or end in.
      // Sorted are the legs of one call at a time.
      assertByIndex(plan, { months: place ? 28 : 8, blocks: 80_000, sorted: 10_000 });
    }
  }
  const legs = legsOfCall(rows[0]!.i_cdr, '2025-05-01T00:00:00Z', '2025-06-01T00:00:00Z', null, false, 1_000);
  assertByIndex(await planOf(legs), { months: MONTHS, blocks: 400 });
  const [from, to] = [at('2026-03-01T00:00:00+01:00'), at('2026-04-01T00:00:00+02:00')];
  const march = bucketBounds(from, to, 'day', berlin)!;
  const own = { iAccounts: [1], seen: { from: null, to: null } };
  const usage = await planOf(sumLinkedUsage([own], march, ['direction'], 100_000));
  assertByIndex(usage, { months: MONTHS, blocks: 20_000, sorted: 4_000 });
  // What is not looked up by what joins it lies in the range, or is long.
  assert.ok(readOfMonths(usage) < 6_000, `${readOfMonths(usage)} records were read`);
});

const TREE = Array.from({ length: 19 }, (_, n) => n + 2);
const tree = (more: Partial<CallFilter> = {}): CallFilter =>
  ({ ...base, iAccount: 2, among: [{ iAccounts: TREE }], ...more }) as CallFilter;

test('an account with all below it is found by index, by whoever asks', async () => {
  for (const iAccount of [1, 2, 3])
    for (const bound of [null, 2])
      assertByIndex(await planOf(visibleTree(iAccount, bound)), { months: 0, blocks: 300 });
  assertByIndex(await planOf(visibleAccounts(2, 0, PAGE)), { months: 0, blocks: 200 });
  assertByIndex(await planOf(visibleAccounts(null, 0, PAGE)), { months: 0, blocks: 200 });
});

test('accounts that were moved are found by index, by their parents of before and since, and so are their calls', async () => {
  for (const bound of [29, 30]) {
    assertByIndex(await planOf(visibleAccount(31, bound)), { months: 0, blocks: 60 });
    assertByIndex(await planOf(visibleTree(bound, bound)), { months: 0, blocks: 300 });
    assertByIndex(await planOf(visibleAccounts(bound, 0, PAGE)), { months: 0, blocks: 200 });
  }
  const { rows } = await pool.query<{ i_cdr: number }>(
    `SELECT i_cdr FROM calls.cdrs_202505 WHERE i_account = 31 LIMIT 1`,
  );
  const [from, to] = ['2025-05-01T00:00:00Z', '2025-06-01T00:00:00Z'];
  assertByIndex(await planOf(visibleCall(rows[0]!.i_cdr, from, to, 29)), { months: 1, blocks: 40 });
  const moved = Array.from({ length: 19 }, (_, n) => n + 31);
  const seen = moved.map(() => ({ from: null, to: at(MOVED) }));
  const tree = {
    ...base,
    iAccount: 29,
    among: [{ iAccounts: [29] }, { iAccounts: moved, seen }],
  } as CallFilter;
  const now = Date.UTC(2026, 11, 15);
  for (const order of ['desc', 'asc'] as const) {
    const place = { start_time: '2025-05-15T00:00:00Z', i_cdr: 1 };
    const [window] = nearbyMonths(tree, order, place, now);
    const plan = await planOf(callsToWrite(tree, order, place, PAGE, window));
    assertByIndex(plan, { months: 2, blocks: 2_000, sorted: PAGE * TREE.length });
  }
  const counted = await planOf(
    countCalls({ ...tree, from: '2025-05-09T00:00:00Z', to: '2025-05-12T00:00:00Z' }),
  );
  assertByIndex(counted, { months: 1, blocks: 4_000 });
});

test('a page of a tree reads of each account no more than a page, in the months that are near', async () => {
  const now = Date.UTC(2026, 11, 15);
  const filters: [CallFilter, number][] = [
    [tree(), 2_000],
    [tree({ type: 'answered' }), 8_000],
    [tree({ among: [{ iAccounts: TREE, ...search('number', '+493023125001') }] }), 8_000],
  ];
  for (const order of ['desc', 'asc'] as const) {
    for (const [filter, blocks] of filters) {
      const place = { start_time: '2025-05-01T00:00:00Z', i_cdr: 1 };
      const [window] = nearbyMonths(filter, order, place, now);
      const plan = await planOf(callsToWrite(filter, order, place, PAGE, window));
      assertByIndex(plan, { months: 2, blocks, sorted: PAGE * TREE.length });
    }
  }
  const window = { since: '2025-04-20T00:00:00Z', until: '2025-05-01T00:00:00Z' };
  const records = await planOf(recordsOfCalls(CALL_COLUMNS, tree(), 'desc', undefined, 2_000, window));
  assertByIndex(records, { months: 1, blocks: 20_000, sorted: 2_000 });
  const [near] = nearbyMonths(tree(), 'desc', undefined, now);
  const calls = await planOf(pageOfLinkedCalls(false, tree(), 'desc', undefined, PAGE, near));
  // For each record it is looked up whether it is the first, for those of the page their legs, in up to eight months.
  assertByIndex(calls, { months: 8, blocks: 150_000, sorted: PAGE * TREE.length });
  const byId = await planOf(pageOfCalls(tree({ callId: 'c5000000' }), 'desc', undefined, PAGE));
  assertByIndex(byId, { months: MONTHS, blocks: 400 });
  const counted = await planOf(countCalls(tree({ ...month, direction: 'inbound' })));
  assertByIndex(counted, { months: 1, blocks: Number.POSITIVE_INFINITY });
});

test('consumption of a tree, and a report of all accounts, read the days that are asked for, and no calls', async () => {
  const ofTree = { iAccounts: TREE, timeZone: 'Europe/Berlin' };
  const [from, to] = [at('2026-03-01T00:00:00+01:00'), at('2026-04-01T00:00:00+02:00')];
  const days = spansOfBuckets(bucketBounds(from, to, 'day', berlin)!, berlin);
  const split = await planOf(sumUsage([{ ...ofTree, spans: days }], ['i_account', 'country'], 100_000));
  assertByIndex(split, { months: 0, blocks: 2_000, sorted: 31 * 20 });
  const byQuarters = spansOfBuckets([from, to], undefined);
  const quarters = await planOf(sumUsage([{ ...ofTree, spans: byQuarters }], [], 100_000));
  assertByIndex(quarters, { months: 0, blocks: 40_000, sorted: Number.POSITIVE_INFINITY });
  const cover = coverRange({ from, to }, berlin);
  assertByIndex(await planOf(totalOfCalls([{ ...ofTree, cover }], 'answered')), { months: 0, blocks: 2_000 });
  // All that the usage tables hold here.
  const all = Array.from({ length: 20 }, (_, n) => n + 1);
  const spans = {
    days: [{ from: '2026-03-01', to: '2026-04-01', bucket: 0 }],
    midnights: [],
    quarters: [],
    calls: [],
  };
  const report = sumUsage([{ iAccounts: all, timeZone: '', spans }], ['currency', 'i_account'], 100_000);
  assertByIndex(await planOf(report), { months: 0, blocks: 10_000, sorted: 1_000 });
  assertByIndex(await planOf(allAccounts()), { months: 0, blocks: 60, sorted: 1_000 });
});
