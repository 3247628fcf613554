/** Statements by which writers of one source notice each other (intake/source_turn.ts). */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import type { DB } from '../tables.ts';

const build = sqlBuilder<DB>();

/** Advisory locks of sources. A transaction holds them, so they work through PgBouncer. */
const LOCK_CLASS = 74_002;

/** Locks a source. Shared: several writers at once. Exclusive: one writer alone; it waits for the others, and they for it. */
export const lockSource = (source: string, mode: 'shared' | 'exclusive'): Statement<unknown> =>
  sql`SELECT ${sql.raw(mode === 'shared' ? 'pg_advisory_xact_lock_shared' : 'pg_advisory_xact_lock')}
        (${sql.lit(LOCK_CLASS)}, hashtext(${source}))`.compile(build);

/** The last turn of the source; no row: it had none. */
export const lastTurn = (source: string): Statement<{ turn: number }> =>
  build.selectFrom('calls.source_turns').select('turn').where('source', '=', source).compile();

/** Takes the next turn; another writer waits until the end of the transaction. Returns the first of this writer's consecutive turns. */
export const takeTurn = (source: string, writer: string): Statement<{ turn: number; since: number }> =>
  sql<{ turn: number; since: number }>`
    INSERT INTO calls.source_turns AS was (source, turn, writer, since) VALUES (${source}, 1, ${writer}, 1)
    ON CONFLICT (source) DO UPDATE
    SET turn = was.turn + 1, writer = excluded.writer,
        since = CASE WHEN was.writer = excluded.writer THEN was.since ELSE was.turn + 1 END
    RETURNING turn, since`.compile(build);
