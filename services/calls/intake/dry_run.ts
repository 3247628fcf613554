/** Finds out what an import would do, without doing it. */
import { pipeline } from 'node:stream/promises';
import { from as copyFrom } from 'pg-copy-streams';
import { type Pool, withSession } from '#platform/database/pool.ts';
import type { Session } from '#platform/database/session.ts';
import { COPY_COLUMNS } from '../call_fields.ts';
import { I_CDR_MONTH, iCdrOf } from '../i_cdr.ts';
import type { Batch } from './batch.ts';
import { copyLine } from './copy_text.ts';
import type { ImportSource } from './import_source.ts';
import { conflictsOf, rejectedOf, tellOutcomes } from './outcomes.ts';
import { callsGone, hasGrown } from './provisional.ts';
import { knownRejectedOf } from './quarantine.ts';
import { recognise } from './recognise.ts';
import { copyChunks } from './write_calls.ts';

/** A dry run: a session whose effects are all rolled back, and the changes of its earlier batches. */
export interface DryRun {
  readonly session: Session;
  /** Stored calls that would be rewritten: the dry run's own table holds their present state. */
  readonly superseded: Set<number>;
  /** Numbers for calls that would be new, counted down from the last possible one. */
  nextNumber: number;
  /** What its earlier batches would reject, by content. */
  readonly rejected: Set<string>;
}

/** Opens a dry run. */
export function dryRun<T>(pool: Pool, work: (dry: DryRun) => Promise<T>): Promise<T> {
  return withSession(pool, async (session) => {
    await session.client.query('BEGIN');
    try {
      await session.client.query('CREATE TEMP TABLE dry_run_cdrs (LIKE calls.cdrs) ON COMMIT DROP');
      await session.client.query('CREATE INDEX ON dry_run_cdrs (call_id)');
      await session.client.query('CREATE INDEX ON dry_run_cdrs (i_cdr)');
      return await work({ session, superseded: new Set(), nextNumber: I_CDR_MONTH - 1, rejected: new Set() });
    } finally {
      await session.client.query('ROLLBACK');
    }
  });
}

/**
 * Writes the outcomes that the batch's rows would have. A temporary table holds the calls that earlier batches of the
 * same dry run would have stored.
 */
export async function wouldStore(dry: DryRun, importSource: ImportSource, batch: Batch): Promise<void> {
  const { session, superseded } = dry;
  const { callCount, columns } = batch;
  for (const iCdr of await callsGone(session, importSource.source, batch.replacements)) superseded.add(iCdr);
  const calls = Array.from({ length: callCount }, (_, call) => call);
  const recognised = await recognise(session, importSource, batch, calls, Date.now(), {
    tables: ['dry_run_cdrs', 'calls.cdrs'],
    superseded,
  });
  const { fresh, rewritten } = recognised;
  const iCdrs = fresh.map((call) => iCdrOf(columns.startTime[call]!, dry.nextNumber--));
  const rewrittenICdrs = rewritten.map(
    ({ before, cdr }) => before?.iCdr ?? iCdrOf(cdr.record.startTime, dry.nextNumber--),
  );
  for (const { before } of rewritten) if (before) superseded.add(before.iCdr);
  await session.client.query('DELETE FROM dry_run_cdrs WHERE i_cdr = ANY($1::bigint[])', [
    rewritten.flatMap(({ before }) => before?.iCdr ?? []),
  ]);
  const lines = rewritten.map(
    (call, index) => `${rewrittenICdrs[index]}${copyLine(call.cdr, call.line, call)}`,
  );
  const copy = copyFrom(`COPY dry_run_cdrs (${COPY_COLUMNS.join(', ')}) FROM STDIN`);
  await pipeline(copyChunks(batch, fresh, iCdrs, lines), session.client.query(copy));
  const part = { calls, rejected: batch.rejected, repeated: batch.repeated };
  const written = { fresh, iCdrs, rewrittenICdrs };
  const rejected = rejectedOf(batch, part, conflictsOf(recognised, written));
  const known =
    rejected.length > 0 ? await knownRejectedOf(session, importSource.source, rejected, dry.rejected) : [];
  const grown = rejected.filter((row) => hasGrown(row, batch.replacements));
  const knownRejected = new Set([...known, ...grown].map(({ place }) => place));
  tellOutcomes(batch, part, recognised, written, knownRejected);
}
