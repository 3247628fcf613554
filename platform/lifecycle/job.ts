/** A service's repeated background work. The loop is trivial; `runOnce` does the work, and tests call it. */
import type { Clock } from './clock.ts';

export interface Job {
  /** For the log. */
  readonly name: string;
  /** From the end of one round to the start of the next. */
  readonly everyMs: number;
  /** One round. A failure is reported, and the next round tries again. */
  runOnce(stopping: AbortSignal): Promise<unknown>;
}

export interface JobRunner {
  readonly clock: Clock;
  /** From 0 up to, not including, 1; Math.random in production. */
  readonly random: () => number;
  readonly onFailure: (job: string, error: unknown) => void;
}

/** Jitter as a share of the interval, so that rounds of several processes do not coincide. */
const JITTER = 0.1;

/** Runs a job now, and then every interval until `stopping`. Never rejects. */
export async function runJob(job: Job, runner: JobRunner, stopping: AbortSignal): Promise<void> {
  while (!stopping.aborted) {
    try {
      await job.runOnce(stopping);
    } catch (error) {
      if (!stopping.aborted) runner.onFailure(job.name, error);
    }
    const pauseMs = job.everyMs * (1 + JITTER * runner.random());
    await runner.clock.sleep(pauseMs, stopping).catch(() => undefined);
  }
}
