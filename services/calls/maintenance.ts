/** Housekeeping of the calls' months: made ahead of need, removed by retention. The loop is trivial; `runOnce` is the work. */

import type { Pool } from '#platform/database/pool.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import type { Logger } from '#platform/telemetry/logger.ts';
import { ensureMonthsAhead, type Month, removeOldMonths } from './partitions.ts';

export const MAINTENANCE_INTERVAL_MS = 3_600_000;

export interface Maintenance {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whole months to keep beside the current one; 0 keeps all. */
  readonly retentionMonths: number;
}

/** @returns the months made and removed */
export async function runOnce(needs: Maintenance): Promise<{ made: Month[]; removed: Month[] }> {
  const now = needs.clock.now();
  const made = await ensureMonthsAhead(needs.pool, now);
  const removed =
    needs.retentionMonths > 0 ? await removeOldMonths(needs.pool, now, needs.retentionMonths) : [];
  return { made, removed };
}

/** Runs now and every MAINTENANCE_INTERVAL_MS until `stopping`. A failure is logged, and the next round tries again. */
export async function runMaintenance(needs: Maintenance, stopping: AbortSignal): Promise<void> {
  while (!stopping.aborted) {
    try {
      const { made, removed } = await runOnce(needs);
      if (made.length + removed.length > 0) needs.logger.info({ made, removed }, 'months of calls');
    } catch (error) {
      if (!stopping.aborted)
        needs.logger.error({ err: error }, 'maintenance of months failed; it is tried again');
    }
    await needs.clock.sleep(MAINTENANCE_INTERVAL_MS, stopping).catch(() => undefined);
  }
}
