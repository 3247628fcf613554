import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { withTransaction } from '#platform/database/pool.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { createLogger } from '#platform/telemetry/logger.ts';
import { callRow, testImportSource } from '#tests/calls.ts';
import { testDatabase } from '#tests/postgres.ts';
import { printedSeed } from '#tests/seed.ts';
import { assertUsageIsExact } from '#tests/usage.ts';
import { takeIn } from '../intake/intake.ts';
import { ensureMonths } from '../partitions.ts';
import { monthsLeft, repairOutcomes, repairStep } from './outcome_repairs.ts';

const { pool } = await testDatabase();

const IMPORTS = {
  asterisk: ['asterisk-csv', {}],
  billed: ['mapped', { mapping: { columns: { B: 'billed_duration_s', S: 'start_time' } } }],
  unbilled: ['mapped', { mapping: { columns: { R: 'result', S: 'start_time' } } }],
  answers: ['mapped', { mapping: { columns: { A: 'connect_time', S: 'start_time' } } }],
  seconds: ['mapped', { mapping: { columns: { S: 'start_time', D: 'duration_s' } } }],
  post: ['posted-fields', {}],
  cucm: ['cisco-cucm', {}],
} as const;
type ImportName = keyof typeof IMPORTS;
const NAMES = Object.keys(IMPORTS) as ImportName[];
const iImports = new Map<ImportName, number>();
for (const name of NAMES) {
  const [format, options] = IMPORTS[name];
  const { rows } = await pool.query(
    `INSERT INTO calls.imports (file, format, source, options) VALUES ($1, $2, 'old', $3) RETURNING i_import`,
    [name, format, JSON.stringify(options)],
  );
  iImports.set(name, rows[0].i_import);
}
const ZONES = ['UTC', 'Asia/Kathmandu', 'America/St_Johns'];
await pool.query(
  `INSERT INTO calls.accounts (code, name, currency, time_zone) SELECT z, z, 'EUR', z FROM unnest($1::text[]) AS z`,
  [ZONES],
);
await ensureMonths(pool, [202602, 202603, 202604]);

/** A call as the version before stored it; times in seconds. */
interface OldCall {
  readonly from: ImportName;
  readonly account: number;
  readonly at: number;
  readonly answerAfter: number | null;
  readonly endAfter: number | null;
  readonly duration: number;
  readonly billed: number;
  readonly result: string;
  readonly cause: string | null;
  readonly cost: string | null;
  readonly flags: readonly string[] | null;
}

const MARCH = Date.parse('2026-03-01T00:00:00Z') / 1000;
let number = 0;

async function storeAsBefore(calls: readonly OldCall[]): Promise<void> {
  const time = (call: OldCall, after: number | null) => (after === null ? null : MARCH + call.at + after);
  for (const call of calls) {
    number++;
    await pool.query(
      `INSERT INTO calls.cdrs (i_cdr, i_account, start_time, connect_time, disconnect_time, duration_s,
         billed_duration_s, result, disconnect_cause, cost, flags, i_import, line, currency, direction, cli, cld,
         call_id, source, source_key)
       VALUES (to_char(to_timestamp($3) AT TIME ZONE 'UTC', 'YYYYMM')::bigint * 10000000000 + $1, $2, to_timestamp($3),
         to_timestamp($4), to_timestamp($5), $6, $7, $8, $9, $10, $11, $12, 1, 'EUR', 'outbound', '', '1001', 'c' || $1, 'old', 'k' || $1)`,
      [
        ...[number, call.account, time(call, 0), time(call, call.answerAfter), time(call, call.endAfter)],
        ...[call.duration, call.billed, call.result, call.cause, call.cost, call.flags],
        iImports.get(call.from),
      ],
    );
  }
  // As the version before counted.
  await pool.query('TRUNCATE calls.usage_quarters, calls.usage_days');
  const sums = `count(*), count(connect_time), count(*) FILTER (WHERE billed_duration_s > 0),
    count(*) FILTER (WHERE result = 'failed'), sum(duration_s), sum(billed_duration_s), sum(cost)`;
  await pool.query(
    `INSERT INTO calls.usage_quarters
     SELECT i_account, date_bin('15 min', start_time, '2000-01-01Z'), direction, coalesce(country, ''), currency, ${sums}
     FROM calls.cdrs GROUP BY 1, 2, 3, 4, 5`,
  );
  await pool.query(
    `INSERT INTO calls.usage_days
     SELECT i_account, (start_time AT TIME ZONE a.time_zone)::date, direction, coalesce(c.country, ''), c.currency, ${sums}
     FROM calls.cdrs c JOIN calls.accounts a USING (i_account) GROUP BY 1, 2, 3, 4, 5`,
  );
}

/** Forgets all calls, and lists the months again as the migration does. */
async function beginAnew(): Promise<void> {
  await pool.query(`TRUNCATE calls.cdrs, calls.outcome_repairs;
    INSERT INTO calls.outcome_repairs (month) VALUES (202602), (202603), (202604)`);
}

async function repairAll(stepCalls?: number): Promise<number> {
  for (let steps = 0; ; steps++) if ((await repairStep(pool, stepCalls)) === undefined) return steps;
}

const CALL: OldCall = {
  ...{ from: 'asterisk', account: 1, at: 100, answerAfter: null, endAfter: 65, duration: 65, billed: 0 },
  ...{ result: 'no_answer', cause: null, cost: null, flags: null },
};

test('a call stored before becomes what it would be now', async () => {
  const cases: [
    old: Partial<OldCall>,
    result: string,
    billed: number,
    flags: string[] | null,
    cause?: string,
  ][] = [
    [{}, 'no_answer', 0, null],
    [{ result: 'answered', cause: 'ANSWERED' }, 'no_answer', 0, ['result_contradicted'], 'ANSWERED'],
    [
      { cause: 'NO ANSWER', answerAfter: 5, billed: 60, flags: ['ambiguous_time'] },
      ...(['answered', 60, ['ambiguous_time', 'result_contradicted'], 'NO ANSWER'] as const),
    ] as never,
    [{ result: 'busy', billed: 65, from: 'billed' }, 'answered', 65, ['result_contradicted']],
    [{ result: 'failed', answerAfter: 5, billed: 60, from: 'cucm' }, 'answered', 60, []],
    [{ result: 'answered', from: 'post' }, 'answered', 65, ['billed_inferred']],
    [
      { result: 'busy', answerAfter: 5, billed: 60, from: 'post', cause: '17' },
      ...(['answered', 60, ['result_contradicted'], '17 (busy)'] as const),
    ] as never,
    [
      { result: 'answered', answerAfter: 5, endAfter: null, from: 'post' },
      'answered',
      60,
      ['billed_inferred'],
    ],
    [
      { result: 'answered', billed: 65, from: 'unbilled', cause: 'ANSWERED' },
      'answered',
      65,
      null,
      'ANSWERED',
    ],
    [{ result: 'answered', billed: 65, from: 'unbilled' }, 'no_answer', 0, ['result_unknown']],
    [{ result: 'answered', billed: 65, from: 'seconds' }, 'answered', 65, null],
    [
      { result: 'answered', answerAfter: 5, endAfter: null, billed: 65, from: 'answers' },
      'answered',
      60,
      ['billed_inferred'],
    ],
    [
      { result: 'answered', answerAfter: 5, endAfter: null, billed: 65, from: 'billed' },
      'answered',
      65,
      null,
    ],
    [
      {
        result: 'answered',
        answerAfter: 0,
        endAfter: 337,
        duration: 336,
        billed: 337,
        from: 'unbilled',
        flags: ['billed_longer_than_duration'],
      },
      ...(['answered', 336, ['billed_inferred']] as const),
    ] as never,
    [
      { result: 'answered', answerAfter: 0, billed: 66, flags: ['billed_longer_than_duration'] },
      ...(['answered', 66, ['billed_longer_than_duration']] as const),
    ] as never,
    [{ cost: '-1.000' }, 'no_answer', 0, ['not_rated']],
    [{ cost: '-1.001' }, 'no_answer', 0, null],
  ];
  for (const [old, result, billed, flags, cause] of cases) {
    await beginAnew();
    await storeAsBefore([{ ...CALL, ...old }]);
    await repairAll();
    const { rows } = await pool.query(
      `SELECT result, billed_duration_s::float8 AS billed, coalesce(flags, '{}') AS flags, disconnect_cause AS cause FROM calls.cdrs`,
    );
    assert.deepEqual(
      rows,
      [{ result, billed, flags: flags ?? [], cause: cause ?? old.cause ?? null }],
      JSON.stringify(old),
    );
    await assertUsageIsExact(pool);
  }
});

const anyCall = fc.record({
  from: fc.constantFrom(...NAMES),
  account: fc.integer({ min: 1, max: ZONES.length }),
  at: fc.integer({ min: -86_400, max: 32 * 86_400 }),
  answerAfter: fc.option(fc.constantFrom(0, 5)),
  endAfter: fc.option(fc.constantFrom(3, 65)),
  duration: fc.constantFrom(0, 3, 65),
  billed: fc.constantFrom(0, 0, 60, 66),
  result: fc.constantFrom('answered', 'answered', 'no_answer', 'busy', 'failed'),
  cause: fc.constantFrom(null, 'X'),
  cost: fc.constantFrom(null, '0.1', '-1'),
  flags: fc.constant(null),
});

test('cut off at any step, beside imports and other repairers: results and sums end right', async (t) => {
  const seed = printedSeed(t);
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyCall, { minLength: 1, maxLength: 60 }),
      fc.integer({ min: 1, max: 20 }),
      async (calls, stepCalls) => {
        await beginAnew();
        await storeAsBefore(calls);
        const origin = await testImportSource(pool, { source: 'meanwhile' });
        const importing = async () => {
          for (const at of calls.slice(0, 3).map((call) => (MARCH + call.at) * 1000)) {
            await takeIn(pool, origin, [callRow({ startTime: at, accountCode: ZONES[0]! })]);
          }
        };
        // One that ends in the middle of a step leaves nothing of it.
        const cutOff = withTransaction(pool, async (session) => {
          await session.client.query('SELECT * FROM calls.outcome_repairs FOR UPDATE');
          throw new Error('cut off');
        }).catch(() => undefined);
        await Promise.all([repairAll(stepCalls), repairAll(stepCalls), importing(), cutOff]);
        await repairAll(stepCalls);
        assert.equal(await monthsLeft(pool), 0);
        const { rows } = await pool.query(
          `SELECT result, billed_duration_s, connect_time, cost FROM calls.cdrs
           WHERE (result = 'answered') < (connect_time IS NOT NULL OR billed_duration_s > 0) OR cost = -1`,
        );
        assert.deepEqual(rows, []);
        await assertUsageIsExact(pool);
      },
    ),
    { seed, numRuns: 40 },
  );
});

test('a step takes some calls, and what is done is not done again', async () => {
  await beginAnew();
  await storeAsBefore(Array.from({ length: 50 }, (_, i) => ({ ...CALL, at: i * 1800, result: 'answered' })));
  assert.ok((await repairAll(10)) >= 7, 'five steps for 50 calls, and one for each empty month');
  assert.deepEqual(
    (await pool.query('SELECT sum(calls_changed)::int AS changed FROM calls.outcome_repairs')).rows,
    [{ changed: 50 }],
  );
  assert.equal(await repairStep(pool), undefined);
});

test('calls that this version stored stay as they were told', async () => {
  await beginAnew();
  const origin = await testImportSource(pool, { source: 'this version', credits: true });
  const startTime = MARCH * 1000 + 60_000;
  await takeIn(pool, origin, [
    callRow({ startTime, connectTime: startTime, disconnectTime: null, billedDurationS: 0, cost: '-1' }),
    callRow({ startTime, connectTime: null, billedDurationS: 70, durationS: 65 }),
  ]);
  const all = async () => (await pool.query('SELECT * FROM calls.cdrs ORDER BY i_cdr')).rows;
  const before = await all();
  await pool.query(`UPDATE calls.imports SET format = 'posted-fields' WHERE i_import = $1`, [origin.iImport]);
  await repairAll();
  assert.deepEqual(await all(), before);
});

test('the service does it by itself, and says so', async () => {
  await beginAnew();
  await storeAsBefore([{ ...CALL, result: 'answered' }]);
  const stopping = new AbortController();
  await repairOutcomes({ pool, clock: systemClock, logger: createLogger('test', 'silent') }, stopping.signal);
  assert.equal(await monthsLeft(pool), 0);
  await assertUsageIsExact(pool);
});
