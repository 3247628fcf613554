import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { withSession } from '#platform/database/pool.ts';
import { callRow, testImportSource } from '#tests/calls.ts';
import { type Json, testApi } from '#tests/calls_api.ts';
import { changeAccount } from '../../accounts/accounts.ts';
import type { SourceRecord } from '../../cdr.ts';
import { takeIn } from '../../intake/intake.ts';
import { THE_PROGRAM } from '../../store/audit.ts';
import { sumUsage } from '../../store/usage.ts';
import { zoneClock } from '../../time/zone_clock.ts';
import { bucketBounds, GRANULARITIES, type Granularity, spansOfBuckets } from '../../usage/consumption.ts';

const api = await testApi();
const operator = await api.key('operator');
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

let accounts = 0;
async function newAccount(timeZone: string): Promise<{ code: string; iAccount: number }> {
  const code = `account-${++accounts}`;
  return { code, iAccount: await api.account(code, { timeZone }) };
}

async function store(calls: readonly Partial<SourceRecord>[]): Promise<void> {
  const rows = calls.map(callRow);
  const importSource = await testImportSource(api.database.pool, { credits: true });
  await takeIn(api.database.pool, importSource, rows);
  // The same rows again, and half of them once more: nothing may count twice.
  await takeIn(api.database.pool, importSource, rows);
  await takeIn(api.database.pool, importSource, rows.slice(rows.length >> 1));
}

async function consumption(query: Record<string, string | number | undefined>): Promise<Json> {
  const text = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) text.set(name, String(value));
  const { status, body, text: said } = await api.get(`/consumption?${text}`, operator);
  assert.equal(status, 200, said);
  return body;
}

interface PlainCall {
  readonly startTime: number;
  readonly connectTime: number | null;
  readonly durationS: number;
  readonly billedDurationS: number;
  readonly country: string | null;
  readonly direction: 'inbound' | 'outbound';
  readonly cost: string | null;
  readonly currency: string;
}

/** Money in ten-thousandths, so that the plain sum is exact. */
const TENTHOUSANDTHS = 10_000;

function plainSums(calls: readonly PlainCall[]): Json {
  const cost = new Map<string, number>();
  for (const call of calls) {
    if (call.cost === null) continue;
    cost.set(call.currency, (cost.get(call.currency) ?? 0) + Math.round(Number(call.cost) * TENTHOUSANDTHS));
  }
  const sum = (pick: (call: PlainCall) => number) => calls.reduce((all, call) => all + pick(call), 0);
  return {
    calls: calls.length,
    answered: calls.filter((call) => call.connectTime !== null).length,
    seconds: sum((call) => call.durationS),
    billed_seconds: sum((call) => call.billedDurationS),
    cost: [...cost]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([currency, amount]) => ({ currency, amount: String(amount / TENTHOUSANDTHS) })),
  };
}

const sumsIn = ({ calls, answered, seconds, billed_seconds, cost }: Json) => ({
  calls,
  answered,
  seconds,
  billed_seconds,
  cost,
});

/** Periods in which clocks were changed, those of PostgreSQL's and Node's editions that differ among them. */
const PERIODS: [zone: string, around: string][] = [
  ['Europe/Berlin', '2026-10-25T01:00:00Z'],
  ['Asia/Kathmandu', '2026-03-29T01:00:00Z'],
  ['Asia/Kathmandu', '1985-12-31T18:30:00Z'],
  ['Australia/Lord_Howe', '2026-04-04T15:00:00Z'],
  ['America/St_Johns', '2010-11-07T02:31:00Z'],
  ['America/Sao_Paulo', '2018-11-04T03:00:00Z'],
  ['Pacific/Apia', '2011-12-30T10:00:00Z'],
  ['Africa/Monrovia', '1972-01-07T00:44:30Z'],
  ['Africa/Casablanca', '2026-11-01T00:00:00Z'],
  ['America/Edmonton', '2026-11-10T07:00:00Z'],
];

const anyCall = fc.record({
  offsetMs: fc.integer({ min: -100 * HOUR_MS, max: 100 * HOUR_MS }),
  late: fc.boolean(),
  answered: fc.boolean(),
  seconds: fc.integer({ min: 0, max: 5_000 }),
  country: fc.constantFrom('DE', 'GB', null),
  direction: fc.constantFrom('inbound' as const, 'outbound' as const),
  cost: fc.option(fc.integer({ min: -500, max: 20_000 })),
  currency: fc.constantFrom('EUR', 'USD'),
});

test('each bucket holds the plain sum of its calls, whatever zone, range, step and group', async () => {
  const anyQuery = fc.record({
    a: fc.integer({ min: -110 * 3600, max: 110 * 3600 }),
    b: fc.integer({ min: -110 * 3600, max: 110 * 3600 }),
    whole: fc.boolean(),
    granularity: fc.constantFrom(...GRANULARITIES),
    otherZone: fc.option(fc.constantFrom(...PERIODS.map(([zone]) => zone)), { nil: undefined }),
    grouping: fc.constantFrom(undefined, 'direction' as const, 'country' as const),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...PERIODS),
      fc.array(anyCall, { minLength: 1, maxLength: 80 }),
      fc.array(anyQuery, { minLength: 4, maxLength: 8 }),
      async ([zone, around], drawn, queries) => {
        const { code, iAccount } = await newAccount(zone);
        const middle = Date.parse(around);
        const calls = drawn.map((call): PlainCall & { late: boolean } => {
          const startTime = middle + call.offsetMs;
          return {
            late: call.late,
            startTime,
            connectTime: call.answered ? startTime : null,
            durationS: call.seconds,
            billedDurationS: call.answered ? call.seconds : 0,
            country: call.country,
            direction: call.direction,
            cost: call.cost === null ? null : String(call.cost / TENTHOUSANDTHS),
            currency: call.currency,
          };
        });
        const record = (call: PlainCall): Partial<SourceRecord> => ({
          ...call,
          accountCode: code,
          disconnectTime: null,
          // A country that is not told would be told by the number.
          cld: 'x',
          cli: 'y',
          result: call.connectTime === null ? 'busy' : 'answered',
        });
        await store(calls.filter((call) => !call.late).map(record));
        await store(calls.filter((call) => call.late).map(record));

        for (const { a, b, whole, granularity, otherZone, grouping } of queries) {
          if (a === b) continue;
          const edge = (seconds: number) => {
            const at = middle + seconds * 1000;
            return new Date(whole ? Math.round(at / DAY_MS) * DAY_MS : at).toISOString();
          };
          const [from, to] = [edge(Math.min(a, b)), edge(Math.max(a, b))];
          if (from === to) continue;
          const body = await consumption({
            i_account: iAccount,
            from,
            to,
            granularity,
            time_zone: otherZone,
            group_by: grouping,
          });
          assertIsPlain(body, calls, { from, to, grouping, granularity });
        }
      },
    ),
    { numRuns: 40 },
  );
});

function assertIsPlain(
  body: Json,
  calls: readonly PlainCall[],
  asked: {
    from: string;
    to: string;
    grouping: 'direction' | 'country' | undefined;
    granularity: Granularity;
  },
): void {
  const within = (from: string, to: string) =>
    calls.filter((call) => call.startTime >= Date.parse(from) && call.startTime < Date.parse(to));
  assert.deepEqual(sumsIn(body.totals), plainSums(within(asked.from, asked.to)));
  if (asked.grouping) {
    const groupOf = (call: PlainCall) => call[asked.grouping!];
    let counted = 0;
    for (const bucket of body.data) {
      const members = within(bucket.from, bucket.to).filter(
        (call) => groupOf(call) === bucket[asked.grouping!],
      );
      assert.ok(members.length > 0, 'an empty group is listed');
      assert.deepEqual(sumsIn(bucket), plainSums(members));
      counted += members.length;
    }
    assert.equal(counted, within(asked.from, asked.to).length, 'a group is missing');
    return;
  }
  const edges: number[] = body.data.flatMap((bucket: Json) => [
    Date.parse(bucket.from),
    Date.parse(bucket.to),
  ]);
  assert.equal(edges[0], Date.parse(asked.from));
  assert.equal(edges.at(-1), Date.parse(asked.to));
  for (let i = 1; i < edges.length - 1; i += 2) assert.equal(edges[i], edges[i + 1], 'buckets do not meet');
  for (const bucket of body.data) assert.deepEqual(sumsIn(bucket), plainSums(within(bucket.from, bucket.to)));
}

test('days of 23 and 25 hours, and dates as the ends of a range', async () => {
  const { iAccount } = await newAccount('Europe/Berlin');
  const hours = (bucket: Json) => (Date.parse(bucket.to) - Date.parse(bucket.from)) / HOUR_MS;
  const spring = await consumption({ i_account: iAccount, from: '2026-03-28', to: '2026-03-31' });
  assert.deepEqual(spring.data.map(hours), [24, 23, 24]);
  assert.deepEqual(spring.data[1].from, '2026-03-29T00:00:00+01:00');
  assert.deepEqual(spring.data[1].to, '2026-03-30T00:00:00+02:00');
  const autumn = await consumption({
    i_account: iAccount,
    from: '2026-10-25',
    to: '2026-10-26',
    granularity: 'hour',
  });
  assert.equal(autumn.data.length, 25);
  const nepal = await consumption({
    i_account: iAccount,
    from: '2026-10-25',
    to: '2026-10-26',
    time_zone: 'Asia/Kathmandu',
  });
  assert.deepEqual(
    nepal.data.map((bucket: Json) => bucket.from),
    ['2026-10-25T00:00:00+05:45'],
  );
  const months = await consumption({
    i_account: iAccount,
    from: '2026-02-10',
    to: '2026-04-01',
    granularity: 'month',
  });
  assert.deepEqual(
    months.data.map((bucket: Json) => bucket.from),
    ['2026-02-10T00:00:00+01:00', '2026-03-01T00:00:00+01:00'],
  );
});

test("without from and to it is the month so far, in the account's zone", async () => {
  const { iAccount } = await newAccount('Asia/Kathmandu');
  const body = await consumption({ i_account: iAccount });
  assert.equal(body.time_zone, 'Asia/Kathmandu');
  assert.match(body.data[0].from, /^\d{4}-\d\d-01T00:00:00\+05:45$/);
  const end = Date.parse(body.data.at(-1).to);
  assert.ok(Math.abs(end - Date.now()) < 60_000);
  const november = await consumption({ i_account: iAccount, to: '2026-11-01', granularity: 'total' });
  assert.equal(november.data[0].from, '2026-10-01T00:00:00+05:45');
});

test('empty: buckets with zeros, no cost, and no groups', async () => {
  const { iAccount } = await newAccount('UTC');
  const body = await consumption({ i_account: iAccount, from: '2026-01-01', to: '2026-01-03' });
  const none = { calls: 0, answered: 0, seconds: 0, billed_seconds: 0, cost: [] };
  assert.deepEqual(body.data.map(sumsIn), [none, none]);
  assert.deepEqual(body.totals, none);
  const grouped = await consumption({
    i_account: iAccount,
    from: '2026-01-01',
    to: '2026-01-03',
    group_by: 'country',
  });
  assert.deepEqual(grouped.data, []);
});

test('another time zone of the account changes the days and no sum', async () => {
  const { code, iAccount } = await newAccount('UTC');
  await store(
    Array.from({ length: 200 }, (_, i) => ({
      accountCode: code,
      startTime: Date.parse('2026-06-01T00:00:00Z') + i * HOUR_MS,
    })),
  );
  const ask = (timeZone: string) =>
    consumption({
      i_account: iAccount,
      from: '2026-05-31T00:00:00Z',
      to: '2026-06-10T00:00:00Z',
      time_zone: timeZone,
    });
  const before = await ask('Asia/Tokyo');
  await changeAccount(api.database.pool, code, { timeZone: 'Asia/Tokyo' }, THE_PROGRAM);
  const after = await ask('Asia/Tokyo');
  assert.deepEqual(after.data, before.data);
  assert.equal((await consumption({ i_account: iAccount })).time_zone, 'Asia/Tokyo');
});

test('PostgreSQL confirms the days of the zone that the account has, and no others', async () => {
  const { code, iAccount } = await newAccount('America/St_Johns');
  await store([{ accountCode: code, startTime: Date.parse('2026-06-01T12:00:00Z') }]);
  const confirmed = async (zone: string) => {
    const bounds = bucketBounds(1_764_000_000_000_000, 1_794_000_000_000_000, 'day', zoneClock(zone)!)!;
    const part = { iAccounts: [iAccount], timeZone: zone, spans: spansOfBuckets(bounds, zoneClock(zone)) };
    const statement = sumUsage([part], [], 1_000);
    const rows = await withSession(api.database.pool, (session) => session.rows(statement));
    return rows[0]!.days_confirmed;
  };
  assert.equal(await confirmed('America/St_Johns'), true);
  assert.equal(await confirmed('Europe/Berlin'), false);
});

test('what is wrong with a query is said, with the name of the parameter', async () => {
  const { iAccount } = await newAccount('UTC');
  const cases: [query: string, words: RegExp, field: string][] = [
    ['granularity=minute', /`granularity` must be one of: hour, day, week, month, total/, 'granularity'],
    ['time_zone=Mars/Base', /`time_zone` is not a time zone/, 'time_zone'],
    ['time_zone=%2B01:00', /`time_zone` is not a time zone/, 'time_zone'],
    ['group_by=cli', /`group_by` must be one or more of.*: account, direction, country/, 'group_by'],
    ['from=2026-11-01T00:00:00', /`from` has no zone.*or a date/, 'from'],
    ['from=2026-11-02&to=2026-11-02', /`from` must be before `to`/, 'from'],
    [
      'from=2020-01-01&to=2026-01-01&granularity=hour',
      /more than 10000 buckets.*granularity=day/,
      'granularity',
    ],
    ['from=1990-01-01&to=2026-01-01', /more than 10000 buckets.*granularity=month/, 'granularity'],
    ['cli=1', /Unknown query parameter: `cli`/, 'cli'],
  ];
  for (const [query, words, field] of cases) {
    const { status, body } = await api.get(`/consumption?i_account=${iAccount}&${query}`, operator);
    assert.equal(status, 400, query);
    assert.match(body.error, words);
    assert.ok(body.fields.includes(field), query);
  }
});
