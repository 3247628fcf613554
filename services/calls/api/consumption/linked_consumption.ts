/** Consumption of calls with all their legs: view=calls of GET /consumption. */
import type { Session } from '#platform/database/session.ts';
import { callsError } from '../../errors.ts';
import { sumLinkedUsage } from '../../store/linked_usage.ts';
import { type Dimension, type SeenAccounts, totalOfCalls } from '../../store/usage.ts';
import type { UsageRow, UsageSums } from '../../store/usage_rows.ts';
import type { Micros } from '../../time/instants.ts';
import { NO_USAGE } from '../../usage/consumption.ts';
import { coverRange } from '../../usage/usage_cover.ts';
import { seenRange } from '../lists/account_access.ts';

/** The most records of a range: some seconds of PostgreSQL's time (docs/decisions/0030). */
export const MAX_RECORDS = 1_000_000;

export const NO_LINKED_USAGE: UsageSums = { ...NO_USAGE, missed: 0, talk_seconds: 0 };

/**
 * Sums of calls by bucket and group. The row without a bucket comes first.
 * @param bounds the instants between which the buckets lie
 * @param limit of rows
 * @throws ApiError 400 for a range of too many records, before they are read
 */
export async function linkedUsage(
  session: Session,
  accounts: readonly SeenAccounts[],
  bounds: readonly Micros[],
  by: readonly Dimension[],
  limit: number,
): Promise<readonly UsageRow[]> {
  const range = { from: bounds[0]!, to: bounds.at(-1)! };
  const parts = accounts.flatMap((part) => {
    const seen = seenRange(range, part.seen);
    return seen ? [{ ...part, cover: coverRange(seen, undefined) }] : [];
  });
  const { total } = (await session.row(totalOfCalls(parts, 'all')))!;
  if (total > MAX_RECORDS) {
    throw callsError('too_many_records', {
      message: `The range has ${total} records; view=calls joins at most ${MAX_RECORDS} in one answer: ask for a shorter range`,
      fields: { fields: ['from', 'to'] },
    });
  }
  return session.rows(sumLinkedUsage(accounts, bounds, by, limit));
}
