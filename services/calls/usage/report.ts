/**
 * The usage of all accounts, for the operator: by account, country, direction, and day, week or month.
 *
 * Without a zone each account's own days count. They are summed already (calls.usage_days), so a month costs the days of the
 * existing accounts. In one zone for all, the usage of accounts with other days is summed by quarters of an hour where
 * needed. Both ways are exact.
 */
import type { Session } from '#platform/database/session.ts';
import { allAccounts, type ReportedAccount } from '../store/accounts.ts';
import { type Dimension, sumUsage, type UsagePart } from '../store/usage.ts';
import type { UsageRow } from '../store/usage_rows.ts';
import type { Micros } from '../time/instants.ts';
import { type ZoneClock, zoneClock } from '../time/zone_clock.ts';
import { bucketBounds, type Granularity, spansOfBuckets } from './consumption.ts';

/** The possible groups of a report, beside the currency, which always groups. */
export const REPORT_GROUPS = ['account', 'country', 'direction', 'day', 'week', 'month'] as const;
export type ReportGroup = (typeof REPORT_GROUPS)[number];

/** The most rows of a report. A larger report is refused, since its rows are sorted in memory. */
export const MAX_REPORT_ROWS = 500_000;

export interface ReportAsked {
  /** YYYY-MM-DD; `to` is not included. */
  readonly from: string;
  readonly to: string;
  /** In the order that groups and sorts the rows; one of day, week and month at most. */
  readonly by: readonly ReportGroup[];
  /** Undefined: each account's days are those of its own zone. */
  readonly zone: ZoneClock | undefined;
}

/** Sums of one group and one currency. */
export interface ReportRow {
  /** By the names of the groups. Null: an unknown country. */
  readonly groups: Readonly<Partial<Record<ReportGroup, string | null>>>;
  readonly currency: string;
  readonly calls: number;
  readonly answered: number;
  readonly seconds: number;
  readonly billed_seconds: number;
  /** A decimal. Null: no call is rated. */
  readonly cost: string | null;
}

/** @returns the sorted rows; undefined: there would be more than MAX_REPORT_ROWS */
export async function reportUsage(session: Session, asked: ReportAsked): Promise<ReportRow[] | undefined> {
  const accounts = await session.rows(allAccounts());
  if (accounts.length === 0) return [];
  const { granularity, labels, bounds } = bucketsOf(asked);
  if (bounds === undefined) return undefined;
  const dimensions: Dimension[] = ['currency'];
  for (const group of asked.by) {
    if (group === 'account') dimensions.push('i_account');
    else if (group === 'country' || group === 'direction') dimensions.push(group);
  }
  const sum = (parts: UsagePart[]) => session.rows(sumUsage(parts, dimensions, MAX_REPORT_ROWS + 2));
  let rows = await sum(partsOf(accounts, bounds, asked.zone, true));
  if (!rows[0]!.days_confirmed) rows = await sum(partsOf(accounts, bounds, asked.zone, false));
  if (rows.length > MAX_REPORT_ROWS + 1) return undefined;
  const codes = new Map(accounts.map(({ i_account, code }) => [i_account, code]));
  const named = rows.flatMap((row) =>
    row.bucket === null
      ? []
      : [rowOf(row, asked.by, granularity === 'total' ? '' : labels[row.bucket]!, codes)],
  );
  return named.sort((a, b) => inOrder(a, b, asked.by));
}

interface Buckets {
  readonly granularity: Granularity;
  /** The name of each bucket: 2026-10-05, 2026-W41, 2026-10. */
  readonly labels: readonly string[];
  /** The days at which buckets begin and the last one ends, as instants of a clock in UTC. */
  readonly bounds: readonly Micros[] | undefined;
}

const UTC = zoneClock('UTC')!;

function bucketsOf({ from, to, by }: ReportAsked): Buckets {
  const granularity = by.find((group) => group === 'day' || group === 'week' || group === 'month') ?? 'total';
  const bounds = bucketBounds(UTC.startOfDay(from), UTC.startOfDay(to), granularity, UTC);
  const labels = (bounds ?? []).slice(0, -1).map((bound) => labelOf(UTC.dateAt(bound), granularity));
  return { granularity, labels, bounds };
}

function labelOf(date: string, granularity: Granularity): string {
  if (granularity === 'week') return isoWeek(date);
  return granularity === 'month' ? date.slice(0, 7) : date;
}

const DAY_MS = 86_400_000;

/** ISO 8601: a week belongs to the year of its Thursday. */
export function isoWeek(date: string): string {
  const at = Date.parse(date);
  const weekday = (new Date(at).getUTCDay() + 6) % 7; // Monday is 0
  const thursday = new Date(at + (3 - weekday) * DAY_MS);
  const year = thursday.getUTCFullYear();
  const week = Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / (7 * DAY_MS)) + 1;
  return `${year}-W${String(week).padStart(2, '0')}`;
}

/** @param bounds days, as instants of a clock in UTC */
function partsOf(
  accounts: readonly ReportedAccount[],
  bounds: readonly Micros[],
  zone: ZoneClock | undefined,
  byDays: boolean,
): UsagePart[] {
  const days = bounds.map((bound) => UTC.dateAt(bound));
  if (zone === undefined) {
    const spans = days.slice(0, -1).map((day, bucket) => ({ from: day, to: days[bucket + 1]!, bucket }));
    const iAccounts = accounts.map(({ i_account }) => i_account);
    return [{ iAccounts, timeZone: '', spans: { days: spans, midnights: [], quarters: [], calls: [] } }];
  }
  const instants = days.map((day) => zone.startOfDay(day));
  return [...Map.groupBy(accounts, ({ time_zone }) => time_zone)].map(([timeZone, ofZone]) => ({
    iAccounts: ofZone.map(({ i_account }) => i_account),
    timeZone,
    spans: spansOfBuckets(instants, byDays ? zoneClock(timeZone) : undefined),
  }));
}

function rowOf(
  row: UsageRow,
  by: readonly ReportGroup[],
  label: string,
  codes: ReadonlyMap<number, string>,
): ReportRow {
  const nameOf = (group: ReportGroup): string | null => {
    switch (group) {
      case 'account':
        return codes.get(row.i_account!)!;
      case 'country':
      case 'direction':
        return row[group] || null;
      default:
        return label;
    }
  };
  const { calls, answered, seconds, billed_seconds } = row;
  return {
    groups: Object.fromEntries(by.map((group) => [group, nameOf(group)])),
    currency: row.currency!,
    calls,
    answered,
    seconds,
    billed_seconds,
    cost: row.cost[0]?.amount ?? null,
  };
}

function inOrder(a: ReportRow, b: ReportRow, by: readonly ReportGroup[]): number {
  for (const group of by) {
    const [first, second] = [a.groups[group] ?? '', b.groups[group] ?? ''];
    if (first !== second) return first < second ? -1 : 1;
  }
  return a.currency < b.currency ? -1 : 1;
}
