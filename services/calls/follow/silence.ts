/** How long a source may be silent. No I/O and no clock. */

/** Shorter times without a row change nothing: three of them are no longer than what is allowed anyway. */
export const GAP_MS = 5 * 60_000;
/** Any source may be silent for so long. */
const LEAST_S = 15 * 60;
const TIMES_THE_LONGEST = 3;
/** Before so long nobody knows what is usual. */
const LEARNING_MS = 7 * 86_400_000;

export interface Heard {
  /** Milliseconds since 1970, as are the others; null: none yet. */
  readonly firstRowAt: number | null;
  readonly lastRowAt: number | null;
  /** The longest time without a row that reached into the same hour of the weeks before, in seconds; null: none. */
  readonly longestGapS: number | null;
}

export interface Silence {
  /** Since the last row was written, in seconds; null where there was none yet. */
  readonly silentS: number | null;
  /** From how many seconds on that is an alert; null in a source's first week. */
  readonly limitS: number | null;
}

export function silenceOf({ firstRowAt, lastRowAt, longestGapS }: Heard, now: number): Silence {
  const isKnown = firstRowAt !== null && now - firstRowAt >= LEARNING_MS;
  return {
    silentS: lastRowAt === null ? null : Math.max(0, (now - lastRowAt) / 1_000),
    limitS: isKnown ? Math.max(LEAST_S, TIMES_THE_LONGEST * (longestGapS ?? 0)) : null,
  };
}
