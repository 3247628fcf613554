/**
 * Decides whether a row repeats a known call. A record is its source, its call id and its leg, however it is written and
 * read. The differences between two records decide the outcome of the second one:
 *
 *   duplicate   it adds nothing: the same values however written, or fewer of them
 *   completed   it has a value that was missing or only concluded, and contradicts none
 *   conflict    another start, time, amount, number or account than the earlier record's
 *   new         no call of that id and leg is known
 *
 * Two readings of one row (with another time zone, date order or mapping) never contradict each other: the user's options
 * are no values of the switch. docs/decisions/0011 gives the reasons.
 */
import type { Difference } from '../cdr.ts';
import { plainDecimal } from '../decimal.ts';
import { TOLD } from '../told.ts';
import { compareBridges, compareLegs } from './legs.ts';
import { type ToldCall, toldBy, writtenCld, writtenCli } from './told_call.ts';

export interface SameCallRules {
  /** `call_id`: the source gives each leg a call id of its own. `fields`: see legs.ts. */
  readonly legs: 'call_id' | 'fields';
  /** The source reuses its call ids: a record with another start is another call. */
  readonly idsReused: boolean;
  /** A record that contradicts the earlier one, or was read in another way, replaces it. */
  readonly replace: boolean;
}

export type Decision =
  | { readonly kind: 'new' }
  | { readonly kind: 'duplicate'; readonly of: ToldCall }
  | { readonly kind: 'completed'; readonly of: ToldCall; readonly sameRow: boolean }
  /** `sameRow`: only the reading differs */
  | {
      readonly kind: 'replaced';
      readonly of: ToldCall;
      readonly sameRow: boolean;
      readonly differences: readonly Difference[];
    }
  | { readonly kind: 'conflict'; readonly of: ToldCall; readonly differences: readonly Difference[] };

/** The largest difference between two records where one gives whole seconds and the other fractions. */
const GRAIN_MS = 1_000;
const GRAIN_S = 1;
/** The largest difference between one row's stamps in two zones. */
export const ZONE_SPREAD_MS = 26 * 3_600_000;

/**
 * @param known calls of the row's source and call id
 * @param row the new record
 * @param keyBefore the row's key in an earlier version; '' where that does not matter
 */
export function decide(
  known: readonly ToldCall[],
  row: ToldCall,
  rules: SameCallRules,
  keyBefore = '',
): Decision {
  let best: Decision = { kind: 'new' };
  for (const call of known) {
    const decision = compare(call, row, rules, keyBefore);
    if (rank(decision) < rank(best)) best = decision;
  }
  return best;
}

/** Of several calls that a row may repeat, the one that fits best. */
function rank(decision: Decision): number {
  switch (decision.kind) {
    case 'duplicate':
      return 0;
    case 'completed':
      return decision.sameRow ? 1 : 2;
    case 'replaced':
      return decision.sameRow ? 1 : 3;
    case 'conflict':
      return 3;
    case 'new':
      return 4;
  }
}

function compare(call: ToldCall, row: ToldCall, rules: SameCallRules, keyBefore: string): Decision {
  const isNamed = (toldBy(row) & TOLD.name) !== 0;
  const sameRow =
    call.told === null ? call.sourceKey === keyBefore : !isNamed && call.sourceKey === row.sourceKey;
  const isSameStart = sameTime(call.startTime, row.startTime);
  if (rules.idsReused && !isSameStart) {
    const mayBeReading = Math.abs(call.startTime - row.startTime) <= ZONE_SPREAD_MS;
    if (!(sameRow && mayBeReading)) return { kind: 'new' };
  }
  const leg = sameRow
    ? 'same'
    : rules.legs === 'call_id'
      ? compareBridges(call.leg, row.leg)
      : compareLegs(call.leg, row.leg, sameDestination(call, row));
  if (leg === 'other') return { kind: 'new' };
  const differences = sameRow && !rules.replace ? [] : differencesOf(call, row);
  if (differences.length > 0) {
    // Legs that only their values distinguish are two.
    if (leg === 'perhaps') return { kind: 'new' };
    return rules.replace
      ? { kind: 'replaced', of: call, sameRow, differences }
      : { kind: 'conflict', of: call, differences };
  }
  return completes(call, row, sameRow)
    ? { kind: 'completed', of: call, sameRow }
    : { kind: 'duplicate', of: call };
}

function sameDestination(call: ToldCall, row: ToldCall): boolean | undefined {
  const [one, other] = [writtenCld(call), writtenCld(row)];
  if (one === other) return true;
  if (one === '' || other === '') return undefined;
  return sameNumber(call.cld, row.cld, one, other);
}

const sameNumber = (
  normalized: string,
  otherNormalized: string,
  written: string,
  otherWritten: string,
): boolean => normalized === otherNormalized || written.trim() === otherWritten.trim();

/** Milliseconds. A writer of whole seconds truncates, or rounds. */
export function sameTime(one: number, other: number): boolean {
  const apart = Math.abs(one - other);
  // A thousandth: what a double of milliseconds since 1970 holds of a microsecond.
  return apart < 0.001 || (apart < GRAIN_MS && (one % GRAIN_MS === 0 || other % GRAIN_MS === 0));
}

function sameSeconds(one: number, other: number): boolean {
  const apart = Math.abs(one - other);
  return apart < 0.000_001 || (apart < GRAIN_S && (Number.isInteger(one) || Number.isInteger(other)));
}

/** Costs as numbers: 00.0250 is 0.025. */
function normalCost(written: string): string {
  const decimal = plainDecimal(written) ?? written;
  return decimal.includes('.') ? decimal.replace(/\.?0+$/, '') : decimal;
}

function differencesOf(call: ToldCall, row: ToldCall): Difference[] {
  const both = toldBy(call) & toldBy(row);
  const found: Difference[] = [];
  const differ = (field: string, stored: string | number, told: string | number) =>
    found.push({ field, stored: String(stored), told: String(told) });
  const time = (field: string, one: number | null, other: number | null) => {
    if (one !== null && other !== null && !sameTime(one, other)) {
      differ(field, new Date(one).toISOString(), new Date(other).toISOString());
    }
  };
  time('start_time', call.startTime, row.startTime);
  time('connect_time', call.connectTime, row.connectTime);
  time('disconnect_time', call.disconnectTime, row.disconnectTime);
  if (both & TOLD.duration_s && !sameSeconds(call.durationS, row.durationS)) {
    differ('duration_s', call.durationS, row.durationS);
  }
  if (both & TOLD.billed_duration_s && !sameSeconds(call.billedDurationS, row.billedDurationS)) {
    differ('billed_duration_s', call.billedDurationS, row.billedDurationS);
  }
  if (call.cost !== null && row.cost !== null && normalCost(call.cost) !== normalCost(row.cost)) {
    differ('cost', call.cost, row.cost);
  }
  if (both & TOLD.currency && call.currency !== row.currency) differ('currency', call.currency, row.currency);
  const [cli, cld] = [writtenCli(row), writtenCld(row)];
  if (both & TOLD.cli && !sameNumber(call.cli, row.cli, writtenCli(call), cli))
    differ('cli', call.cli, row.cli);
  if (both & TOLD.cld && !sameNumber(call.cld, row.cld, writtenCld(call), cld))
    differ('cld', call.cld, row.cld);
  if (both & TOLD.linked_id && call.linkedId !== row.linkedId)
    differ('linked_id', call.linkedId, row.linkedId);
  if (both & TOLD.account && call.iAccount !== row.iAccount) {
    differ('i_account', call.iAccount, row.iAccount);
  }
  return found;
}

/** Whether the row has a value that the earlier record lacks. */
function completes(call: ToldCall, row: ToldCall, sameRow: boolean): boolean {
  const more = toldBy(row) & ~toldBy(call) & ~TOLD.name;
  if (call.told !== null ? more !== 0 : completesOlder(call, row, more)) return true;
  if (sameRow) return false;
  for (const name in row.attributes) if (!(name in call.attributes)) return true;
  return false;
}

/** It is unknown which values of an older call were concluded: an equal value counts as the source's. */
function completesOlder(call: ToldCall, row: ToldCall, more: number): boolean {
  const concluded =
    TOLD.account | TOLD.direction | TOLD.country | TOLD.currency | TOLD.billed_duration_s | TOLD.result;
  return (
    (more & ~concluded) !== 0 ||
    ((more & TOLD.account) !== 0 && call.iAccount !== row.iAccount) ||
    ((more & TOLD.direction) !== 0 && call.direction !== row.direction) ||
    ((more & TOLD.country) !== 0 && call.country !== row.country) ||
    ((more & TOLD.currency) !== 0 && call.currency !== row.currency) ||
    ((more & TOLD.billed_duration_s) !== 0 && !sameSeconds(call.billedDurationS, row.billedDurationS))
  );
}
