/** Statements about the counts of each switch, by hour. */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import { WAITS } from './rejected.ts';

const build = sqlBuilder<unknown>();

/** The arrival of a rejected row. As in the index of rows that wait. */
const SEEN = sql.raw('coalesce(seen_again_at, created_at)');

/** How long hours are kept. */
export const HOURS_KEPT_DAYS = 28;
/** The maximum of reported switches: those with the newest rows. So the number of metric labels is bounded. */
export const MOST_SOURCES = 200;

/** Refused posts, by the source that they name. */
export const addRefused = (sources: readonly string[], counts: readonly number[]): Statement<unknown> =>
  sql`
    INSERT INTO calls.source_hours AS was (source, hour, refused)
    SELECT source, date_trunc('hour', now(), 'UTC'), refused
    FROM unnest(${sources}::text[], ${counts}::bigint[]) AS r (source, refused) ORDER BY source
    ON CONFLICT (source, hour) DO UPDATE SET refused = was.refused + excluded.refused`.compile(build);

export const forgetHours = (before: string): Statement<unknown> =>
  sql`DELETE FROM calls.source_hours WHERE hour < ${before}::timestamptz`.compile(build);

export interface SourceHours {
  readonly source: string;
  readonly last_at: string | null;
  readonly last_file: string | null;
  readonly is_followed: boolean;
  /** The end of the last reported call. */
  readonly last_call_at: string | null;
  /** The delay of that report, in seconds. */
  readonly lag_s: number | null;
  /** Over this hour and the one before; of a switch that is known for less, since its first count. */
  readonly rows_per_minute: number;
  /** Since midnight in UTC. Only rejected rows that still wait count. */
  readonly set_aside_today: number;
  readonly refused_today: number;
  /** In this hour and the one before. */
  readonly set_aside_recent: number;
  readonly refused_recent: number;
  readonly first_at: string | null;
  /** The longest time without rows, in past weeks, that reached into this hour of the week; seconds. */
  readonly longest_gap_s: number | null;
}

/** Switches with rows or refused posts in the last four weeks; the newest first. */
export const listSourceHours = (): Statement<SourceHours> =>
  sql<SourceHours>`
    WITH at AS (
      SELECT date_trunc('hour', now(), 'UTC') AS hour, date_trunc('day', now(), 'UTC') AS today
    ), heard AS (
      SELECT s.source, max(s.last_at) AS last_at, (array_agg(s.last_file ORDER BY s.last_at DESC NULLS LAST))[1] AS last_file,
             coalesce(sum(s.rows) FILTER (WHERE s.hour >= at.hour - interval '1 hour'), 0)
               / greatest(1, extract(epoch FROM now() - greatest(min(at.hour) - interval '1 hour', min(coalesce(s.since, s.hour)))) / 60)
               AS rows_per_minute,
             coalesce(sum(s.refused) FILTER (WHERE s.hour >= at.today), 0)::bigint AS refused_today,
             coalesce(sum(s.refused) FILTER (WHERE s.hour >= at.hour - interval '1 hour'), 0)::bigint AS refused_recent,
             min(s.hour) FILTER (WHERE s.rows > 0) AS first_at
      FROM calls.source_hours s, at WHERE s.hour > at.hour - ${sql.lit(HOURS_KEPT_DAYS)} * interval '1 day'
      GROUP BY s.source ORDER BY 2 DESC NULLS LAST LIMIT ${sql.lit(MOST_SOURCES)}
    )
    SELECT h.source, h.last_at, h.last_file, h.rows_per_minute::float8 AS rows_per_minute, a.set_aside_today,
           h.refused_today, a.set_aside_recent, h.refused_recent, h.first_at, w.last_disconnect AS last_call_at,
           CASE WHEN w.source IS NOT NULL THEN greatest(0, extract(epoch FROM w.updated_at - w.last_disconnect)) END::float8 AS lag_s,
           EXISTS (SELECT FROM calls.followed_sources f WHERE f.path = h.last_file) AS is_followed,
           (SELECT max(extract(epoch FROM next.hour - last.hour - interval '1 hour'))::float8
            FROM at, generate_series(1, 4) AS week,
                 LATERAL (SELECT max(s.hour) AS hour FROM calls.source_hours s
                          WHERE s.source = h.source AND s.rows > 0 AND s.hour <= at.hour - week * interval '7 days') AS last,
                 LATERAL (SELECT min(s.hour) AS hour FROM calls.source_hours s
                          WHERE s.source = h.source AND s.rows > 0 AND s.hour > last.hour
                            AND last.hour < at.hour - week * interval '7 days') AS next) AS longest_gap_s
    FROM heard h LEFT JOIN calls.watermarks w ON w.source = h.source
      CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE seen >= at.today) AS set_aside_today,
               count(*) FILTER (WHERE seen >= at.hour - interval '1 hour') AS set_aside_recent
        FROM at, LATERAL (SELECT ${SEEN} AS seen FROM calls.rejected_cdrs
                          WHERE source = h.source AND ${WAITS} AND ${SEEN} >= least(at.today, at.hour - interval '1 hour')) AS r
      ) AS a
    ORDER BY h.last_at DESC NULLS LAST, h.source`.compile(build);
