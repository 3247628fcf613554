/** Statements that take calls in. */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import { plainArray, textArray } from '../intake/array_text.ts';
import { type CallColumns, type CallNumber, callIdOf, sourceKeyOf } from '../intake/call_columns.ts';
import { instant } from '../intake/copy_text.ts';
import type { Account } from '../intake/settle.ts';
import { decimalCost, decimalSeconds, type QuarterUsage } from '../intake/usage.ts';

const build = sqlBuilder<unknown>();

export const accountsByCode = (codes: readonly string[]): Statement<Account> =>
  sql<Account>`SELECT i_account, code, currency, country FROM calls.accounts WHERE code = ANY(${codes})`.compile(
    build,
  );

export interface NewAccounts {
  readonly codes: readonly string[];
  readonly currency: string;
  readonly timeZone: string;
  readonly country: string | null;
}

/** For --create-accounts: named by their code until somebody names them better. */
export const createAccounts = (accounts: NewAccounts): Statement<unknown> =>
  sql`
    INSERT INTO calls.accounts (code, name, currency, time_zone, country)
    SELECT code, code, ${accounts.currency}, ${accounts.timeZone}, ${accounts.country}
    FROM unnest(${accounts.codes}::text[]) AS code ORDER BY code
    ON CONFLICT (code) DO NOTHING`.compile(build);

/** Two zones' clocks are at most 26 hours apart (+14:00 to -12:00). */
const ZONE_SPREAD_MS = 26 * 3_600_000;

/**
 * Which of these calls are stored already; gives their places in the list, from 1. One index look-up each.
 *
 * The look-up spans 26 hours around the start: a file that was first read with another time zone is the same file.
 * The batch's own bounds stand beside the row's, so that the planner drops the months that none of them can be in.
 */
export function storedAlready(
  columns: CallColumns,
  calls: readonly CallNumber[],
  source: string,
): Statement<{ place: number }> {
  const keys = calls.map((call) => columns.key[call]!);
  const starts = calls.map((call) => columns.startTime[call]!);
  const first = starts.reduce((least, start) => Math.min(least, start));
  const last = starts.reduce((most, start) => Math.max(most, start));
  return sql<{ place: number }>`
    SELECT k.place
    FROM unnest(${textArray(keys.map(callIdOf))}::text[], ${plainArray(keys.map(sourceKeyOf))}::text[],
                ${plainArray(starts.map(instant))}::timestamptz[])
         WITH ORDINALITY AS k (call_id, source_key, start_time, place)
    WHERE EXISTS (
      SELECT 1 FROM calls.cdrs c
      WHERE c.call_id = k.call_id AND c.source_key = k.source_key AND c.source = ${source}
        AND c.start_time >= k.start_time - interval '26 hours' AND c.start_time <= k.start_time + interval '26 hours'
        AND c.start_time >= ${instant(first - ZONE_SPREAD_MS)} AND c.start_time <= ${instant(last + ZONE_SPREAD_MS)})`.compile(
    build,
  );
}

/** As many numbers as there are calls to store, for their i_cdr: in one text, which costs less than a row each. */
export const takeNumbers = (count: number): Statement<{ numbers: string }> =>
  sql<{ numbers: string }>`
    SELECT string_agg(nextval('calls.cdr_numbers')::text, ',') AS numbers
    FROM generate_series(1, ${count}::int)`.compile(build);

/**
 * Adds a batch's usage to both tables. The day is told here, where the account's time zone is read under the zones
 * lock, so that a change of zone can't miss a call.
 */
export function addUsage(usage: readonly QuarterUsage[]): Statement<unknown> {
  const list = (pick: (u: QuarterUsage) => number | string | null) => plainArray(usage.map(pick));
  return sql`
    WITH batch AS (
      SELECT * FROM unnest(
        ${list((u) => u.iAccount)}::bigint[], ${list((u) => instant(u.quarter))}::timestamptz[],
        ${list((u) => u.direction)}::text[], ${textArray(usage.map((u) => u.country))}::text[],
        ${list((u) => u.currency)}::text[],
        ${list((u) => u.calls)}::bigint[], ${list((u) => u.answered)}::bigint[], ${list((u) => u.nonZero)}::bigint[],
        ${list((u) => u.errors)}::bigint[], ${list((u) => decimalSeconds(u.durationUs))}::numeric[],
        ${list((u) => decimalSeconds(u.billedUs))}::numeric[],
        ${list((u) => (u.cost === null ? null : decimalCost(u.cost)))}::numeric[])
      AS u (i_account, quarter, direction, country, currency, calls, answered, non_zero, errors, seconds,
            billed_seconds, cost)
    ), by_quarter AS (
      INSERT INTO calls.usage_quarters AS was SELECT * FROM batch
      ON CONFLICT (i_account, quarter, direction, country, currency) DO UPDATE SET ${sql.raw(ADDED)}
    )
    INSERT INTO calls.usage_days AS was
    SELECT i_account, (quarter AT TIME ZONE a.time_zone)::date AS day, direction, b.country, b.currency, sum(calls),
           sum(answered), sum(non_zero), sum(errors), sum(seconds), sum(billed_seconds), sum(cost)
    FROM batch b JOIN calls.accounts a USING (i_account)
    GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (i_account, day, direction, country, currency) DO UPDATE SET ${sql.raw(ADDED)}`.compile(
    build,
  );
}

const ADDED = `
  calls = was.calls + excluded.calls, answered = was.answered + excluded.answered,
  non_zero = was.non_zero + excluded.non_zero, errors = was.errors + excluded.errors,
  seconds = was.seconds + excluded.seconds, billed_seconds = was.billed_seconds + excluded.billed_seconds,
  cost = coalesce(was.cost + excluded.cost, was.cost, excluded.cost)`;

/** A source with a clock that runs ahead must not promise calls that are yet to come. */
export const raiseWatermark = (source: string, lastDisconnect: number): Statement<unknown> =>
  sql`
    INSERT INTO calls.watermarks AS was (source, last_disconnect)
    VALUES (${source}, least(${instant(lastDisconnect)}::timestamptz, now()))
    ON CONFLICT (source) DO UPDATE
    SET last_disconnect = greatest(was.last_disconnect, excluded.last_disconnect), updated_at = now()`.compile(
    build,
  );

export interface Counts {
  readonly read: number;
  readonly stored: number;
  readonly duplicates: number;
  readonly setAside: number;
}

export const countIn = (iImport: number, counts: Counts): Statement<unknown> =>
  sql`
    UPDATE calls.imports
    SET read = read + ${counts.read}, stored = stored + ${counts.stored},
        duplicates = duplicates + ${counts.duplicates}, set_aside = set_aside + ${counts.setAside}
    WHERE i_import = ${iImport}`.compile(build);

export const beginImport = (
  file: string,
  format: string,
  source: string,
  options: object,
): Statement<{ i_import: number }> =>
  sql<{ i_import: number }>`
    INSERT INTO calls.imports (file, format, source, options)
    VALUES (${file}, ${format}, ${source}, ${JSON.stringify(options)}::jsonb)
    RETURNING i_import`.compile(build);

/** A switch that posts has one import for all its posts; a file has one for each time it is read. */
export const findImport = (file: string, format: string, source: string): Statement<{ i_import: number }> =>
  sql<{ i_import: number }>`
    SELECT i_import FROM calls.imports
    WHERE file = ${file} AND format = ${format} AND source = ${source} ORDER BY i_import LIMIT 1`.compile(
    build,
  );

export const finishImport = (iImport: number): Statement<unknown> =>
  sql`UPDATE calls.imports SET finished_at = now() WHERE i_import = ${iImport}`.compile(build);
