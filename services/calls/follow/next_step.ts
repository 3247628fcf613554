/** Decides the next step of a file's reader. No I/O and no clock. */

/** How long an incomplete row waits for its end. */
export const ROW_SILENCE_MS = 60_000;
/** The same in a rotated file: its writer has gone on to the next one. */
export const ROTATED_ROW_SILENCE_MS = 2_000;
/** How long a rotated file must be silent before its reader leaves it: a writer may hold it open for a while. */
export const ROTATED_SILENCE_MS = 60_000;

export interface Seen {
  /** The file's present length in bytes. */
  readonly size: number;
  /** Up to where it is read. */
  readonly readTo: number;
  /** Up to where it is stored: before a row that waits for its end. */
  readonly storedTo: number;
  /** The waiting row was taken unfinished when the file had this length. */
  readonly takenAt: number | null;
  /** Since the file last grew, or since it was opened. */
  readonly silentMs: number;
  /** Since the file got another name. Null while it has its own. */
  readonly rotatedMs: number | null;
}

/**
 * - `read`: unread bytes remain
 * - `wait`: look again later
 * - `take`: the last row will not grow any more: take it unfinished
 * - `leave`: the file is rotated, and read to its end
 * - `gone`: the bytes that were read are gone: the file was truncated
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
