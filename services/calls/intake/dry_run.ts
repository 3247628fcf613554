/** What an import would do, without doing it. */
import { type Pool, withSession } from '#platform/database/pool.ts';
import type { Session } from '#platform/database/session.ts';
import type { Batch } from './batch.ts';
import { callIdOf, sourceKeyOf } from './call_columns.ts';
import { iCdrOf } from './copy_text.ts';
import type { Origin } from './intake.ts';
import { newCalls } from './store_batch.ts';

/** Opens a dry run; `work` gets a session whose every effect is undone. */
export function dryRun<T>(pool: Pool, work: (session: Session) => Promise<T>): Promise<T> {
  return withSession(pool, async (session) => {
    await session.client.query('BEGIN');
    try {
      await session.client.query(
        'CREATE TEMP TABLE dry_run_keys (call_id text, source_key text, place bigint, PRIMARY KEY (call_id, source_key)) ON COMMIT DROP',
      );
      return await work(session);
    } finally {
      await session.client.query('ROLLBACK');
    }
  });
}

/**
 * Tells what would become of the batch's rows, by writing its outcomes. A temporary table remembers what earlier batches
 * of the same dry run would have stored.
 */
export async function wouldStore(session: Session, origin: Origin, batch: Batch): Promise<void> {
  const { outcomes, callCount, columns } = batch;
  for (const { place, rejection } of batch.aside) outcomes[place] = { kind: 'set_aside', rejection };
  for (const { place } of batch.repeated) outcomes[place] = { kind: 'duplicate' };
  const calls = [...columns.place.subarray(0, callCount).keys()];
  for (const call of calls) outcomes[columns.place[call]!] = { kind: 'duplicate' };
  const fresh = await newCalls(session, origin, batch, calls);
  const keys = fresh.map((call) => columns.key[call]!);
  const remembered = await session.client.query(
    `INSERT INTO dry_run_keys SELECT * FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS k (call_id, source_key, place)
     ON CONFLICT DO NOTHING RETURNING place`,
    [keys.map(callIdOf), keys.map(sourceKeyOf)],
  );
  for (const { place } of remembered.rows) {
    const call = fresh[place - 1]!;
    outcomes[columns.place[call]!] = { kind: 'stored', iCdr: iCdrOf(columns.startTime[call]!, 0) };
  }
}
