/** An effect that is to happen once, though its message may come twice: what was done is noted in the effect's transaction. */
import { sql } from 'kysely';
import type { Session } from '#platform/database/session.ts';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';

const build = sqlBuilder<unknown>();

/**
 * Does `work` unless `queue` has done it for this message before.
 * @param session in the transaction that `work` writes in. A second one for the same message waits here for the first to commit
 * @returns whether the work was done now
 */
export async function once(
  session: Session,
  queue: string,
  id: string,
  work: () => Promise<void>,
): Promise<boolean> {
  if ((await session.run(noteHandled(queue, id))) === 0) return false;
  await work();
  return true;
}

const noteHandled = (queue: string, id: string): Statement<unknown> =>
  sql`INSERT INTO messaging.handled (queue, id) VALUES (${queue}, ${id}) ON CONFLICT DO NOTHING`.compile(
    build,
  );
