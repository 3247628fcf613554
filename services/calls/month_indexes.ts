/**
 * Makes the indexes by which calls are found by numbers as the switch wrote them, by their import and by what joins legs, for months that an
 * earlier version has filled: a month at a time, newest first, each in one transaction, so that it can be cut off at any
 * moment and goes on from there, in whichever process. Until then such a search reads calls one by one.
 */
import { type Pool, withTransaction } from '#platform/database/pool.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import type { Logger } from '#platform/telemetry/logger.ts';
import type { Month } from './months.ts';
import { makeIndexes, monthWithoutIndexes } from './store/month_indexes.ts';
import { lockPartitions } from './store/partitions.ts';

/** After a month that was in use, or another failure. */
const RETRY_MS = 10_000;

/** Makes those of one month. @returns undefined when none lacks them */
export function indexMonth(pool: Pool): Promise<Month | undefined> {
  return withTransaction(pool, async (session) => {
    await session.run(lockPartitions());
    const lacking = await session.row(monthWithoutIndexes());
    if (!lacking) return undefined;
    for (const statement of makeIndexes(lacking.month, lacking.missing)) await session.run(statement);
    return lacking.month;
  });
}

export interface IndexNeeds {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Makes all of them. A failure is logged, and tried again. */
export async function indexAllMonths(needs: IndexNeeds, stopping: AbortSignal): Promise<void> {
  const { pool, clock, logger } = needs;
  while (!stopping.aborted) {
    const began = clock.monotonic();
    let pauseMs = RETRY_MS;
    try {
      const month = await indexMonth(pool);
      if (month === undefined) return;
      logger.info({ month }, 'indexes were made');
      pauseMs = clock.monotonic() - began;
    } catch (error) {
      if (!stopping.aborted)
        logger.warn({ err: error }, 'indexes of months could not be made; it is tried again');
    }
    await clock.sleep(pauseMs, stopping).catch(() => undefined);
  }
}
