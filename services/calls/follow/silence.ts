/** How long a source may be silent. No I/O and no clock. */

/** Shorter silences change nothing: three of them are no longer than the silence that is always allowed. */
export const GAP_MS = 5 * 60_000;
/** Every source may be silent for this long. */
const LEAST_S = 15 * 60;
const TIMES_THE_LONGEST = 3;
/** Before this time a source's usual silences are unknown. */
const LEARNING_MS = 7 * 86_400_000;

export interface Heard {
  /** Milliseconds since 1970, as are the others. Null: none yet. */
  readonly firstRowAt: number | null;
  readonly lastRowAt: number | null;
  /** The longest silence that reached into the same hour of the weeks before, in seconds. Null: none. */
  readonly longestGapS: number | null;
}

export interface Silence {
  /** Since the last row was written, in seconds. Null where there was none yet. */
  readonly silentS: number | null;
  /** A silence of more seconds raises an alert. Null in a source's first week. */
  readonly limitS: number | null;
}

export function silenceOf({ firstRowAt, lastRowAt, longestGapS }: Heard, now: number): Silence {
  const isKnown = firstRowAt !== null && now - firstRowAt >= LEARNING_MS;
  return {
    silentS: lastRowAt === null ? null : Math.max(0, (now - lastRowAt) / 1_000),
    limitS: isKnown ? Math.max(LEAST_S, TIMES_THE_LONGEST * (longestGapS ?? 0)) : null,
  };
}
