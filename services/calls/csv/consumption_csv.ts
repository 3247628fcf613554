/**
 * Consumption as CSV: a record for each bucket, group and currency. Amounts of several currencies never stand in one cell, and
 * every column of numbers may be summed: what was used in another currency has a record of its own. There is no record of
 * totals, which would be counted twice.
 */
import { csvCell } from '#platform/database/fast_read/fast_read.ts';
import { GROUPINGS, type Grouping } from '../store/usage.ts';
import type { UsageSums } from '../store/usage_rows.ts';
import { type CsvForm, csvDecimal, csvRecord } from './csv_form.ts';

/** Of all columns those that are given unless told otherwise, but for the groups that were not asked for. */
export const USAGE_COLUMNS = [
  'date',
  'from',
  'to',
  'i_account',
  'account',
  'direction',
  'country',
  'calls',
  'answered',
  'seconds',
  'billed_seconds',
  'minutes',
  'billed_minutes',
  'cost',
  'currency',
] as const;

/** The same for calls with all their legs. */
export const LINKED_USAGE_COLUMNS = [
  ...USAGE_COLUMNS.slice(0, USAGE_COLUMNS.indexOf('seconds')),
  'missed',
  'seconds',
  'talk_seconds',
  'billed_seconds',
  'minutes',
  'talk_minutes',
  'billed_minutes',
  'cost',
  'currency',
] as const;
export type UsageColumn = (typeof LINKED_USAGE_COLUMNS)[number];

const LEFT_OUT: readonly UsageColumn[] = ['date', 'minutes', 'talk_minutes', 'billed_minutes'];

const OF_GROUPS: Readonly<Record<Grouping, readonly UsageColumn[]>> = {
  account: ['i_account', 'account'],
  direction: ['direction'],
  country: ['country'],
};

/** @param known all columns that there are; `groups` what is grouped by */
export function standardColumns(known: readonly UsageColumn[], groups: readonly Grouping[]): UsageColumn[] {
  const others = GROUPINGS.filter((group) => !groups.includes(group)).flatMap((group) => OF_GROUPS[group]);
  return known.filter((column) => !LEFT_OUT.includes(column) && !others.includes(column));
}

/** Usage of one currency at most; with `from` and `to` where it is a bucket's, and its groups by their names. */
type UsageRecord = UsageSums & Readonly<Record<string, unknown>>;

export function usageLine(usage: UsageRecord, form: CsvForm): string {
  const [price] = usage.cost;
  const cells = form.columns.map((column): string => {
    switch (column) {
      case 'date':
        return String(usage.from).slice(0, 10);
      case 'from':
      case 'to':
        return String(usage[column]);
      case 'seconds':
      case 'talk_seconds':
      case 'billed_seconds':
        return csvDecimal(String(usage[column]), form);
      case 'minutes':
        return csvDecimal(minutes(usage.seconds), form);
      case 'talk_minutes':
        return csvDecimal(minutes(usage.talk_seconds!), form);
      case 'billed_minutes':
        return csvDecimal(minutes(usage.billed_seconds), form);
      case 'cost':
        return csvDecimal(price?.amount ?? '', form);
      default:
        return csvCell(String(usage[column] ?? ''));
    }
  });
  return csvRecord(cells, form);
}

const SECONDS_PER_MINUTE = 60;
/** To the hundredth. */
const minutes = (seconds: number): string => (seconds / SECONDS_PER_MINUTE).toFixed(2);
