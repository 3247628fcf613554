/**
 * Creates indexes for months that an earlier version has filled: for searches by numbers as the switch wrote them, by import
 * and by the id that joins legs. It creates them a month at a time, newest first, each in one transaction. So the work can
 * be interrupted at any moment and goes on from there, in any process. Until then such a search reads calls one by one.
 */
import { type Pool, withTransaction } from '#platform/database/pool.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import type { Logger } from '#platform/telemetry/logger.ts';
import type { Month } from '../months.ts';
import { makeIndexes, monthWithoutIndexes } from '../store/month_indexes.ts';
import { lockPartitions } from '../store/partitions.ts';

/** The delay after a month that was in use, or after another failure. */
const RETRY_MS = 10_000;

/** Creates those of one month. @returns undefined when no month lacks them */
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

/** Creates all of them. A failure is logged and retried. */
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
        logger.warn({ err: error }, 'indexes of months could not be created; it is retried');
    }
    await clock.sleep(pauseMs, stopping).catch(() => undefined);
  }
}
