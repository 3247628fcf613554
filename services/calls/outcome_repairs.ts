/**
 * Puts calls that an earlier version stored under the rule of outcome.ts, and sums their usage anew, while requests and
 * imports go on. Migration 0004 lists the months; a step takes some thousand calls of one, in one transaction with the
 * mark of how far it came, so it can be cut off at any moment and goes on from there, in whichever process.
 *
 * A step has the zones lock alone: no call is added to the sums that it makes meanwhile. Readers wait for nothing. What
 * they see is the old or the new of a quarter of an hour, its calls and its sums together.
 */
import { type Pool, withSession, withTransaction } from '#platform/database/pool.ts';
import { addMonths, type Month, startOfMonth } from './months.ts';
import { type RepairNeeds, stepByStep } from './step_by_step.ts';
import {
  endOfStep,
  monthsToRepair,
  nextRepair,
  noteRepair,
  repairCalls,
  repairDays,
  repairQuarters,
} from './store/outcome_repairs.ts';
import { lockZones } from './store/partitions.ts';

/** Calls of a step: a fifth of a second or so, for which imports wait. */
const STEP_CALLS = 10_000;

export interface RepairedStep {
  readonly month: Month;
  /** How many calls were other than the rule says. */
  readonly changed: number;
  readonly finished: boolean;
}

/**
 * Does one step, of the newest month first.
 * @returns undefined when nothing is left to do, or another process is at the last of it
 */
export function repairStep(pool: Pool, stepCalls = STEP_CALLS): Promise<RepairedStep | undefined> {
  return withTransaction(pool, async (session) => {
    const open = await session.row(nextRepair());
    if (!open) return undefined;
    const { month } = open;
    const [since, until] = [startOfMonth(month), startOfMonth(addMonths(month, 1))];
    const end = (await session.row(endOfStep(open, since, until, stepCalls))) ?? null;
    await session.run(lockZones('exclusive'));
    const step = { from: open, end, since, until };
    const changed = await session.run(repairCalls(step));
    await session.run(repairQuarters(step));
    await session.run(repairDays(step));
    await session.run(noteRepair(month, end, changed));
    return { month, changed, finished: end === null };
  });
}

/** How many months are not done. */
export async function monthsLeft(pool: Pool): Promise<number> {
  return withSession(pool, async (session) => (await session.row(monthsToRepair()))!.months);
}

/** For `trunkline migrate`. */
export async function leftToRepair(pool: Pool): Promise<string | undefined> {
  const months = await monthsLeft(pool);
  if (months === 0) return undefined;
  return `a running service puts the results of ${months} months of calls right (docs/RUNBOOK.md, Upgrade)`;
}

/** Does all steps, with a pause as long as each took. A failure is logged, and tried again. */
export function repairOutcomes(needs: RepairNeeds, stopping: AbortSignal): Promise<void> {
  const { pool, logger } = needs;
  let changed = 0;
  return stepByStep(needs, stopping, {
    step: async () => {
      const step = await repairStep(pool);
      changed += step?.changed ?? 0;
      if (step?.finished) {
        logger.info({ month: step.month, changed }, 'results of an earlier version were put right');
        changed = 0;
      }
      return step !== undefined;
    },
    isDone: async () => (await monthsLeft(pool)) === 0,
    failed: 'putting results right failed; it is tried again from where it was',
  });
}
