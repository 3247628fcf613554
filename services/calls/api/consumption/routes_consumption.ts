/** GET /consumption: the usage of an account, by the wall clock of a zone. */
import type { FastifyReply } from 'fastify';
import type { Caller } from '#platform/access/caller.ts';
import { contextOf } from '#platform/access/http_context.ts';
import type { Api } from '#platform/access/protected_routes.ts';
import type { RecentWrites } from '#platform/access/read_your_writes.ts';
import type { Database } from '#platform/database/database.ts';
import { valuesQuery } from '#platform/database/fast_read/fast_read.ts';
import { elapsed, failures } from '#platform/http/answers.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { inTurns } from '#platform/lifecycle/turns.ts';
import type { SeenPeriod } from '../../call_filter.ts';
import {
  LINKED_USAGE_COLUMNS,
  standardColumns,
  USAGE_COLUMNS,
  usageLine,
} from '../../csv/consumption_csv.ts';
import { csvHeader } from '../../csv/csv_form.ts';
import { badParameter, callsError } from '../../errors.ts';
import { codesOfAccounts, type VisibleAccount } from '../../store/accounts.ts';
import {
  type Dimension,
  dimensionsOf,
  GROUPINGS,
  type Grouping,
  sumUsage,
  type UsagePart,
} from '../../store/usage.ts';
import type { BucketSpans, UsageRow, UsageSums } from '../../store/usage_rows.ts';
import { MICROS_PER_MS, type Micros } from '../../time/instants.ts';
import { type ZoneClock, zoneClock } from '../../time/zone_clock.ts';
import {
  bucketBounds,
  type Granularity,
  joinSpans,
  MAX_BUCKETS,
  NO_USAGE,
  spansOfBuckets,
  startOfMonthAt,
} from '../../usage/consumption.ts';
import { READERS } from '../../visibility.ts';
import { findVisibleAccounts, seenByZone, seenRange } from '../lists/account_access.ts';
import { accountOf } from '../lists/call_query.ts';
import {
  datesOf,
  fileHead,
  readCsvForm,
  refuseCsvParameters,
  tellFreshness,
  wantsCsv,
} from '../lists/csv_asked.ts';
import { textShownTo } from '../lists/masking.ts';
import { endAt, readEnd, requireOrder, zoneOf } from '../lists/time_range.ts';
import { type Bucket, ConsumptionForms, ConsumptionQuery } from './consumption_contract.ts';
import { linkedUsage, NO_LINKED_USAGE } from './linked_consumption.ts';

export interface ConsumptionRoutesNeeds {
  readonly database: Database;
  readonly clock: Clock;
  readonly recentWrites: RecentWrites;
}

/** The most buckets times groups of one answer. */
const MAX_ROWS = 100_000;

const FINER_THAN: Record<Granularity, string> = {
  hour: 'day',
  day: 'month',
  week: 'month',
  month: 'total',
  total: 'total',
};

export function consumptionRoutes(api: Api, needs: ConsumptionRoutesNeeds): void {
  const { database, clock, recentWrites } = needs;
  api.get(
    '/consumption',
    {
      config: { scopes: READERS },
      schema: {
        tags: ['calls'],
        summary: 'The usage of an account, by hour, day, week, month or in all',
        description:
          'Exact after late records and duplicates, for every time zone: a day on which clocks are changed has 23 or 25 hours. Without group_by every bucket is listed, empty ones with zeros. With `Accept: text/csv` a record for each bucket, group and currency.',
        security: [{ bearer: [] }],
        querystring: ConsumptionQuery,
        response: { 200: ConsumptionForms, ...failures(400, 401, 403, 404, 429, 503) },
      },
    },
    async (request, reply) => {
      const { query } = request;
      const caller = request.caller!;
      const groups = readGroups(query.group_by);
      if (!wantsCsv(request)) {
        refuseCsvParameters(query);
        const text = await asJson(await read(query, dimensionsOf(groups), caller, reply), reply);
        return reply.type('application/json; charset=utf-8').send(text as never); // what the schema describes
      }
      const columns = query.view === 'calls' ? LINKED_USAGE_COLUMNS : USAGE_COLUMNS;
      const form = readCsvForm(query, columns, standardColumns(columns, groups));
      const used = await read(query, [...dimensionsOf(groups), 'currency'], caller, reply);
      const lines = await texts(bucketsOf(used, groups.length > 0), (bucket) => usageLine(bucket, form));
      tellFreshness(reply, used.account.data_complete_to, used.lagS);
      fileHead(reply, ['consumption', String(used.iAccount), ...datesOf(used.range, used.zone)].join('-'));
      return reply.send((csvHeader(form) + lines.join('')) as never);
    },
  );

  async function read(
    query: ConsumptionQuery,
    by: readonly Dimension[],
    caller: Caller,
    reply: FastifyReply,
  ): Promise<Used> {
    const iAccount = accountOf(query.i_account, caller);
    const granularity = query.granularity ?? 'day';
    const askedZone = query.time_zone === undefined ? undefined : zoneOf(query.time_zone);
    const weight = isHeavy(query, askedZone, clock.now()) ? 'heavy' : 'light';
    const context = contextOf(reply.request, reply, clock, caller, weight);
    return database.read(
      context,
      async (session, source) => {
        const children = query.include === 'children';
        const found = await findVisibleAccounts(session, { iAccount, children }, caller);
        const { account, tree } = found;
        const zone = askedZone ?? zoneClock(account.time_zone) ?? zoneOf('UTC');
        const range = readRange(query, zone, clock.now());
        const bounds = bucketBounds(range.from, range.to, granularity, zone);
        if (!bounds) throw tooMany(`${MAX_BUCKETS} buckets of a ${granularity}`, granularity);

        const zones = seenByZone(found, iAccount);
        if (zones.length * bounds.length > MAX_ROWS) throw tooManyRows(granularity);
        const sums = async (byDays: boolean) => {
          const parts: UsagePart[] = [];
          for (const accounts of zones) {
            const days = byDays ? zoneClock(accounts.timeZone) : undefined;
            const seen = seenBounds(bounds, accounts.seen);
            if (seen) parts.push({ ...accounts, spans: await spansOf(seen, days) });
          }
          const [rows] = await session.pipeline(valuesQuery(sumUsage(parts, by, MAX_ROWS + 2)));
          return rows;
        };
        const ofRecords = async () => {
          const rows = await sums(true);
          return rows[0]!.days_confirmed ? rows : sums(false);
        };
        const rows: readonly UsageRow[] =
          query.view === 'calls'
            ? await linkedUsage(session, zones, bounds, by, MAX_ROWS + 2)
            : await ofRecords();
        if (rows.length > MAX_ROWS + 1) throw tooManyRows(granularity);
        const named = by.includes('i_account')
          ? (tree ?? (await session.rows(codesOfAccounts([iAccount]))))
          : [];
        const codes = new Map(named.map(({ i_account, code }) => [i_account, textShownTo(code, caller)]));
        const { replicaLagS: lagS } = source;
        return { iAccount, account, codes, granularity, range, zone, bounds, by, rows, lagS };
      },
      recentWrites.before(reply.request),
    );
  }
}

/** The sums for an answer. */
interface Used {
  readonly iAccount: number;
  readonly account: VisibleAccount;
  /** Of the accounts, if they are separate groups. */
  readonly codes: ReadonlyMap<number, string>;
  readonly granularity: Granularity;
  readonly range: { readonly from: Micros; readonly to: Micros };
  readonly zone: ZoneClock;
  readonly bounds: readonly Micros[];
  readonly by: readonly Dimension[];
  /** The sums of all come first. */
  readonly rows: readonly UsageRow[];
  readonly lagS: number | null;
}

async function asJson(used: Used, reply: FastifyReply): Promise<string> {
  const rest = {
    totals: sumsOf(used.rows[0]!),
    i_account: used.iAccount,
    granularity: used.granularity,
    time_zone: used.zone.timeZone,
    data_complete_to: used.account.data_complete_to,
    replica_lag_s: used.lagS,
  };
  const data = await texts(bucketsOf(used, used.by.length > 0), JSON.stringify);
  const behind = JSON.stringify({ ...rest, duration_ms: elapsed(reply) }).slice(1);
  return `{"success":true,"data":[${data.join(',')}],${behind}`;
}

/** Buckets whose spans are computed at once. */
const BUCKETS_AT_ONCE = 100;
/** Up to this many days are read quickly: by the account's own days, and by quarters of an hour. */
const LIGHT_DAYS = 100;
const LIGHT_DAYS_BY_QUARTERS = 10;
const DAY_MICROS = 86_400_000_000;

/** Whether the sums take long: this depends on the number of days or quarters of an hour to read. */
function isHeavy(query: ConsumptionQuery, zone: ZoneClock | undefined, nowMs: number): boolean {
  const anyZone = zone ?? zoneOf('UTC');
  const to = endAt(readEnd('to', query.to), anyZone) ?? nowMs * MICROS_PER_MS;
  const from = endAt(readEnd('from', query.from), anyZone) ?? to;
  // Another zone than the account's is read by quarters, and the account's zone is not known yet.
  const byQuarters = zone !== undefined || query.granularity === 'hour';
  if (query.include === 'children' || query.view === 'calls') return true;
  return to - from > (byQuarters ? LIGHT_DAYS_BY_QUARTERS : LIGHT_DAYS) * DAY_MICROS;
}

/** The buckets that lie within a range. */
interface SeenBounds {
  readonly bounds: readonly Micros[];
  /** Number of the first one. */
  readonly first: number;
}

function seenBounds(bounds: readonly Micros[], seen: SeenPeriod): SeenBounds | undefined {
  const range = seenRange({ from: bounds[0]!, to: bounds.at(-1)! }, seen);
  if (!range) return undefined;
  const [from, to] = [range.from!, range.to!];
  const inner = bounds.filter((bound) => bound > from && bound < to);
  return { bounds: [from, ...inner, to], first: bounds.findLastIndex((bound) => bound <= from) };
}

/** The sums to read, computed some buckets at a time. */
async function spansOf(
  { bounds, first: firstOfAll }: SeenBounds,
  days: ZoneClock | undefined,
): Promise<BucketSpans> {
  const parts: BucketSpans[] = [];
  const firsts = Array.from(
    { length: Math.ceil((bounds.length - 1) / BUCKETS_AT_ONCE) },
    (_, part) => part * BUCKETS_AT_ONCE,
  );
  await inTurns(firsts, (first) => {
    parts.push(spansOfBuckets(bounds.slice(first, first + BUCKETS_AT_ONCE + 1), days, firstOfAll + first));
  });
  return joinSpans(parts);
}

/** Buckets as text. Other requests get turns in between. */
async function texts(buckets: Iterable<Bucket>, textOf: (bucket: Bucket) => string): Promise<string[]> {
  const parts: string[] = [];
  await inTurns(buckets, (bucket) => parts.push(textOf(bucket)));
  return parts;
}

/** `from` and `to` of the request, or the month of `to` and now. A date is its first instant in the zone. */
function readRange(query: ConsumptionQuery, zone: ZoneClock, nowMs: number): { from: Micros; to: Micros } {
  const to = endAt(readEnd('to', query.to), zone) ?? Math.floor(nowMs) * MICROS_PER_MS;
  // Up to the first of a month is the month before it.
  const from = endAt(readEnd('from', query.from), zone) ?? startOfMonthAt(to - 1, zone);
  requireOrder(from, to);
  return { from, to };
}

/** @throws ApiError 400 for an unknown group */
function readGroups(text: string | undefined): Grouping[] {
  if (text === undefined) return [];
  const groups = text.split(',').map((name) => GROUPINGS.find((one) => one === name.trim()));
  if (groups.includes(undefined) || new Set(groups).size < groups.length)
    throw badParameter(
      'group_by',
      `must be one or more of, each once, with commas between: ${GROUPINGS.join(', ')}`,
    );
  return groups as Grouping[];
}

/** All buckets in order. With groups, only those with sums, by bucket and group. */
function* bucketsOf(
  { rows, bounds, zone, by, codes }: Used,
  grouped: boolean,
): Generator<Bucket & { currency?: string }> {
  // Where one ends, the next one begins.
  let last = { at: Number.NaN, text: '' };
  const text = (at: Micros) => {
    if (at !== last.at) last = { at, text: zone.text(at) };
    return last.text;
  };
  const times = (bucket: number) => ({ from: text(bounds[bucket]!), to: text(bounds[bucket + 1]!) });
  // An unknown country is stored as an empty text.
  const named = (row: UsageRow) => ({
    ...Object.fromEntries(by.map((name) => [name, row[name] || null])),
    ...(row.i_account && { account: codes.get(row.i_account)! }),
  });
  const nothing = sumsOf(rows[0]!.missed === undefined ? NO_USAGE : NO_LINKED_USAGE);
  let listed = 0;
  for (const row of rows) {
    if (row.bucket === null) continue;
    if (!grouped) for (; listed < row.bucket; listed++) yield { ...times(listed), ...nothing };
    yield { ...times(row.bucket), ...named(row), ...sumsOf(row) };
    listed = row.bucket + 1;
  }
  if (!grouped) for (; listed < bounds.length - 1; listed++) yield { ...times(listed), ...nothing };
}

function sumsOf({ calls, answered, missed, seconds, talk_seconds, billed_seconds, cost }: UsageSums) {
  return {
    calls,
    answered,
    ...(missed !== undefined && { missed }),
    seconds,
    ...(talk_seconds !== undefined && { talk_seconds }),
    billed_seconds,
    cost: [...cost],
  };
}

/** Buckets times groups, or times the zones of the accounts. */
const tooManyRows = (granularity: Granularity) =>
  tooMany(`${MAX_ROWS} buckets of all groups and zones together`, granularity);

function tooMany(what: string, granularity: Granularity) {
  return callsError('too_many_buckets', {
    message: `The range has more than ${what}: ask for granularity=${FINER_THAN[granularity]}, or for a shorter range`,
    fields: { fields: ['granularity', 'from', 'to'] },
  });
}
