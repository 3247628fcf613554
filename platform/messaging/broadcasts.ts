/**
 * Broadcasts: each living process reads those that were sent since it last looked. They are kept for minutes; a process that was
 * away for longer, or missed one, finds out by itself, by a version or a time to live.
 *
 * A row's number says nothing of when its transaction ended, so "all after the last number" would miss some. A reader looks again
 * at all rows of transactions that may have been open at its last look, and knows by their numbers those that it has heard. It
 * does not wait for a long transaction of somebody else.
 */
import { sql } from 'kysely';
import type { Session } from '#platform/database/session.ts';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';

const build = sqlBuilder<unknown>();

export interface Broadcast {
  readonly topic: string;
  readonly body: unknown;
}

export interface BroadcastReader {
  /** What was sent since the last look; nothing at the first. */
  read(session: Session): Promise<readonly Broadcast[]>;
}

export function createBroadcastReader(): BroadcastReader {
  /** The oldest transaction that was open at the last look. */
  let horizon: string | undefined;
  let heard = new Set<number>();
  return {
    read: async (session) => {
      const first = horizon === undefined;
      const rows = await session.rows(visibleSince(horizon));
      const sent = rows.flatMap(({ i_broadcast, topic, body }) =>
        i_broadcast === null ? [] : [{ i_broadcast, topic: topic!, body }],
      );
      const fresh = first ? [] : sent.filter(({ i_broadcast }) => !heard.has(i_broadcast));
      horizon = rows[0]!.horizon;
      heard = new Set(sent.map(({ i_broadcast }) => i_broadcast));
      return fresh;
    },
  };
}

interface SeenRow {
  readonly horizon: string;
  readonly i_broadcast: number | null;
  readonly topic: string | null;
  readonly body: unknown;
}

/** At least one row, for the horizon; one snapshot for it and for what is visible. */
const visibleSince = (since: string | undefined): Statement<SeenRow> =>
  sql<SeenRow>`
    SELECT now.horizon::text AS horizon, i_broadcast, topic, body
    FROM (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS horizon) AS now
    LEFT JOIN messaging.broadcasts ON xact >= coalesce(${since ?? null}::xid8, now.horizon)
    ORDER BY i_broadcast`.compile(build);
