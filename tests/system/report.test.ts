/** `trunkline report usage`: the sums of all calls, however they are split, by each account's days or by one zone's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isoWeek, REPORT_GROUPS } from '#services/calls/usage/report.ts';
import { addDays } from '#services/calls/usage/usage_cover.ts';
import { callRow, testImportSource } from '#tests/calls.ts';
import { testApi } from '#tests/calls_api.ts';
import { type Ended, runCommand } from '#tests/command.ts';
import { printedSeed } from '#tests/seed.ts';
import { takeIn } from '../../services/calls/intake/intake.ts';

const api = await testApi();
const { pool, url } = api.database;
const ZONES = ['Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'Pacific/Auckland'];
const accounts = [...ZONES, '=1+1', 'Europe/Berlin'].map((zone, n) => ({
  code: n === 4 ? '=cmd' : `acme ${n}`,
  zone: n === 4 ? 'UTC' : zone,
}));
for (const { code, zone } of accounts) await api.account(code, { timeZone: zone });
const BEGIN = Date.parse('2026-09-29T00:00:00Z');
const COUNT = 600;
await takeIn(
  pool,
  await testImportSource(pool),
  Array.from({ length: COUNT }, (_, n) =>
    callRow({
      accountCode: accounts[n % accounts.length]!.code,
      startTime: BEGIN + Math.floor((n * 35 * 86_400_000) / COUNT),
      cld: n % 3 === 0 ? '+442079460001' : n % 3 === 1 ? '+33145678901' : '9',
      currency: n % 7 === 0 ? 'USD' : 'EUR',
      cost: n % 5 === 0 ? null : `0.0${n}`,
      durationS: 60 + (n % 10) / 8,
    }),
  ),
);

const report = (...args: string[]): Promise<Ended> =>
  runCommand(['report', 'usage', ...args], { DATABASE_URL: url });

async function rowsOf(...args: string[]): Promise<Record<string, unknown>[]> {
  const { code, out, err } = await report(...args, '--json');
  assert.equal(code, 0, err);
  return JSON.parse(out);
}

/** The plain way: every call by PostgreSQL's own clocks. */
async function counted(from: string, to: string, by: readonly string[], zone: string | null) {
  const day = `(c.start_time AT TIME ZONE coalesce($3, a.time_zone))::date`;
  const term: Record<string, string> = {
    account: 'a.code',
    country: 'c.country',
    direction: 'c.direction',
    day: `to_char(${day}, 'YYYY-MM-DD')`,
    week: `to_char(${day}, 'IYYY"-W"IW')`,
    month: `to_char(${day}, 'YYYY-MM')`,
  };
  const named = by.map((name) => `${term[name]} AS ${name}, `).join('');
  const { rows } = await pool.query(
    `SELECT ${named} c.currency, count(*)::int AS calls, count(*) FILTER (WHERE c.result = 'answered')::int AS answered,
            sum(c.duration_s)::float8 AS seconds, sum(c.billed_duration_s)::float8 AS billed_seconds,
            trim_scale(sum(c.cost))::text AS cost
     FROM calls.cdrs c JOIN calls.accounts a USING (i_account)
     WHERE ${day} >= $1::date AND ${day} < $2::date
     GROUP BY ${[...by.map((name) => term[name]), 'c.currency'].join(', ')}`,
    [from, to, zone],
  );
  return rows;
}

const inOrder = (rows: readonly object[]) => rows.map((row) => JSON.stringify(row)).sort();

test('split by whatever, over whatever days, it says what counting the calls says', async (t) => {
  const time = fc.constantFrom('day', 'week', 'month', undefined);
  const others = fc.uniqueArray(fc.constantFrom('account', 'country', 'direction'), { maxLength: 3 });
  const drawn = fc.sample(
    fc.tuple(
      time,
      others,
      fc.integer({ min: 0, max: 33 }),
      fc.integer({ min: 1, max: 36 }),
      fc.constantFrom(null, ...ZONES),
    ),
    { seed: printedSeed(t), numRuns: 10 },
  );
  for (const [unit, groups, first, days, zone] of drawn) {
    const by = unit ? [...groups, unit] : groups;
    const from = addDays('2026-09-28', first);
    const to = addDays(from, days);
    const rows = await rowsOf(
      ...['--from', from, '--to', to],
      ...(by.length > 0 ? ['--by', by.join(',')] : []),
      ...(zone ? ['--time-zone', zone] : []),
    );
    const shown = rows.map(({ currency, calls, answered, seconds, billed_seconds, cost, ...named }) => ({
      ...Object.fromEntries(by.map((name) => [name, named[name]])),
      ...{ currency, calls, answered, seconds, billed_seconds, cost },
    }));
    assert.deepEqual(
      inOrder(shown),
      inOrder(await counted(from, to, by, zone)),
      `${from} ${to} ${by} ${zone}`,
    );
  }
});

test('a month by account and country, as CSV for a spreadsheet of Germany', async () => {
  const { code, out } = await report(
    '--month',
    '2026-10',
    '--by',
    'account,country',
    '--csv',
    '--separator',
    ';',
    '--decimal',
    ',',
    '--bom',
  );
  assert.equal(code, 0);
  const [header, ...lines] = out.split('\r\n');
  assert.equal(
    header,
    '\ufeffaccount;country;calls;answered;seconds;billed_seconds;minutes;billed_minutes;cost;currency',
  );
  assert.equal(lines.pop(), '');
  const rows = await rowsOf('--month', '2026-10', '--by', 'account,country');
  assert.equal(lines.length, rows.length);
  assert.equal(
    lines.filter((line) => line.startsWith("'=cmd;")).length,
    rows.filter((row) => row.account === '=cmd').length,
  );
  for (const [n, row] of rows.entries()) {
    const cells = lines[n]!.split(';');
    assert.equal(cells[2], String(row.calls));
    assert.equal(cells[4], String(row.seconds).replace('.', ','));
    assert.equal(cells[8], String(row.cost ?? '').replace('.', ','));
    assert.equal(cells[9], row.currency);
  }
  const order = rows.map((row) => `${row.account}\t${row.country ?? ''}\t${row.currency}`);
  assert.deepEqual(order, [...order].sort());
});

test('a terminal gets a table; a time without calls says so', async () => {
  const { code, out } = await report('--month', '2026-10', '--by', 'day');
  assert.equal(code, 0);
  assert.match(out, /^day\s+calls\s+answered\s+minutes\s+billed\s+cost\s+currency\n2026-10-01 /);
  const none = await report('--month', '2020-01');
  assert.deepEqual([none.code, none.out], [0, '']);
  assert.match(none.err, /No account has a call in this time/);
  assert.deepEqual(await rowsOf('--month', '2020-01'), []);
});

test('what can not be told is refused with what would be right', async () => {
  const cases: [args: string[], words: RegExp][] = [
    [[], /give the time: --month, or --from and --to/],
    [['--month', '2026-13'], /must be a month such as 2026-10/],
    [['--month', '2026-1'], /must be a month such as 2026-10/],
    [['--month', '2026-10', '--to', '2026-10-05'], /give the time/],
    [['--from', '2026-10-05'], /give the time/],
    [['--from', '2026-10-05', '--to', '2026-10-05'], /--from must be before --to/],
    [['--from', '2026-02-30', '--to', '2026-10-05'], /must be a day such as 2026-10-01/],
    [['--month', '2026-10', '--by', 'cli'], new RegExp(`any of ${REPORT_GROUPS.join(', ')}`)],
    [['--month', '2026-10', '--by', 'day,day'], /each once/],
    [['--month', '2026-10', '--by', 'day,week'], /one of day, week and month/],
    [['--month', '2026-10', '--time-zone', 'Mars'], /zone of the IANA database/],
    [['--month', '2026-10', '--csv', '--json'], /cannot be used with/],
    [['--month', '2026-10', '--bom'], /are for --csv/],
    [['--month', '2026-10', '--csv', '--decimal', ','], /needs another separator/],
  ];
  for (const [args, words] of cases) {
    const { code, err } = await report(...args);
    assert.match(err, words, args.join(' '));
    assert.equal(code, 1, args.join(' '));
  }
});

test('weeks are those of ISO 8601', () => {
  for (const [date, week] of [
    ['2026-01-01', '2026-W01'],
    ['2027-01-03', '2026-W53'],
    ['2024-12-30', '2025-W01'],
    ['2021-01-03', '2020-W53'],
    ['2026-10-05', '2026-W41'],
  ] as const)
    assert.equal(isoWeek(date), week);
});
