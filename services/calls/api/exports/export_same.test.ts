/** The export goes from bytes to bytes: it must be what calls printed one by one, as values, would be. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { withSession } from '#platform/database/pool.ts';
import { testApi } from '#tests/calls_api.ts';
import { CALL_RESULTS, type CallRow, CDR_FLAGS, DIRECTIONS } from '../../call_fields.ts';
import { csvLine, PLAIN_CALLS } from '../../csv/calls_csv.ts';
import { csvHeader } from '../../csv/csv_form.ts';
import { ensureMonths } from '../../partitions.ts';
import { pageOfCalls } from '../../store/calls.ts';
import { zoneClock } from '../../time/zone_clock.ts';
import { maskCall } from '../lists/masking.ts';
import { BATCH_CALLS } from './calls_batch.ts';

const CSV_HEADER = csvHeader(PLAIN_CALLS);

const CALLS = 2 * BATCH_CALLS + 500;
/** Calls of these months, the last one far in the past; most lie where zones change their offset. */
const MONTHS = [202610, 202611, 202603, 198601, 189907];
const ZONES = [
  'UTC',
  'Etc/UTC',
  'Europe/Dublin',
  'Asia/Kathmandu',
  'America/St_Johns',
  'Australia/Lord_Howe',
];

const api = await testApi();
const { pool } = api.database;
const iAccount = await api.account('odd');
const operator = await api.key('operator');
const customer = await api.key('customer', iAccount);
const support = await api.key('support');
await ensureMonths(pool, MONTHS);

const text = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        ...'=+-@;,|"\'\t\r\n .*09aé',
        '+493023125001',
        '\uff1d',
        '\u00a0',
        '\u3000',
        '\ufeff',
        '\u2028',
      ),
      fc.string({ unit: 'binary', maxLength: 2 }),
      fc.constantFrom('Müller, Köln', 'sip:+4930231250@host', 'SIP/trunk-00000a1', '0044 20 70000000', 'O=1'),
    ),
    { maxLength: 5 },
  )
  .map((parts) => parts.join('').replaceAll('\0', ''));
/** Microseconds of an instant within the month; some of them whole, and some minutes around a change at 01:00. */
const within = (month: number) =>
  fc
    .tuple(
      fc.integer({ min: 1, max: 28 }),
      fc.integer({ min: 0, max: 1439 }),
      fc.constantFrom('00', '59', '07.5', '30.000001', '59.999999', '01.120000'),
    )
    .map(([day, minute, second]) => {
      const at = new Date(Date.UTC(Math.floor(month / 100), (month % 100) - 1, day, 0, minute));
      return `${at.toISOString().slice(0, 17)}${second}Z`;
    });
const changes = fc.constantFrom(
  ...['2026-10-25T00:59:59.999999Z', '2026-10-25T01:00:00Z', '2026-03-29T01:00:00Z', '2026-11-01T04:30:00Z'],
  ...['2026-10-03T15:30:00Z', '2026-10-03T15:29:59Z', '1985-12-31T18:30:00Z', '1986-01-01T00:10:00Z'],
);
const anyTime = fc.oneof(changes, fc.constantFrom(...MONTHS).chain(within));
const seconds = fc.constantFrom(
  ...[
    '0',
    '65',
    '24.250',
    '0.000',
    '59.999999',
    '3600.10',
    '86400.123456',
    '123456789012.25',
    '0.0000001',
    '-1.50',
  ],
  ...[
    '1234567890.12345678',
    '1000000000000000000000',
    '12345678901234567',
    '0.1000000000000000055',
    'NaN',
    'Infinity',
    '-Infinity',
  ],
);
const call = fc.record({
  start_time: fc.constantFrom(...MONTHS).chain(within),
  connect_time: fc.option(fc.oneof(anyTime, fc.constantFrom('infinity', '0044-03-15 BC', '12026-01-01Z'))),
  disconnect_time: fc.option(anyTime),
  duration_s: seconds,
  billed_duration_s: seconds,
  cost: fc.option(
    fc.constantFrom('0', '-0.5000', '12.30', '0.000000', '-7', '99999999999999999999.5', 'NaN', '-Infinity'),
  ),
  currency: fc.constantFrom('EUR', 'USD', 'X'),
  country: fc.option(fc.constantFrom('DE', 'GB', ' ')),
  direction: fc.constantFrom(...DIRECTIONS),
  result: fc.constantFrom(...CALL_RESULTS),
  cli: fc.oneof(fc.constant('+493023125001'), text),
  cld: fc.oneof(fc.constantFrom('+442079460001', '1001', '-5', '+', '+49*'), text),
  cli_in: fc.option(text),
  cld_in: fc.option(text),
  call_id: text,
  source: text,
  disconnect_cause: fc.option(text),
  description: fc.option(text),
  remote_ip: fc.option(text),
  user_agent: fc.option(text),
  flags: fc.option(fc.subarray([...CDR_FLAGS])),
});

const [seed] = fc.sample(fc.integer(), 1);
const calls = fc.sample(call, { numRuns: CALLS, seed: seed! });
await pool.query(
  `INSERT INTO calls.cdrs
   SELECT (jsonb_populate_record(NULL::calls.cdrs, call || jsonb_build_object('i_cdr', 202600000000000 + n, 'i_account',
     $2::bigint, 'source_key', 'row ' || n))).*
   FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS t(call, n)`,
  [JSON.stringify(calls), iAccount],
);

/** The whole range in one statement, each call made into values and printed. */
async function printed(shown: (call: CallRow) => CallRow, zone: string, service = api): Promise<string> {
  const all = pageOfCalls({ iAccount, type: 'all' }, 'desc', undefined, 2 * CALLS);
  const rows = await withSession(service.calls.pool, (session) => session.rows(all));
  assert.equal(rows.length, CALLS);
  const clock = zoneClock(zone)!;
  return CSV_HEADER + rows.map((row) => csvLine(shown(row), clock, PLAIN_CALLS)).join('');
}

function assertSame(file: string, wanted: string): void {
  if (file === wanted) return;
  const [lines, wantedLines] = [file.split('\r\n'), wanted.split('\r\n')];
  const at = wantedLines.findIndex((line, i) => line !== lines[i]);
  assert.equal(lines[at], wantedLines[at], `line ${at + 1}, of the calls by seed ${seed}`);
  assert.equal(lines.length, wantedLines.length);
}

async function exported(key: string, zone: string, service = api): Promise<string> {
  const path = `/cdrs?i_account=${iAccount}&time_zone=${zone}`;
  const { status, text } = await service.get(path, key, { accept: 'text/csv' });
  assert.equal(status, 200);
  return text;
}

test('for those who see numbers, in every zone', async () => {
  for (const zone of ZONES) assertSame(await exported(operator, zone), await printed((row) => row, zone));
  assertSame(await exported(customer, 'UTC'), await printed((row) => row, 'UTC'));
});

test('for those who see them masked', async () => {
  for (const zone of ZONES.slice(0, 3))
    assertSame(await exported(support, zone), await printed(maskCall, zone));
});

test('on a server that tells times in a zone of its own', async () => {
  const url = new URL(api.database.url);
  url.searchParams.set('options', '-c TimeZone=Asia/Kathmandu');
  const there = await testApi({}, { database: { url: url.href, pool } });
  for (const zone of ['UTC', 'Europe/Dublin'])
    assertSame(await exported(operator, zone, there), await printed((row) => row, zone, there));
});

test('the oldest first, and filtered', async () => {
  const wanted = (await printed((row) => row, 'UTC')).split('\r\n').slice(1, -1).reverse();
  const { text: file } = await api.get(`/cdrs?i_account=${iAccount}&order=asc`, operator, {
    accept: 'text/csv',
  });
  assertSame(file, `${CSV_HEADER}${wanted.map((line) => `${line}\r\n`).join('')}`);
});
