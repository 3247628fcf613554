/**
 * A year by day of one account, with ever more calls in the table: what an answer costs must be the days asked for, not
 * the calls that there are.
 *
 *   GET /consumption   of `trunkline serve calls`, in the account's own zone (from usage_days) and in another one (from
 *                      usage_quarters), by one client over one connection
 *   plain SUM          the same sums by one statement over calls.cdrs, by its index, without HTTP
 *
 * Each size is a database of its own on one server, and all are asked in turn, so that a slow spell of the machine meets
 * all alike. Answers of both ways are compared, and the benchmark fails where they differ. consumption_calls.ts says
 * what the calls are. TMPDIR names another disk where this one is short.
 */

import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { startPostgres } from '#engines/postgres.ts';
import { createPool, type Pool } from '#platform/database/pool.ts';
import { THE_PROGRAM } from '#services/calls/store/audit.ts';
import { createKey } from '#services/identity/keys.ts';
import { keyPlaces } from '#system';
import { type Asker, assertSame, createAsker, type Days, plainSum } from './consumption_answers.ts';
import { fillCalls, SERVER_SETTINGS, SHARE, ZONE } from './consumption_calls.ts';
import { type AtEnd, runBench, stoppedAtEnd, temporaryFolder } from './ending.ts';
import { endChild, said, startProgram } from './program.ts';
import { benchOptions, finish, type Headline, quantile, type Row, refuseOptions } from './report.ts';

const OTHER_ZONE = 'Asia/Kathmandu';
const I_ACCOUNT = 1;
/** Of a call, with its indexes and its usage, until a first size was measured; each size is at most this much of it. */
const BYTES_A_CALL_AT_FIRST = 800;
/** Left free on the disk: of the write-ahead log, of sorting, and of others. */
const RESERVE_BYTES = 8e9;
/** Sizes that had to be cut are cut to whole ones of these. */
const CUT_TO = 100_000;
/** Until the compiler has done its work. */
const WARM_UP_REQUESTS = 300;
/** A round, of each size. */
const REQUESTS = 40;
const REQUESTS_OTHER_ZONE = 10;
const SUMS = 2;

const options = benchOptions('consumption', 'A year by day of one account, with more and more calls', {
  sizes: '1000000,10000000,100000000',
  rounds: '5',
});
const wantedSizes = options.values.sizes!.split(',').map(Number);
if (wantedSizes.some((size, i) => !(size > (wantedSizes[i - 1] ?? 0))))
  refuseOptions(
    'consumption',
    `--sizes wants numbers of calls, each larger than the one before, not '${options.values.sizes}'`,
  );
const say = (text: string) => void process.stderr.write(`${text}\n`);

/** One number of calls, and the times that were measured with it. */
interface Size {
  readonly calls: number;
  readonly pool: Pool;
  readonly asker: Asker;
  /** The account's, of the year. */
  readonly callsOfYear: number;
  readonly own: number[];
  readonly other: number[];
  readonly sum: number[];
}

await runBench(async (atEnd) => {
  const folder = await temporaryFolder(atEnd);
  const cut: string[] = [];
  const sizes: Size[] = [];
  let bytesACall = BYTES_A_CALL_AT_FIRST;
  for (const wanted of wantedSizes) {
    const calls = await fitting(folder, wanted, bytesACall);
    if (calls < wanted) {
      const text = `the disk has room for ${count(calls)} calls instead of ${count(wanted)}`;
      cut.push(text);
      say(text);
    }
    if (calls <= (sizes.at(-1)?.calls ?? 0)) continue;
    const size = await prepare(folder, calls, atEnd);
    sizes.push(size);
    bytesACall = (await bytesOfDatabase(size)) / calls;
  }
  for (let round = 1; round <= Number(options.values.rounds); round++) {
    for (const size of sizes) await measure(size);
    say(`round ${round} of ${options.values.rounds}`);
  }
  report(sizes, cut);
});

/** How many of the wanted calls the disk has room for. */
async function fitting(folder: string, wanted: number, bytesACall: number): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  const room = Math.max(0, bavail * bsize - RESERVE_BYTES) / bytesACall;
  return room >= wanted ? wanted : Math.floor(room / CUT_TO) * CUT_TO;
}

async function bytesOfDatabase({ pool }: Size): Promise<number> {
  const { rows } = await pool.query('SELECT pg_database_size(current_database())::float8 AS bytes');
  return rows[0].bytes;
}

/** A filled database, and a service on it that is warm. */
async function prepare(folder: string, calls: number, atEnd: AtEnd): Promise<Size> {
  const { url } = await stoppedAtEnd(
    atEnd,
    startPostgres({
      folder: join(folder, 'postgres'),
      database: `calls_${calls}`,
      settings: SERVER_SETTINGS,
    }),
  );
  const began = performance.now();
  let told = began;
  await fillCalls(url, calls, (done, of) => {
    if (performance.now() - told < 5_000 && done < of) return;
    told = performance.now();
    say(
      `filling ${count(calls)} calls: ${Math.round((100 * done) / of)} %, ${Math.round((told - began) / 1000)} s`,
    );
  });
  const pool = createPool({ url, applicationName: 'bench', size: 2, onIdleError: () => undefined });
  atEnd(() => pool.end());
  const { key } = await createKey(
    keyPlaces(pool),
    {
      ...{ name: 'bench', scope: 'customer', iAccount: I_ACCOUNT, expiresAt: null },
    },
    THE_PROGRAM,
  );
  const service = startProgram(['serve', 'calls'], {
    PATH: process.env.PATH,
    DATABASE_URL: url,
    CALLS_PORT: '0',
    LOG_LEVEL: 'warn',
    RATE_LIMIT_PER_MINUTE: '10000000',
  });
  atEnd(() => endChild(service));
  const asker = createAsker((await said(service, /http:\/\/\S+/)).trim(), key, I_ACCOUNT);
  atEnd(asker.end);

  for (let request = 0; request < WARM_UP_REQUESTS; request++) await asker.consumption(ZONE);
  let callsOfYear = 0;
  for (const zone of [OTHER_ZONE, ZONE]) {
    const { days } = await plainSum(pool, I_ACCOUNT, zone);
    assertSame((await asker.consumption(zone)).days, days);
    callsOfYear = callsIn(days);
  }
  return { calls, pool, asker, callsOfYear, own: [], other: [], sum: [] };
}

function callsIn(days: Days): number {
  return [...days.values()].reduce((sum, { calls }) => sum + calls, 0);
}

async function measure({ pool, asker, callsOfYear, own, other, sum }: Size): Promise<void> {
  const time = async (times: number[], answer: Promise<{ ms: number; days: Days }>) => {
    const { ms, days } = await answer;
    if (callsIn(days) !== callsOfYear)
      throw new Error(`an answer of ${callsIn(days)} calls, not ${callsOfYear}`);
    times.push(ms);
  };
  for (let n = 0; n < REQUESTS; n++) await time(own, asker.consumption(ZONE));
  for (let n = 0; n < SUMS; n++) await time(sum, plainSum(pool, I_ACCOUNT, ZONE));
  for (let n = 0; n < REQUESTS_OTHER_ZONE; n++) other.push((await asker.consumption(OTHER_ZONE)).ms);
}

function report(sizes: readonly Size[], cut: readonly string[]): void {
  const smallest = sizes[0]!;
  const median = (times: readonly number[]) => quantile(times, 0.5);
  const times = (value: number, of: number) => `${(value / of).toFixed(2)} ×`;
  const rows: Row[] = [
    [
      ...['calls', "account's in the year", 'consumption ms', 'p99 ms', 'of smallest'],
      ...['plain SUM ms', 'of consumption', 'of smallest', 'other zone ms', 'of smallest'],
    ],
  ];
  const headlines: Headline[] = [];
  for (const size of sizes) {
    const [own, sum, other] = [median(size.own), median(size.sum), median(size.other)];
    const toSmallest = times(own, median(smallest.own));
    rows.push([
      ...[
        count(size.calls),
        count(size.callsOfYear),
        own.toFixed(2),
        quantile(size.own, 0.99).toFixed(2),
        toSmallest,
      ],
      ...[sum.toFixed(1), times(sum, own), times(sum, median(smallest.sum))],
      ...[other.toFixed(2), times(other, median(smallest.other))],
    ]);
    headlines.push({
      figure: `a year by day, ${count(size.calls)} calls`,
      value: `${own.toFixed(2)} ms`,
      ratio: `plain SUM: ${times(sum, own)}${size === smallest ? '' : `; ${toSmallest} of ${count(smallest.calls)} calls`}`,
      ...(size !== smallest && { expected: `≤ 1.2 × of ${count(smallest.calls)} calls` }),
    });
  }
  const limits = cut.length > 0 ? `; ${cut.join('; ')}` : '';
  finish(
    options,
    `a year by day of an account that has 1 in ${SHARE} of all calls of 36 months${limits}`,
    rows,
    headlines,
  );
}

function count(calls: number): string {
  return calls.toLocaleString('en-US');
}
