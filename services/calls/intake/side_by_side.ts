/** Tasks that run concurrently, a limited number of them at a time. */

export interface SideBySide {
  /**
   * Waits for a free place and starts the task in it.
   * @throws the error of an earlier task; the new one is not started then
   */
  start(task: () => Promise<void>): Promise<void>;
  /**
   * Waits until no task runs any more.
   * @throws the error of the first task that failed
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
