/** Tasks that run beside each other, a limited number of them at a time. */

export interface SideBySide {
  /**
   * Waits for a free place and starts the task in it.
   * @throws what a task before has thrown; the new one is not started then
   */
  start(task: () => Promise<void>): Promise<void>;
  /**
   * Waits until none runs any more.
   * @throws what the first task to fail has thrown
   */
  end(): Promise<void>;
}

export function sideBySide(limit: number): SideBySide {
  const running = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  const throwFailure = () => {
    if (failure) throw failure.error;
  };
  return {
    async start(task) {
      if (running.size >= limit) await Promise.race(running);
      throwFailure();
      const run = task()
        .catch((error: unknown) => {
          failure ??= { error };
        })
        .finally(() => running.delete(run));
      running.add(run);
    },
    async end() {
      await Promise.all(running);
      throwFailure();
    },
  };
}
