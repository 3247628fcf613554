/** One attempt at a message, as its handler sees it; whoever runs the handler can cut it short. */
export interface CutAttempt {
  readonly number: number;
  readonly signal: AbortSignal;
  /** Aborts the signal, also one that the handler has not looked at yet. */
  abort(why: Error): void;
}

/** A signal costs more than the rest of an attempt, and few handlers look at it: it is made for those. */
export function cutAttempt(number: number): CutAttempt {
  let cut: AbortController | undefined;
  const made = () => {
    cut ??= new AbortController();
    return cut;
  };
  return {
    number,
    get signal() {
      return made().signal;
    },
    abort: (why) => made().abort(why),
  };
}
