/**
 * A lifetime is the list of steps that undo a start. Code that starts something registers its stop at once, so that
 * a start that fails half-way leaves nothing behind, and a stop runs in the reverse order of the start.
 */

import { systemClock } from './clock.ts';
import { within } from './within.ts';

/** How long one stop step may take before the next one goes ahead without it, unless the step asks for longer. */
export const STOP_STEP_LIMIT_MS = 10_000;

export interface Lifetime {
  /**
   * Registers a step to undo; steps run in reverse order, each at most once.
   * @param limitMs the longest time that the step may take
   */
  onStop(what: string, stop: () => unknown, limitMs?: number): void;
  /** Aborted when stopping begins; for loops and waits. */
  readonly stopping: AbortSignal;
}

export interface OwnedLifetime extends Lifetime {
  /** Only aborts `stopping`, so that a start that waits gives up. */
  interrupt(): void;
  /** Runs every step in reverse order. Never rejects: a step that fails is reported, and the others still run. */
  stop(): Promise<void>;
}

/**
 * @param report called for each step that failed or outlasted its limit
 */
export function createLifetime(report: (what: string, error: unknown) => void): OwnedLifetime {
  const steps: { what: string; stop: () => unknown; limitMs: number }[] = [];
  const controller = new AbortController();
  let stopped: Promise<void> | undefined;

  const interrupt = () => controller.abort(new Error('stopping'));

  async function runSteps(): Promise<void> {
    interrupt();
    for (let step = steps.pop(); step; step = steps.pop()) {
      try {
        await within(systemClock, step.limitMs, step.what, step.stop);
      } catch (error) {
        report(step.what, error);
      }
    }
  }

  return {
    stopping: controller.signal,
    onStop: (what, stop, limitMs = STOP_STEP_LIMIT_MS) => void steps.push({ what, stop, limitMs }),
    interrupt,
    stop: () => {
      stopped ??= runSteps();
      return stopped;
    },
  };
}
