/**
 * Updates calls that an earlier version stored, while requests and imports go on. It notes the id that joins a call with
 * other legs, and whether the answer was the switch's own; linkage.ts finds both in the attributes. Migration 0015 lists
 * the months. A step updates some thousand calls of one month, and marks its progress in the same transaction. So the work
 * can be interrupted at any moment and goes on from there, in any process.
 */
import { type Pool, withSession, withTransaction } from '#platform/database/pool.ts';
import { isAnsweredBySwitch, linkedIdOf } from '../intake/linkage.ts';
import { addMonths, type Month, startOfMonth } from '../months.ts';
import {
  legsToRepair,
  linkageMonthsLeft,
  nextLinkageRepair,
  noteLinkage,
  noteLinkageRepair,
} from '../store/linkage_repairs.ts';
import { storable } from '../store/storable.ts';
import { type RepairNeeds, stepByStep } from './step_by_step.ts';

/** Calls of a step: a tenth of a second or so, for which a writer of one of them waits. */
const STEP_CALLS = 5_000;

/**
 * Does one step, of the newest month first.
 * @returns undefined when no work is left, or another process does the last step
 */
export function linkageRepairStep(
  pool: Pool,
  stepCalls = STEP_CALLS,
): Promise<{ readonly month: Month; readonly finished: boolean } | undefined> {
  return withTransaction(pool, async (session) => {
    const open = await session.row(nextLinkageRepair());
    if (!open) return undefined;
    const { month } = open;
    const [since, until] = [startOfMonth(month), startOfMonth(addMonths(month, 1))];
    const legs = await session.rows(legsToRepair(open, since, until, stepCalls));
    const repaired = legs
      .map(({ i_cdr, attributes, ...outcome }) => ({
        iCdr: i_cdr,
        linkedId: storable(linkedIdOf({ attributes })),
        bySwitch: isAnsweredBySwitch(outcome, attributes),
      }))
      .filter(({ linkedId, bySwitch }) => linkedId !== '' || bySwitch);
    if (repaired.length > 0) await session.run(noteLinkage(repaired, since, until));
    const finished = legs.length < stepCalls;
    await session.run(noteLinkageRepair(month, finished ? null : legs.at(-1)!.i_cdr));
    return { month, finished };
  });
}

/** Does all steps. */
export const repairLinkage = (needs: RepairNeeds, stopping: AbortSignal): Promise<void> =>
  stepByStep(needs, stopping, {
    step: async () => {
      const step = await linkageRepairStep(needs.pool);
      if (step?.finished) needs.logger.info({ month: step.month }, 'legs of an earlier version were joined');
      return step !== undefined;
    },
    isDone: () =>
      withSession(needs.pool, async (session) => (await session.row(linkageMonthsLeft()))!.months === 0),
    failed: 'joining legs failed; it is retried from there',
  });
