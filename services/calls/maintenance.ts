/** Housekeeping of the calls' months: made ahead of need, removed by retention. The loop is trivial; `runOnce` is the work. */

import { type Pool, withSession } from '#platform/database/pool.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import type { Logger } from '#platform/telemetry/logger.ts';
import type { Month } from './months.ts';
import { ensureMonthsAhead, removeOldMonths } from './partitions.ts';
import { forgetProvisional } from './store/provisional.ts';
import { forgetTaken } from './store/rejected.ts';
import { forgetHours, HOURS_KEPT_DAYS } from './store/source_hours.ts';

export const MAINTENANCE_INTERVAL_MS = 3_600_000;
/** A file that has not grown for so long is whole: its last row is no longer provisional (intake/provisional.ts). */
const PROVISIONAL_MS = 400 * 86_400_000;

/** For so long a row that was set aside and then taken in waits for its import to be taken back. */
const TAKEN_MS = 100 * 86_400_000;

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
  const grownAfter = new Date(now - PROVISIONAL_MS).toISOString();
  const takenAfter = new Date(now - TAKEN_MS).toISOString();
  await withSession(needs.pool, async (session) => {
    await session.run(forgetProvisional(grownAfter));
    await session.run(forgetTaken(takenAfter));
    await session.run(forgetHours(new Date(now - HOURS_KEPT_DAYS * 86_400_000).toISOString()));
  });
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
