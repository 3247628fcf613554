/**
 * Months of calls.cdrs. Each is a partition, created ahead of need or for the first call of that month, and removed whole
 * by retention.
 */
import type { Pool } from '#platform/database/pool.ts';
import { withTransaction } from '#platform/database/pool.ts';
import type { Session } from '#platform/database/session.ts';
import { addMonths, type Month, monthOf, startOfMonth } from './months.ts';
import {
  createMonth,
  deleteHistoryBefore,
  deleteTellingsBefore,
  deleteUsageBefore,
  deleteUsageDaysTo,
  dropMonth,
  limitLockWait,
  listMonths,
  lockPartitions,
  lockZones,
  restoreBoundaryDays,
} from './store/partitions.ts';

/**
 * How early a month's partition is created before the month begins, in milliseconds. Maintenance runs each hour, and a call
 * creates a missing month. Not earlier: PostgreSQL plans each page for every month up to the last, empty or not.
 */
export const AHEAD_MS = 7 * 86_400_000;

/**
 * Creates the missing partitions of these months. Several processes may run it at once; neither readers nor writers of
 * other months wait.
 * @returns the months that were created
 */
export async function ensureMonths(
  pool: Pool,
  months: Iterable<Month>,
  signal?: AbortSignal,
): Promise<Month[]> {
  const make = async (session: Session) => {
    await session.run(lockPartitions());
    const there = await existingMonths(session);
    const missing = [...new Set(months)].filter((month) => !there.has(month)).sort();
    for (const month of missing) {
      for (const statement of createMonth(month, startOfMonth(month), startOfMonth(addMonths(month, 1)))) {
        await session.run(statement);
      }
    }
    return missing;
  };
  return withTransaction(pool, make, { signal });
}

async function existingMonths(session: Session): Promise<Set<Month>> {
  return new Set((await session.rows(listMonths())).map((row) => row.month));
}

/** Creates the current month, and the next one where it is near. */
export function ensureMonthsAhead(pool: Pool, now: number): Promise<Month[]> {
  return ensureMonths(pool, [monthOf(now), monthOf(now + AHEAD_MS)]);
}

/**
 * The first month that retention keeps.
 * @param keepMonths whole months beside the one of `now`
 */
export const oldestKept = (now: number, keepMonths: number): Month => addMonths(monthOf(now), -keepMonths);

/**
 * How long the removal of a month waits for its readers. Every request for any month waits behind it, so the limit is
 * short: a back-up reads for long, and the next round of retention tries again.
 */
const DROP_LOCK_TIMEOUT_MS = 800;

/**
 * Removes every month that ended more than `keepMonths` months ago, with its usage. Each is removed in one transaction, so
 * that lists, totals and consumption stay consistent.
 * @returns the months that were removed
 * @throws Error when one of them has a reader for long
 */
export async function removeOldMonths(pool: Pool, now: number, keepMonths: number): Promise<Month[]> {
  const oldest = oldestKept(now, keepMonths);
  return withTransaction(pool, async (session) => {
    await session.run(limitLockWait(DROP_LOCK_TIMEOUT_MS));
    await session.run(lockPartitions());
    const old = [...(await existingMonths(session))].filter((month) => month < oldest).sort();
    if (old.length === 0) return [];
    const cutoff = startOfMonth(oldest);
    await session.run(lockZones('exclusive'));
    for (const month of old) await session.run(dropMonth(month));
    await session.run(deleteHistoryBefore(cutoff));
    await session.run(deleteTellingsBefore(oldest, cutoff));
    await session.run(deleteUsageBefore(cutoff));
    await session.run(deleteUsageDaysTo(cutoff));
    await session.run(restoreBoundaryDays(cutoff));
    return old;
  });
}
