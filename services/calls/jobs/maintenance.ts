/** Maintains the months of calls: creates them ahead of need, and removes them by retention. `runOnce` does the work of one round. */

import { type Pool, withSession } from '#platform/database/pool.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import type { Logger } from '#platform/telemetry/logger.ts';
import type { Month } from '../months.ts';
import { ensureMonthsAhead, removeOldMonths } from '../partitions.ts';
import { forgetProvisional } from '../store/provisional.ts';
import { forgetTaken } from '../store/rejected.ts';
import { forgetHours, HOURS_KEPT_DAYS } from '../store/source_hours.ts';

export const MAINTENANCE_INTERVAL_MS = 3_600_000;
/** A file that has not grown for this long is whole: its last row is no longer provisional (intake/provisional.ts). */
const PROVISIONAL_MS = 400 * 86_400_000;

/** How long a rejected row that was then stored is kept, in case its import is undone. */
const TAKEN_MS = 100 * 86_400_000;

export interface Maintenance {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whole months to keep beside the current one. 0 keeps all. */
  readonly retentionMonths: number;
}

/** @returns the months that were created and removed */
export async function runOnce(needs: Maintenance): Promise<{ made: Month[]; removed: Month[] }> {
  const now = needs.clock.now();
  const made = await ensureMonthsAhead(needs.pool, now);
  const removed =
    needs.retentionMonths > 0 ? await removeOldMonths(needs.pool, now, needs.retentionMonths) : [];
  const grownAfter = new Date(now - PROVISIONAL_MS).toISOString();
  const takenAfter = new Date(now - TAKEN_MS).toISOString();
  await withSession(needs.pool, async (session) => {
    await session.run(forgetProvisional(grownAfter));
    await session.run(forgetTaken(takenAfter));
    await session.run(forgetHours(new Date(now - HOURS_KEPT_DAYS * 86_400_000).toISOString()));
  });
  return { made, removed };
}

/** Runs now and every MAINTENANCE_INTERVAL_MS until `stopping`. A failure is logged, and the next round retries. */
export async function runMaintenance(needs: Maintenance, stopping: AbortSignal): Promise<void> {
  while (!stopping.aborted) {
    try {
      const { made, removed } = await runOnce(needs);
      if (made.length + removed.length > 0) needs.logger.info({ made, removed }, 'months of calls');
    } catch (error) {
      if (!stopping.aborted)
        needs.logger.error({ err: error }, 'maintenance of months failed; it is retried');
    }
    await needs.clock.sleep(MAINTENANCE_INTERVAL_MS, stopping).catch(() => undefined);
  }
}
