/**
 * Undoes an import, as if it had never been (docs/decisions/0028). Its calls are removed with their usage. Calls that other
 * imports have too become theirs. Calls of others that it had completed or replaced get their former values back. Its
 * rejected rows are removed, and the time up to which its source has sent its calls goes back. The work runs in bounded
 * transactions, each of which leaves the tables in order. After an interruption the same command continues it.
 */
import { type Pool, withRepeatedTransaction } from '#platform/database/pool.ts';
import type { Session } from '#platform/database/session.ts';
import { type Actor, noteAudit } from '../store/audit.ts';
import { lockZones } from '../store/partitions.ts';
import { lockSource } from '../store/source_turns.ts';
import {
  accountsToldBy,
  beginUndo,
  callsOfImport,
  callsToldBy,
  endUndo,
  MOST_KEPT_BY,
  noteUndone,
  removeRejected,
  retellAccounts,
  retellWatermark,
  returnRejected,
  type UndoCounts,
  type UndoState,
  undoState,
  wouldUndo,
} from '../store/undo.ts';
import { undoCalls } from './undo_calls.ts';

/** Calls, or rejected rows, of one transaction. Posts of the same switch wait for as long. */
const STEP_CALLS = 2_000;
/** The most of them that are combined again one by one. */
const STEP_ROWS = 5_000;

export interface UndoProgress extends UndoCounts {
  readonly i_import: number;
  /** All of it is undone. */
  readonly done: boolean;
}

/** An import that can't be undone. The message says why, and what can be done. */
export class CannotUndoError extends Error {
  override name = 'CannotUndoError';
}

const NOTHING: UndoCounts = {
  calls_removed: 0,
  calls_kept: 0,
  kept_by: [],
  calls_restored: 0,
  rows_removed: 0,
  rows_returned: 0,
};

/** What `undoStep` would undo in all. Changes nothing. @returns undefined where there is no such import */
export async function dryUndo(session: Session, iImport: number): Promise<UndoProgress | undefined> {
  const state = await session.row(undoState(iImport, false));
  if (!state) return undefined;
  requireUndoable(state);
  return { i_import: iImport, ...(await session.row(wouldUndo(iImport)))!, done: false };
}

/**
 * Undoes a part of an import, in one transaction.
 * @param by who asked for it, for the audit trail
 * @returns what was undone since it began; undefined where there is no such import
 * @throws CannotUndoError
 */
export function undoStep(
  pool: Pool,
  iImport: number,
  by: Actor,
  signal?: AbortSignal,
): Promise<UndoProgress | undefined> {
  const step = async (session: Session): Promise<UndoProgress | undefined> => {
    const seen = await session.row(undoState(iImport, false));
    if (!seen) return undefined;
    // In the lock order of batches, which end by counting into their import.
    await session.run(lockZones('shared'));
    await session.run(lockSource(seen.source, 'exclusive'));
    const state = (await session.row(undoState(iImport, true)))!;
    requireUndoable(state);
    const before = { ...NOTHING, ...state.undone };
    if (state.undo_began_at === null) await begin(session, state, by);
    const calls = await nextCalls(session, iImport);
    if (calls.length > 0) {
      const { removed, kept, keptBy, restored } = await undoCalls(session, state, calls);
      return note(session, {
        ...before,
        calls_removed: before.calls_removed + removed,
        calls_kept: before.calls_kept + kept,
        kept_by: [...new Set([...before.kept_by, ...keptBy])].sort((a, b) => a - b).slice(0, MOST_KEPT_BY),
        calls_restored: before.calls_restored + restored,
      });
    }
    const rejected = (await session.row(removeRejected(iImport, STEP_ROWS)))!;
    if (rejected.all > 0)
      return note(session, { ...before, rows_removed: before.rows_removed + rejected.removed });
    const returned = await session.run(returnRejected(iImport, STEP_ROWS));
    if (returned > 0) return note(session, { ...before, rows_returned: before.rows_returned + returned });
    await finish(session, state, before, by);
    return { i_import: iImport, ...before, done: true };
  };
  const note = async (session: Session, undone: UndoCounts): Promise<UndoProgress> => {
    await session.run(noteUndone(iImport, undone));
    return { i_import: iImport, ...undone, done: false };
  };
  return withRepeatedTransaction(pool, step, { signal });
}

/** How many calls and rows were undone, or would be. */
export const countUndone = (counts: UndoCounts): number =>
  counts.calls_removed +
  counts.calls_kept +
  counts.calls_restored +
  counts.rows_removed +
  counts.rows_returned;

/** The part that an earlier, interrupted undo has done. */
export async function undoneBefore(session: Session, iImport: number): Promise<UndoCounts> {
  return { ...NOTHING, ...(await session.row(undoState(iImport, false)))?.undone };
}

/** Undoes all of it. @param onProgress called after each transaction */
export async function undoImport(
  pool: Pool,
  iImport: number,
  by: Actor,
  onProgress: (progress: UndoProgress) => void = () => undefined,
  signal?: AbortSignal,
): Promise<UndoProgress | undefined> {
  for (;;) {
    const progress = await undoStep(pool, iImport, by, signal);
    if (!progress || progress.done) return progress;
    onProgress(progress);
  }
}

function requireUndoable({ i_import, file, completed, noted, undone_at }: UndoState): void {
  if (undone_at !== null) throw new CannotUndoError(`import ${i_import} is taken back already`);
  if (file.startsWith('POST ')) {
    throw new CannotUndoError(
      `import ${i_import} is a switch that posts: what it has posted it does not send again, so it can't be taken back`,
    );
  }
  if (!noted && completed > 0) {
    throw new CannotUndoError(
      `import ${i_import} was made by a version before, which did not note what calls were before it completed ${completed} of them: restore a back-up from before`,
    );
  }
}

/** From here on none of its batches is stored any more, and its promise of calls is withdrawn. */
async function begin(session: Session, state: UndoState, by: Actor): Promise<void> {
  const { i_import: iImport, file, source } = state;
  await session.run(beginUndo(iImport));
  await tellAnew(session, state);
  const subject = `import ${iImport}`;
  const detail = { file, source, calls_stored: state.stored, calls_completed: state.completed };
  await session.run(noteAudit(by, { action: 'imports.undo', subject, detail }));
}

async function finish(session: Session, state: UndoState, undone: UndoCounts, by: Actor): Promise<void> {
  const { i_import: iImport, file, source } = state;
  await tellAnew(session, state);
  for (const statement of endUndo(iImport)) await session.run(statement);
  const subject = `import ${iImport}`;
  const { kept_by: _, ...counts } = undone;
  const detail = { file, source, ...counts };
  await session.run(noteAudit(by, { action: 'imports.undone', subject, detail }));
}

/** The time up to which its source has sent its calls, without it. */
async function tellAnew(session: Session, { i_import: iImport, source }: UndoState): Promise<void> {
  await session.run(retellWatermark(source));
  const accounts = await session.rows(accountsToldBy(iImport));
  if (accounts.length > 0)
    await session.run(
      retellAccounts(
        source,
        accounts.map(({ i_account: iAccount }) => iAccount),
      ),
    );
}

/** Its own calls, then those of others that it changed. */
async function nextCalls(session: Session, iImport: number): Promise<number[]> {
  let rows = await session.rows(callsOfImport(iImport, STEP_CALLS));
  if (rows.length === 0) rows = await session.rows(callsToldBy(iImport, STEP_CALLS));
  return rows.map(({ i_cdr: iCdr }) => iCdr);
}
