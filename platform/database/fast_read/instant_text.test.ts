import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { withSession } from '#platform/database/pool.ts';
import { testDatabase } from '#tests/postgres.ts';
import { rowsAsJson } from '#tests/rows_as_json.ts';
import { rfc3339 } from '../types.ts';

const { pool } = await testDatabase();

/** Seconds since 2000 of PostgreSQL's first and last instant. */
const FIRST_S = -211_813_488_000n;
const LAST_S = 9_223_371_331_199n;
/** Where the common range ends, in microseconds: 2^32 s before and after 2000. */
const COMMON = 2n ** 32n * 1_000_000n;
const DAY = 86_400_000_000n;

const near = (middle: bigint, far: bigint) =>
  fc.bigInt({ min: -far, max: far }).map((offset) => middle + offset);
const micros = fc.oneof(
  near(0n, COMMON),
  near(0n, 3n),
  near(COMMON, 2n * DAY),
  near(-COMMON, 2n * DAY),
  fc.bigInt({ min: FIRST_S, max: LAST_S }).map((seconds) => seconds * 1_000_000n),
  fc.bigInt({ min: FIRST_S * 1_000_000n, max: LAST_S * 1_000_000n }),
  // Few decimals, ends of seconds and of days.
  fc
    .tuple(fc.bigInt({ min: -40_000n, max: 40_000n }), fc.constantFrom(0n, 1n, 500_000n, 120_000n, 999_999n))
    .map(([day, fraction]) => day * DAY + fraction),
  fc.bigInt({ min: -40_000n, max: 40_000n }).map((day) => day * DAY - 1n),
  fc.constantFrom(FIRST_S * 1_000_000n, LAST_S * 1_000_000n),
);

/** An instant so many microseconds from 2000, as PostgreSQL counts them. */
const INSTANT = `timestamptz '2000-01-01 00:00:00+00' + micros * interval '1 microsecond'`;

test("instants in binary form are what PostgreSQL's text of them is in UTC", async () => {
  await withSession(pool, async ({ client }) => {
    await client.query("SET TimeZone = 'UTC'");
    await fc.assert(
      fc.asyncProperty(fc.array(micros, { minLength: 1, maxLength: 400 }), async (all) => {
        const sql = `
          SELECT ${INSTANT} AS at, (${INSTANT})::text AS text
          FROM unnest($1::bigint[]) WITH ORDINALITY AS t(micros, n) ORDER BY n`;
        const page = await rowsAsJson(client, { sql, parameters: [all], formats: [1, 0] });
        const rows = JSON.parse(page.bytes.toString()) as { at: string; text: string }[];
        assert.equal(rows.length, all.length);
        for (const { at, text } of rows) assert.equal(at, rfc3339(text));
      }),
      { numRuns: 60 },
    );
    const sql = `SELECT 'infinity'::timestamptz AS late, '-infinity'::timestamptz AS early`;
    const page = await rowsAsJson(client, { sql, parameters: [], formats: [1, 1] });
    assert.equal(page.bytes.toString(), '[{"late":"infinity","early":"-infinity"}]');
  });
});

/** Whole hours, halves, quarters, and what some had before: minutes and seconds. */
const ZONES = [
  ...['UTC', 'Europe/Berlin', 'Europe/Dublin', 'America/St_Johns', 'America/New_York', 'Asia/Kathmandu'],
  ...['Asia/Kolkata', 'Pacific/Apia', 'Pacific/Chatham', 'Africa/Monrovia', 'Etc/GMT+12'],
];

test('instants as text are the same in UTC, whatever the zone of the session that wrote them', async () => {
  await withSession(pool, async ({ client }) => {
    for (const zone of ZONES) {
      await client.query(`SET TimeZone = '${zone}'`);
      await fc.assert(
        fc.asyncProperty(fc.array(micros, { minLength: 1, maxLength: 400 }), async (all) => {
          const sql = `
            SELECT ${INSTANT} AS binary, ${INSTANT} AS text
            FROM unnest($1::bigint[]) WITH ORDINALITY AS t(micros, n) ORDER BY n`;
          const page = await rowsAsJson(client, { sql, parameters: [all], formats: [1, 0] });
          const rows = JSON.parse(page.bytes.toString()) as Record<string, string>[];
          for (const { binary, text } of rows) assert.equal(text, binary, zone);
        }),
        { numRuns: 10 },
      );
    }
    await client.query('RESET TimeZone');
  });
});
