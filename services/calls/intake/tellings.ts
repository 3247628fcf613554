/**
 * Notes each import's version of a call, so that an import can be undone as if it had never been (undo.ts;
 * docs/decisions/0028). A call of one import is its own note: nothing is written for it.
 */
import type { Session } from '#platform/database/session.ts';
import { I_CDR_MONTH, iCdrOf } from '../i_cdr.ts';
import { addTellings, addToldAgain, keepBases, moveTellings, type SaidBefore } from '../store/tellings.ts';
import { SEVERAL_TELLINGS } from '../told.ts';
import type { Batch } from './batch.ts';
import type { ImportSource } from './import_source.ts';
import { spanOfNumbers } from './look_up.ts';
import type { Numbers } from './outcomes.ts';
import type { Known, Recognised } from './recognise.ts';
import { copyLineAsJson } from './told_call.ts';

/** Keeps the present state of stored calls that rows are about to complete or replace for the first time. */
export async function keepFirstTellings(session: Session, { rewritten }: Recognised): Promise<void> {
  const iCdrs = rewritten.flatMap(({ before }) =>
    before === null || (before.told ?? 0) & SEVERAL_TELLINGS ? [] : [before.iCdr],
  );
  if (iCdrs.length > 0) await session.run(keepBases(iCdrs, spanOfNumbers(iCdrs)));
}

/** Notes the rows' versions of stored calls, after those are written. */
export async function keepTellings(
  session: Session,
  importSource: ImportSource,
  batch: Batch,
  { rewritten, wordForWord, toldAgain }: Recognised,
  { rewrittenICdrs }: Numbers,
): Promise<void> {
  const moved = rewritten.flatMap(({ before }, index) =>
    before !== null && before.iCdr !== rewrittenICdrs[index]
      ? [{ was: before.iCdr, now: rewrittenICdrs[index]! }]
      : [],
  );
  if (moved.length > 0)
    await session.run(
      moveTellings(
        moved.map(({ was }) => was),
        moved.map(({ now }) => now),
      ),
    );
  const same: (SaidBefore & { readonly iCdr: number })[] = wordForWord
    .filter(({ iImport }) => importSource.alike.has(iImport))
    .map(({ iCdr, iImport }) => ({ iCdr, i_import: iImport, nth: 0 }));
  if (toldAgain.length > 0) {
    const now = new Map<Known, number>();
    for (const [index, { of }] of rewritten.entries()) now.set(of, rewrittenICdrs[index]!);
    const { ended, keyBefore, textFrom, textTo, startTime } = batch.columns;
    const rows = toldAgain.map(({ call, of, outcome }) => {
      const iCdr = now.get(of) ?? of.stored!.iCdr;
      const line = batch.bytes.toString('utf8', textFrom[call], textTo[call]);
      return {
        iCdr,
        ended: ended[call] === 1,
        keyBefore: keyBefore[call]!,
        outcome,
        call: copyLineAsJson(line, iCdrOf(startTime[call]!, iCdr % I_CDR_MONTH)),
      };
    });
    const span = spanOfNumbers(rows.map(({ iCdr }) => iCdr));
    for (const { place, ...said } of await session.rows(addTellings(importSource.iImport, rows, span)))
      same.push({ iCdr: rows[place - 1]!.iCdr, ...said });
  }
  const others = same.filter(({ i_import: by }) => by !== importSource.iImport);
  if (others.length === 0) return;
  await session.run(
    addToldAgain(
      importSource.iImport,
      others,
      others.map(({ iCdr }) => iCdr % I_CDR_MONTH),
    ),
  );
}
