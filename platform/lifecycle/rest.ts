/** A loop's rest between two rounds. A wake ends the rest early. */
import type { Clock } from './clock.ts';

export interface Rest {
  /** Waits for `ms`, until `wake` or until `stopping`. A wake since the last rest ends this rest at once. Never rejects. */
  rest(ms: number, stopping: AbortSignal): Promise<void>;
  wake(): void;
}

export function createRest(clock: Clock): Rest {
  let woken = false;
  let end = () => {};
  return {
    rest: async (ms, stopping) => {
      if (!woken && !stopping.aborted) {
        const early = new AbortController();
        end = () => early.abort();
        await clock.sleep(ms, AbortSignal.any([stopping, early.signal])).catch(() => undefined);
        end = () => {};
      }
      woken = false;
    },
    wake: () => {
      woken = true;
      end();
    },
  };
}
