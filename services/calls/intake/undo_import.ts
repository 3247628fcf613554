/**
 * Takes an import back, as if it had never been (docs/decisions/0028): its calls go with their usage; those that others
 * have told too are theirs; those of others that it had completed or replaced have their former values again; what it set
 * aside goes; what it told of up to when its source has told goes. All of it in bounded transactions, each of which leaves
 * the tables in order: cut off at any moment, it goes on from there when it is asked for again.
 */
import { type Pool, withTransaction } from '#platform/database/pool.ts';
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
  removeAside,
  retellAccounts,
  retellWatermark,
  returnAside,
  type UndoCounts,
  type UndoState,
  undoState,
  wouldUndo,
} from '../store/undo.ts';
import { undoCalls } from './undo_calls.ts';

/** Calls, or rows that were set aside, of one transaction: for as long posts of the same switch wait. */
const STEP_CALLS = 2_000;
/** Of them whose tellings are put together anew one by one. */
const STEP_ROWS = 5_000;

export interface UndoProgress extends UndoCounts {
  readonly i_import: number;
  /** All of it is taken back. */
  readonly done: boolean;
}

/** An import that can't be taken back; the message says why, and what can be done. */
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

/** What `undoStep` would take back in all; changes nothing. @returns undefined where there is no such import */
export async function dryUndo(session: Session, iImport: number): Promise<UndoProgress | undefined> {
  const state = await session.row(undoState(iImport, false));
  if (!state) return undefined;
  requireUndoable(state);
  return { i_import: iImport, ...(await session.row(wouldUndo(iImport)))!, done: false };
}

/**
 * Takes some of an import back, in one transaction.
 * @param by who asked for it, for the audit trail
 * @returns what was taken back since it began; undefined where there is no such import
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
    // In the order in which batches take them, which end by counting into their import.
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
    const aside = (await session.row(removeAside(iImport, STEP_ROWS)))!;
    if (aside.all > 0) return note(session, { ...before, rows_removed: before.rows_removed + aside.removed });
    const returned = await session.run(returnAside(iImport, STEP_ROWS));
    if (returned > 0) return note(session, { ...before, rows_returned: before.rows_returned + returned });
    await finish(session, state, before, by);
    return { i_import: iImport, ...before, done: true };
  };
  const note = async (session: Session, undone: UndoCounts): Promise<UndoProgress> => {
    await session.run(noteUndone(iImport, undone));
    return { i_import: iImport, ...undone, done: false };
  };
  return withTransaction(pool, step, { signal });
}

/** How many calls and rows were taken back, or would be. */
export const countUndone = (counts: UndoCounts): number =>
  counts.calls_removed +
  counts.calls_kept +
  counts.calls_restored +
  counts.rows_removed +
  counts.rows_returned;

/** What was taken back of it before, by one that was cut off. */
export async function undoneBefore(session: Session, iImport: number): Promise<UndoCounts> {
  return { ...NOTHING, ...(await session.row(undoState(iImport, false)))?.undone };
}

/** Takes all of it back. @param onProgress after each transaction */
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

/** From here on none of its batches is stored any more, and nobody is promised what it told. */
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

/** Up to when its source has told its calls, without it. */
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

/** Its own calls, then those of others that it told more of. */
async function nextCalls(session: Session, iImport: number): Promise<number[]> {
  let rows = await session.rows(callsOfImport(iImport, STEP_CALLS));
  if (rows.length === 0) rows = await session.rows(callsToldBy(iImport, STEP_CALLS));
  return rows.map(({ i_cdr: iCdr }) => iCdr);
}
