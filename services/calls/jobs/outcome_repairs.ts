/**
 * Applies the rule of outcome.ts to calls that an earlier version stored, and sums their usage again, while requests and
 * imports go on. Migration 0004 lists the months. A step repairs some thousand calls of one month, and marks its progress
 * in the same transaction. So the work can be interrupted at any moment and goes on from there, in any process.
 *
 * A step holds the zones lock exclusively: no call is added to its sums meanwhile. Readers do not wait. For a quarter of
 * an hour they see either the old or the new calls and sums together.
 */
import { type Pool, withSession, withTransaction } from '#platform/database/pool.ts';
import { addMonths, type Month, startOfMonth } from '../months.ts';
import {
  endOfStep,
  monthsToRepair,
  nextRepair,
  noteRepair,
  repairCalls,
  repairDays,
  repairQuarters,
} from '../store/outcome_repairs.ts';
import { lockZones } from '../store/partitions.ts';
import { type RepairNeeds, stepByStep } from './step_by_step.ts';

/** Calls of a step: a fifth of a second or so, for which imports wait. */
const STEP_CALLS = 10_000;

export interface RepairedStep {
  readonly month: Month;
  /** The number of calls that broke the rule. */
  readonly changed: number;
  readonly finished: boolean;
}

/**
 * Does one step, of the newest month first.
 * @returns undefined when no work is left, or another process does the last step
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

/** The number of unfinished months. */
export async function monthsLeft(pool: Pool): Promise<number> {
  return withSession(pool, async (session) => (await session.row(monthsToRepair()))!.months);
}

/** For `trunkline migrate`. */
export async function leftToRepair(pool: Pool): Promise<string | undefined> {
  const months = await monthsLeft(pool);
  if (months === 0) return undefined;
  return `a running service repairs the results of ${months} months of calls (docs/RUNBOOK.md, Upgrade)`;
}

/** Does all steps, with a pause as long as each took. A failure is logged and retried. */
export function repairOutcomes(needs: RepairNeeds, stopping: AbortSignal): Promise<void> {
  const { pool, logger } = needs;
  let changed = 0;
  return stepByStep(needs, stopping, {
    step: async () => {
      const step = await repairStep(pool);
      changed += step?.changed ?? 0;
      if (step?.finished) {
        logger.info({ month: step.month, changed }, 'results of an earlier version were repaired');
        changed = 0;
      }
      return step !== undefined;
    },
    isDone: async () => (await monthsLeft(pool)) === 0,
    failed: 'the repair of results failed; it is retried from there',
  });
}
