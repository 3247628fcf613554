/** Work on what earlier versions stored, step by step beside everything else, by whichever process comes first. */
import type { Pool } from '#platform/database/pool.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import type { Logger } from '#platform/telemetry/logger.ts';

export interface RepairNeeds {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** After a failure, and until the process that is at the last of it is seen to have done it. */
const RETRY_MS = 60_000;

export interface Steps {
  /** @returns whether there was one to do */
  step(): Promise<boolean>;
  isDone(): Promise<boolean>;
  /** What the log says of a failure. */
  readonly failed: string;
}

/** Does all steps, with a pause as long as each took. A failure is logged, and tried again. */
export async function stepByStep(
  { clock, logger }: RepairNeeds,
  stopping: AbortSignal,
  { step, isDone, failed }: Steps,
): Promise<void> {
  while (!stopping.aborted) {
    const began = clock.monotonic();
    let pauseMs = RETRY_MS;
    try {
      if (await step()) pauseMs = clock.monotonic() - began;
      else if (await isDone()) return;
    } catch (error) {
      if (!stopping.aborted) logger.error({ err: error }, failed);
    }
    await clock.sleep(pauseMs, stopping).catch(() => undefined);
  }
}
