/** GET /consumption: what an account used, by the wall clock of a zone. */
import type { FastifyReply } from 'fastify';
import type { Database } from '#platform/database/database.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { type Bucket, ConsumptionAnswer, ConsumptionQuery, failures } from '../contract.ts';
import { callsError } from '../errors.ts';
import { type Grouping, sumUsage } from '../store/usage.ts';
import { MICROS_PER_MS, type Micros, readDate, readInstant } from '../time/instants.ts';
import { type ZoneClock, zoneClock } from '../time/zone_clock.ts';
import {
  bucketBounds,
  type Granularity,
  MAX_BUCKETS,
  NO_USAGE,
  spansOfBuckets,
  startOfMonthAt,
  type UsageRow,
  type UsageSums,
} from '../usage/consumption.ts';
import { findAccount } from './account_access.ts';
import type { Api } from './api.ts';
import { accountOf, badParameter, requireOrder, zoneOf } from './call_query.ts';
import { type Caller, READERS } from './caller.ts';
import type { RecentWrites } from './read_after.ts';
import { elapsed, ticketOf } from './ticket.ts';

export interface ConsumptionRoutesNeeds {
  readonly database: Database;
  readonly clock: Clock;
  readonly recentWrites: RecentWrites;
}

/** Buckets times groups of one answer. */
const MAX_ROWS = 100_000;

const FINER_THAN: Record<Granularity, string> = {
  hour: 'day',
  day: 'month',
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
        summary: 'What an account used, by hour, day, month or in all',
        description:
          'Exact after late records and duplicates, for every time zone: a day on which clocks are changed has 23 or 25 hours. Without group_by every bucket is listed, empty ones with zeros.',
        security: [{ bearer: [] }],
        querystring: ConsumptionQuery,
        response: { 200: ConsumptionAnswer, ...failures(400, 401, 403, 404, 429, 503) },
      },
    },
    async (request, reply) => answer(request.query, request.caller!, reply),
  );

  async function answer(query: ConsumptionQuery, caller: Caller, reply: FastifyReply) {
    const iAccount = accountOf(query.i_account, caller);
    const granularity = query.granularity ?? 'day';
    const askedZone = query.time_zone === undefined ? undefined : zoneOf(query.time_zone);
    const ticket = ticketOf(reply.request, reply, clock, caller);
    return database.read(
      ticket,
      async (session, source) => {
        const account = await findAccount(session, iAccount, caller);
        const accountZone = zoneClock(account.time_zone);
        const zone = askedZone ?? accountZone ?? zoneOf('UTC');
        const { from, to } = readRange(query, zone, clock.now());
        const bounds = bucketBounds(from, to, granularity, zone);
        if (!bounds) throw tooMany(granularity);

        const sums = (days: ZoneClock | undefined) =>
          session.rows(sumUsage(iAccount, spansOfBuckets(bounds, days), query.group_by, MAX_ROWS + 2));
        let rows = await sums(accountZone);
        if (!rows[0]!.days_confirmed) rows = await sums(undefined);
        if (rows.length > MAX_ROWS + 1) throw tooMany(granularity);
        return {
          success: true as const,
          data: bucketsOf(rows, bounds, zone, query.group_by),
          totals: sumsOf(rows[0]!),
          i_account: iAccount,
          granularity,
          time_zone: zone.timeZone,
          data_complete_to: account.data_complete_to,
          replica_lag_s: source.replicaLagS,
          duration_ms: elapsed(reply),
        };
      },
      recentWrites.before(reply.request),
    );
  }
}

/** `from` and `to` as asked, or the month of `to` and now. A date is its first instant in the zone. */
function readRange(query: ConsumptionQuery, zone: ZoneClock, nowMs: number): { from: Micros; to: Micros } {
  const to = read('to', query.to, zone) ?? Math.floor(nowMs) * MICROS_PER_MS;
  // Up to the first of a month is the month before it.
  const from = read('from', query.from, zone) ?? startOfMonthAt(to - 1, zone);
  requireOrder(from, to);
  return { from, to };
}

const DATE_FORM = /^\d{4}-\d\d-\d\d$/;

function read(name: string, text: string | undefined, zone: ZoneClock): Micros | undefined {
  if (text === undefined) return undefined;
  const date = readDate(text);
  if (date !== undefined) return zone.startOfDay(date);
  const instant = readInstant(text);
  if (instant.kind === 'bad') {
    // Of a date that is none, it is said what is wrong with it.
    const alternative = DATE_FORM.test(text) ? '' : '; or a date such as 2026-11-01';
    throw badParameter(name, instant.reason + alternative);
  }
  return instant.at;
}

/** All buckets in order; with a group only those that hold something, by bucket and group. */
function bucketsOf(
  rows: readonly UsageRow[],
  bounds: readonly Micros[],
  zone: ZoneClock,
  grouping: Grouping | undefined,
): Bucket[] {
  const edges = bounds.map((bound) => zone.text(bound));
  const times = (bucket: number) => ({ from: edges[bucket]!, to: edges[bucket + 1]! });
  const filled = rows.filter((row) => row.bucket !== null);
  if (grouping) {
    return filled.map((row) => ({
      ...times(row.bucket!),
      [grouping]: row.grp === '' ? null : row.grp,
      ...sumsOf(row),
    }));
  }
  const byBucket = new Map(filled.map((row) => [row.bucket, row]));
  return edges
    .slice(1)
    .map((_, bucket) => ({ ...times(bucket), ...sumsOf(byBucket.get(bucket) ?? NO_USAGE) }));
}

function sumsOf({ calls, answered, seconds, billed_seconds, cost }: UsageSums) {
  return { calls, answered, seconds, billed_seconds, cost: [...cost] };
}

function tooMany(granularity: Granularity) {
  return callsError('too_many_buckets', {
    message: `The range has more than ${MAX_BUCKETS} buckets of a ${granularity}: ask for granularity=${FINER_THAN[granularity]}, or for a shorter range`,
    fields: { fields: ['granularity', 'from', 'to'] },
  });
}
