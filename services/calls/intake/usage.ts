/** Usage of a batch of calls, summed by account and quarter of an hour before it goes to the database. */
import type { ReadyCall } from './batch.ts';

export const QUARTER_MS = 15 * 60_000;

/** One row's worth of calls.usage_quarters. */
export interface QuarterUsage {
  readonly iAccount: number;
  /** Start of the quarter, milliseconds since 1970. */
  readonly quarter: number;
  readonly direction: string;
  readonly country: string;
  readonly currency: string;
  calls: number;
  answered: number;
  nonZero: number;
  errors: number;
  /** Microseconds, which add up exactly where seconds with fractions would not. */
  durationUs: number;
  billedUs: number;
  /** In 10^-12 of the currency; null while nothing is rated. */
  cost: bigint | null;
}

const COST_DECIMALS = 12;
const US_PER_S = 1_000_000;

/** Sums in the order of the table's key, so that two imports that touch the same rows lock them in the same order. */
export function sumByQuarter(calls: readonly ReadyCall[]): QuarterUsage[] {
  const sums: QuarterUsage[] = [];
  /** By account and quarter: the few sums of an account's quarter. */
  const found = new Map<number, Map<number, QuarterUsage[]>>();
  for (const call of calls) {
    const quarter = Math.floor(call.startTime / QUARTER_MS) * QUARTER_MS;
    const ofAccount = getOrAdd(found, call.iAccount, () => new Map<number, QuarterUsage[]>());
    const ofQuarter = getOrAdd(ofAccount, quarter, (): QuarterUsage[] => []);
    let sum = ofQuarter.find(
      ({ direction, country, currency }) =>
        direction === call.direction && country === call.country && currency === call.currency,
    );
    if (!sum) {
      sum = nothing(call, quarter);
      ofQuarter.push(sum);
      sums.push(sum);
    }
    sum.calls++;
    if (call.answered) sum.answered++;
    if (call.billedUs > 0) sum.nonZero++;
    if (call.failed) sum.errors++;
    sum.durationUs += call.durationUs;
    sum.billedUs += call.billedUs;
    if (call.cost !== null) sum.cost = (sum.cost ?? 0n) + scaledCost(call.cost);
  }
  return sums.sort(
    (a, b) =>
      a.iAccount - b.iAccount ||
      a.quarter - b.quarter ||
      compare(a.direction, b.direction) ||
      compare(a.country, b.country) ||
      compare(a.currency, b.currency),
  );
}

function nothing(call: ReadyCall, quarter: number): QuarterUsage {
  const { iAccount, direction, country, currency } = call;
  const zero = { calls: 0, answered: 0, nonZero: 0, errors: 0, durationUs: 0, billedUs: 0 };
  return { iAccount, quarter, direction, country, currency, ...zero, cost: null };
}

function getOrAdd<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** "-12.5" as -12500000000000n. */
export function scaledCost(decimal: string): bigint {
  const [whole = '', fraction = ''] = decimal.split('.');
  return BigInt(whole + fraction.padEnd(COST_DECIMALS, '0'));
}

/** The other way: 12500000000000n as "12.500000000000". */
export function decimalCost(scaled: bigint): string {
  const digits = (scaled < 0n ? -scaled : scaled).toString().padStart(COST_DECIMALS + 1, '0');
  const at = digits.length - COST_DECIMALS;
  return `${scaled < 0n ? '-' : ''}${digits.slice(0, at)}.${digits.slice(at)}`;
}

/** Microseconds as a decimal of seconds. */
export function decimalSeconds(us: number): string {
  return us % US_PER_S === 0 ? String(us / US_PER_S) : (us / US_PER_S).toFixed(6);
}
