/** What the reader of a file does next. No I/O and no clock. */

/** How long a row whose end is missing waits for it. */
export const ROW_SILENCE_MS = 60_000;
/** The same in a file that was put away: its writer has gone on to the next one. */
export const ROTATED_ROW_SILENCE_MS = 2_000;
/** How long a file that was put away may be silent before it is left: a writer may hold it open for a while. */
export const ROTATED_SILENCE_MS = 60_000;

export interface Seen {
  /** Bytes that the file has now. */
  readonly size: number;
  /** Up to where it is read. */
  readonly readTo: number;
  /** Up to where it is stored: before a row that waits for its end. */
  readonly storedTo: number;
  /** The row that waits was taken as it is, when the file had so many bytes. */
  readonly takenAt: number | null;
  /** Since it grew last, or since it was opened. */
  readonly silentMs: number;
  /** Since it lies under another name; null while it does not. */
  readonly rotatedMs: number | null;
}

/**
 * - `read`: there is more
 * - `wait`: look again later
 * - `take`: no more will come of the last row: take it as it is
 * - `leave`: the file is put away, and read to its end
 * - `gone`: what was read is there no more: it was truncated
 */
export type Step = 'read' | 'wait' | 'take' | 'leave' | 'gone';

export function nextStep({ size, readTo, storedTo, takenAt, silentMs, rotatedMs }: Seen): Step {
  if (size < readTo || size < storedTo) return 'gone';
  if (size > readTo) return 'read';
  const quietMs = rotatedMs === null ? silentMs : Math.min(silentMs, rotatedMs);
  if (storedTo < readTo && takenAt !== readTo) {
    if (quietMs >= (rotatedMs === null ? ROW_SILENCE_MS : ROTATED_ROW_SILENCE_MS)) return 'take';
  } else if (rotatedMs !== null && quietMs >= ROTATED_SILENCE_MS) return 'leave';
  return 'wait';
}
