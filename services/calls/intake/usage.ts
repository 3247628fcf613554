/** Usage of a batch of calls, summed by account and quarter of an hour before it is written to the database. */
import { addDecimal, noSum } from '../decimal.ts';
import type { QuarterUsage } from '../store/intake.ts';
import type { CallColumns, CallNumber } from './call_columns.ts';

export const QUARTER_MS = 15 * 60_000;

/** Sums in the order of the table's key, so that two imports that touch the same rows lock them in the same order. */
export function sumByQuarter(columns: CallColumns, calls: readonly CallNumber[]): QuarterUsage[] {
  const { startTime, iAccount, direction, country, currency, cost } = columns;
  const quarterOf = (call: CallNumber) => Math.floor(startTime[call]! / QUARTER_MS);
  const byKey = (a: CallNumber, b: CallNumber) =>
    iAccount[a]! - iAccount[b]! ||
    quarterOf(a) - quarterOf(b) ||
    compare(direction[a]!, direction[b]!) ||
    compare(country[a]!, country[b]!) ||
    compare(currency[a]!, currency[b]!);
  const sums: QuarterUsage[] = [];
  let sum: QuarterUsage | undefined;
  let before: CallNumber = 0;
  for (const call of calls.toSorted(byKey)) {
    if (sum === undefined || byKey(before, call) !== 0) {
      sum = nothing(columns, call, quarterOf(call) * QUARTER_MS);
      sums.push(sum);
    }
    before = call;
    sum.calls++;
    sum.answered += columns.answered[call]!;
    if (columns.billedUs[call]! > 0) sum.nonZero++;
    sum.errors += columns.failed[call]!;
    sum.durationUs += columns.durationUs[call]!;
    sum.billedUs += columns.billedUs[call]!;
    if (cost[call] !== null) {
      sum.cost ??= noSum();
      addDecimal(sum.cost, cost[call]!);
    }
  }
  return sums;
}

function nothing(columns: CallColumns, call: CallNumber, quarter: number): QuarterUsage {
  return {
    iAccount: columns.iAccount[call]!,
    quarter,
    direction: columns.direction[call]!,
    country: columns.country[call]!,
    currency: columns.currency[call]!,
    calls: 0,
    answered: 0,
    nonZero: 0,
    errors: 0,
    durationUs: 0,
    billedUs: 0,
    cost: null,
  };
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
