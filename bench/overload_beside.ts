/**
 * What customers who page through their calls feel of others who ask for much: pages alone, and beside heavy work of one
 * caller or of a few. For bench/overload.ts.
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startPostgres } from '#engines/postgres.ts';
import { createPool, type Pool } from '#platform/database/pool.ts';
import { THE_PROGRAM } from '#services/calls/store/audit.ts';
import type { Scope } from '#services/identity/contract.ts';
import { createKey } from '#services/identity/keys.ts';
import { keyPlaces } from '#system';
import { type AtEnd, stoppedAtEnd, temporaryFolder } from './ending.ts';
import type { HeavyAsk, HeavyOrder, HeavyReport } from './overload_heavy.ts';
import type { LoadOrder, LoadReport } from './overload_load.ts';
import { fillCalls } from './page_calls.ts';
import { endChild, said, startProgram } from './program.ts';
import type { Headline, Row } from './report.ts';

/** Of the accounts the first is who asks for much; the others page. */
const ACCOUNTS = 21;
const CALLS = 400_000;
const PAGES_PER_SECOND = 50;
const EXPORTS = 50;
const RECORDS = 10_000;
const WARM_UP_S = 3;
/** A page beside heavy work may take so many times as long as alone. */
const AIM = 3;

const run = promisify(execFile);
const beside = (file: string) => fileURLToPath(new URL(file, import.meta.url));

interface Heavy {
  readonly name: string;
  readonly clients: number;
  readonly asks: readonly HeavyAsk[];
}

/** Rows of pages' times, alone and beside each kind of heavy work, and the headlines of the two that were aimed at. */
export async function besideHeavyWork(
  atEnd: AtEnd,
  seconds: number,
): Promise<{ rows: Row[]; headlines: Headline[] }> {
  const folder = await temporaryFolder(atEnd);
  const starting = startPostgres({ folder: join(folder, 'postgres'), database: 'trunkline' });
  const postgres = await stoppedAtEnd(atEnd, starting);
  const { url } = postgres;
  const pool = createPool({ url, applicationName: 'bench', size: 2, onIdleError: () => undefined });
  atEnd(() => pool.end());
  await fillCalls(pool, CALLS, ACCOUNTS);
  await pool.query(
    `INSERT INTO calls.usage_quarters
     SELECT i_account, date_bin('15 min', start_time, '2000-01-01Z'), direction, country, currency, count(*), count(*), count(*), 0,
       sum(duration_s), sum(billed_duration_s), sum(cost)
     FROM calls.cdrs GROUP BY 1, 2, 3, 4, 5 ON CONFLICT DO NOTHING`,
  );
  const customers = await customersOf(pool);
  const rows: Row[] = [
    [
      'pages beside',
      'pages/s',
      'p50 ms',
      'p99 ms',
      'p50 × alone',
      'heavy: answered',
      'turned away',
      'failed',
      'MB',
    ],
  ];
  const headlines: Headline[] = [];
  let alone: LoadReport | undefined;
  for (const heavy of await heavyKinds(pool)) {
    // Started anew: what is left of one kind would be in the next one's way.
    const server = startProgram(['serve', 'calls'], {
      PATH: process.env.PATH,
      DATABASE_URL: url,
      CALLS_PORT: '0',
      RATE_LIMIT_PER_MINUTE: '10000000',
      LOG_LEVEL: 'silent',
    });
    atEnd(() => endChild(server));
    const address = await said(server, /http:\S+/);
    const load = startHeavy({ url: address, ...heavy });
    atEnd(() => endChild(load));
    const order: LoadOrder = {
      ...{ url: address, customers, perSecond: PAGES_PER_SECOND, warmUpS: WARM_UP_S, seconds, deadlineS: 30 },
    };
    const { stdout } = await run(process.execPath, [beside('overload_load.ts'), JSON.stringify(order)]);
    const pages = JSON.parse(stdout) as LoadReport;
    const { answered, turnedAway, failed, bytes } = await endHeavy(load);
    await endChild(server);
    alone ??= pages;
    const times = (pages.p50Ms / alone.p50Ms).toFixed(1);
    rows.push([
      ...[heavy.name, pages.answered, pages.p50Ms, pages.p99Ms, times],
      ...[answered, turnedAway, failed, Math.round(bytes / 1e6)],
    ]);
    if (pages !== alone)
      headlines.push({
        figure: `pages beside ${heavy.name}`,
        value: `p50 ${pages.p50Ms} ms, p99 ${pages.p99Ms} ms`,
        ratio: `p50 ${times} × alone`,
        expected: `≤ ${AIM} ×`,
      });
  }
  return { rows, headlines };
}

async function customersOf(pool: Pool): Promise<LoadOrder['customers']> {
  const customers = [];
  for (let iAccount = 2; iAccount <= ACCOUNTS; iAccount++) {
    customers.push({
      key: await keyOf(pool, 'customer', iAccount),
      path: `/cdrs?i_account=${iAccount}&limit=20`,
    });
  }
  return customers;
}

async function keyOf(pool: Pool, scope: Scope, iAccount: number | null): Promise<string> {
  return (await createKey(keyPlaces(pool), { name: 'bench', scope, iAccount, expiresAt: null }, THE_PROGRAM))
    .key;
}

async function heavyKinds(pool: Pool): Promise<Heavy[]> {
  const one = await keyOf(pool, 'customer', 1);
  const several = await Promise.all(Array.from({ length: 10 }, () => keyOf(pool, 'customer', 1)));
  const switches = await Promise.all(Array.from({ length: 3 }, () => keyOf(pool, 'ingest', null)));
  const csv = { path: '/cdrs?i_account=1', accept: 'text/csv' };
  const posts = { path: '/cdrs', post: { account: 'a1', records: RECORDS } };
  const years = '/consumption?i_account=1&granularity=hour&group_by=country&from=2026-01-01&to=2026-12-31';
  return [
    { name: 'nothing', clients: 1, asks: [] },
    { name: `${EXPORTS} exports of one key`, clients: EXPORTS, asks: [{ key: one, ...csv }] },
    {
      name: `three keys posting ${RECORDS} records`,
      clients: 2,
      asks: switches.map((key) => ({ key, ...posts })),
    },
    { name: 'exports of ten keys of one account', clients: 5, asks: several.map((key) => ({ key, ...csv })) },
    { name: 'a year of hours', clients: 10, asks: [{ key: one, path: years }] },
    {
      name: 'deep counts',
      clients: 10,
      asks: [{ key: one, path: '/cdrs?i_account=1&min_duration_s=1&with_total=true&limit=1' }],
    },
    { name: 'pages of 1,000', clients: 10, asks: [{ key: one, path: '/cdrs?i_account=1&limit=1000' }] },
  ];
}

function startHeavy(order: HeavyOrder): ChildProcess {
  return spawn(process.execPath, [beside('overload_heavy.ts'), JSON.stringify(order)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** Ends the clients by a signal, upon which they say what became of them. */
async function endHeavy(load: ChildProcess): Promise<HeavyReport> {
  let text = '';
  load.stdout!.on('data', (bytes) => {
    text += bytes;
  });
  if (load.exitCode !== null) return { answered: 0, turnedAway: 0, failed: 0, bytes: 0 };
  await endChild(load, 'SIGTERM');
  return JSON.parse(text) as HeavyReport;
}
