/** Repairs data of earlier versions step by step, beside all other work, in the process that comes first. */
import type { Pool } from '#platform/database/pool.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import type { Logger } from '#platform/telemetry/logger.ts';

export interface RepairNeeds {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The delay after a failure, and the interval to check whether another process has done the last step. */
const RETRY_MS = 60_000;

export interface Steps {
  /** @returns whether there was a step to do */
  step(): Promise<boolean>;
  isDone(): Promise<boolean>;
  /** The log's text for a failure. */
  readonly failed: string;
}

/** Does all steps, with a pause as long as each took. A failure is logged and retried. */
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
