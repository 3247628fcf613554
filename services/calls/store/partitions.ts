/** Statements about the months of calls.cdrs. */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';

const build = sqlBuilder<unknown>();

/** Advisory locks of this service. A transaction holds them, so they work through PgBouncer. */
const LOCK_CLASS = 74_001;
const PARTITIONS = 1;
const ZONES = 2;

/** One process at a time makes or drops partitions. */
export const lockPartitions = (): Statement<unknown> =>
  sql`SELECT pg_advisory_xact_lock(${sql.lit(LOCK_CLASS)}, ${sql.lit(PARTITIONS)})`.compile(build);

/**
 * Writers of calls share this lock. A rebuild of usage_days (another time zone, retention) holds it alone, so that no call is
 * added to a day of the old zone meanwhile.
 */
export const lockZones = (mode: 'shared' | 'exclusive'): Statement<unknown> =>
  sql`SELECT ${sql.raw(mode === 'shared' ? 'pg_advisory_xact_lock_shared' : 'pg_advisory_xact_lock')}
        (${sql.lit(LOCK_CLASS)}, ${sql.lit(ZONES)})`.compile(build);

export const listMonths = (): Statement<{ month: number }> =>
  sql<{ month: number }>`
    SELECT substring(c.relname FROM 6)::int AS month
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'calls.cdrs'::regclass`.compile(build);

/**
 * Makes a partition as a table of its own, and attaches it. Reads and inserts do not wait for the lock of ATTACH. The lock of
 * CREATE TABLE … PARTITION OF would make all of them wait for the longest running query.
 */
export function createMonth(month: number, from: string, to: string): Statement<unknown>[] {
  const name = sql.id('calls', `cdrs_${month}`);
  return [
    sql`CREATE TABLE ${name} (LIKE calls.cdrs INCLUDING ALL)`.compile(build),
    sql`ALTER TABLE calls.cdrs ATTACH PARTITION ${name} FOR VALUES FROM (${sql.lit(from)}) TO (${sql.lit(to)})`.compile(
      build,
    ),
  ];
}

/** How long a statement of this transaction waits for a lock. */
export const limitLockWait = (ms: number): Statement<unknown> =>
  sql`SELECT set_config('lock_timeout', ${`${ms}ms`}, true)`.compile(build);

export const dropMonth = (month: number): Statement<unknown> =>
  sql`DROP TABLE ${sql.id('calls', `cdrs_${month}`)}`.compile(build);

/** Deletes the tellings of calls from earlier months. An i_cdr begins with its month. @param start of the month */
export const deleteTellingsBefore = (month: number, start: string): Statement<unknown> =>
  sql`
    WITH again AS (DELETE FROM calls.told_again WHERE told_at < ${start})
    DELETE FROM calls.tellings WHERE i_cdr < ${month}::bigint * 10000000000`.compile(build);

/** Deletes replaced versions of calls from earlier months. */
export const deleteHistoryBefore = (cutoff: string): Statement<unknown> =>
  sql`DELETE FROM calls.cdr_history WHERE start_time < ${cutoff}`.compile(build);

export const deleteUsageBefore = (cutoff: string): Statement<unknown> =>
  sql`DELETE FROM calls.usage_quarters WHERE quarter < ${cutoff}`.compile(build);

/** Deletes days up to and including the day of the cutoff, by the zone of each account. */
export const deleteUsageDaysTo = (cutoff: string): Statement<unknown> =>
  sql`
    DELETE FROM calls.usage_days d USING calls.accounts a
    WHERE a.i_account = d.i_account
      AND d.day <= (${cutoff}::timestamptz AT TIME ZONE a.time_zone)::date`.compile(build);

/** Sums the rest of the day of the cutoff again. No zone has a day longer than 25 hours. */
export const restoreBoundaryDays = (cutoff: string): Statement<unknown> =>
  sql`
    INSERT INTO calls.usage_days
    SELECT q.i_account, (q.quarter AT TIME ZONE a.time_zone)::date, q.direction, q.country, q.currency,
           sum(q.calls), sum(q.answered), sum(q.non_zero), sum(q.errors),
           sum(q.seconds), sum(q.billed_seconds), sum(q.cost)
    FROM calls.usage_quarters q JOIN calls.accounts a USING (i_account)
    WHERE q.quarter >= ${cutoff} AND q.quarter < ${cutoff}::timestamptz + interval '26 hours'
      AND (q.quarter AT TIME ZONE a.time_zone)::date = (${cutoff}::timestamptz AT TIME ZONE a.time_zone)::date
    GROUP BY 1, 2, 3, 4, 5`.compile(build);
