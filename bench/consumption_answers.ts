/** The two ways to the same answer, a year by day of one account: GET /consumption, and the plain SUM over the calls. */
import assert from 'node:assert/strict';
import { Agent, get } from 'node:http';
import type { Pool } from '#platform/database/pool.ts';

/** The year that is asked for: the second of the three that there are calls of. */
const FROM = '2025-01-01';
const TO = '2026-01-01';

interface Sums {
  readonly calls: number;
  readonly answered: number;
  readonly seconds: number;
  readonly billed_seconds: number;
  readonly cost: readonly { readonly currency: string; readonly amount: string }[];
}

/** By day, YYYY-MM-DD; days without a call are left out. */
export type Days = ReadonlyMap<string, Sums>;

/** Asks a service, on one connection that is kept. */
export interface Asker {
  /** @returns how long the answer took, the last byte included, and the answer */
  consumption(zone: string): Promise<{ readonly ms: number; readonly days: Days }>;
  end(): void;
}

export function createAsker(serviceUrl: string, key: string, iAccount: number): Asker {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const headers = { authorization: `Bearer ${key}` };
  return {
    async consumption(zone) {
      const query = new URLSearchParams({
        i_account: String(iAccount),
        granularity: 'day',
        from: FROM,
        to: TO,
        time_zone: zone,
      });
      const began = performance.now();
      const text = await new Promise<string>((found, failed) => {
        get(`${serviceUrl}/consumption?${query}`, { agent, headers }, (answer) => {
          const chunks: Buffer[] = [];
          answer.on('data', (chunk) => chunks.push(chunk));
          answer.on('end', () => {
            const body = Buffer.concat(chunks).toString();
            if (answer.statusCode === 200) found(body);
            else failed(new Error(`GET /consumption: ${answer.statusCode} ${body.slice(0, 300)}`));
          });
          answer.on('error', failed);
        }).on('error', failed);
      });
      const ms = performance.now() - began;
      const { data } = JSON.parse(text) as { data: (Sums & { readonly from: string })[] };
      const filled = data.filter(({ calls }) => calls > 0);
      return {
        ms,
        days: new Map(
          filled.map(({ from, calls, answered, seconds, billed_seconds, cost }) => [
            from.slice(0, 10),
            { calls, answered, seconds, billed_seconds, cost },
          ]),
        ),
      };
    },
    end: () => agent.destroy(),
  };
}

/** What the same answer costs where nothing is kept summed; without HTTP, so that it is not slowed by it. */
export async function plainSum(
  pool: Pool,
  iAccount: number,
  zone: string,
): Promise<{ readonly ms: number; readonly days: Days }> {
  const began = performance.now();
  const { rows } = await pool.query<Sums & { day: string; currency: string; amount: string | null }>(
    `SELECT (start_time AT TIME ZONE $2)::date::text AS day, currency, count(*) AS calls,
       count(*) FILTER (WHERE result = 'answered') AS answered, sum(duration_s)::float8 AS seconds,
       sum(billed_duration_s)::float8 AS billed_seconds, trim_scale(sum(cost))::text AS amount
     FROM calls.cdrs
     WHERE i_account = $1 AND start_time >= $3::timestamp AT TIME ZONE $2 AND start_time < $4::timestamp AT TIME ZONE $2
     GROUP BY 1, 2 ORDER BY 1, 2`,
    [iAccount, zone, FROM, TO],
  );
  const ms = performance.now() - began;
  const days = new Map(
    rows.map(({ day, currency, amount, calls, answered, seconds, billed_seconds }) => [
      day,
      { calls, answered, seconds, billed_seconds, cost: amount === null ? [] : [{ currency, amount }] },
    ]),
  );
  // The accounts here have one currency: a day of two would have come as two rows.
  assert.equal(days.size, rows.length);
  return { ms, days };
}

/** @throws AssertionError that shows where two answers differ; then their times are of no worth */
export function assertSame(found: Days, expected: Days): void {
  assert.ok(expected.size > 0, 'there is nothing to sum');
  assert.deepEqual(found, expected);
}
