/** Statements that apply the rule of outcome.ts to calls of an earlier version and to their sums. */
import { type RawBuilder, sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';

const build = sqlBuilder<unknown>();

/** A position in the order of account and time. */
export interface RepairPlace {
  readonly i_account: number;
  /** Start of a quarter of an hour, in a form that PostgreSQL reads. */
  readonly quarter: string;
}

export interface OpenRepair extends RepairPlace {
  readonly month: number;
}

/** Calls from one position up to, but not including, another, within a month; `end` null: to the end of the month. */
export interface RepairStep {
  readonly from: RepairPlace;
  readonly end: RepairPlace | null;
  /** First instant of the month, and of the next. */
  readonly since: string;
  readonly until: string;
}

/** The newest month that is not done and that no other process is at. */
export const nextRepair = (): Statement<OpenRepair> =>
  sql<OpenRepair>`
    SELECT month, i_account, quarter::text AS quarter FROM calls.outcome_repairs
    WHERE finished_at IS NULL ORDER BY month DESC LIMIT 1 FOR UPDATE SKIP LOCKED`.compile(build);

export const monthsToRepair = (): Statement<{ months: number }> =>
  sql<{
    months: number;
  }>`SELECT count(*) AS months FROM calls.outcome_repairs WHERE finished_at IS NULL`.compile(build);

/** Where a step of some `calls` calls ends: between two quarters of an account. No row: at the month's end. */
export const endOfStep = (
  from: RepairPlace,
  since: string,
  until: string,
  calls: number,
): Statement<RepairPlace> =>
  sql<RepairPlace>`
    SELECT i_account, (CASE WHEN (i_account, quarter) > (${from.i_account}::bigint, ${from.quarter}::timestamptz)
                       THEN quarter ELSE quarter + interval '15 min' END)::text AS quarter
    FROM (SELECT i_account, date_bin('15 min', start_time, '2000-01-01Z') AS quarter FROM calls.cdrs
          WHERE (i_account, start_time) >= (${from.i_account}::bigint, ${from.quarter}::timestamptz)
            AND start_time >= ${since}::timestamptz AND start_time < ${until}::timestamptz
          ORDER BY i_account, start_time OFFSET ${calls}::int LIMIT 1) AS beyond`.compile(build);

/** @param time the column of a table's time, `start_time` or `quarter` */
function within(step: RepairStep, time: string): RawBuilder<unknown> {
  const { from, end, since, until } = step;
  const at = sql.raw(time);
  const before = end && sql`AND (i_account, ${at}) < (${end.i_account}::bigint, ${end.quarter}::timestamptz)`;
  return sql`(i_account, ${at}) >= (${from.i_account}::bigint, ${from.quarter}::timestamptz) ${before ?? sql``}
    AND ${at} >= ${since}::timestamptz AND ${at} < ${until}::timestamptz`;
}

/** Formats that have a word for the result, which can contradict the times. */
const WITH_WORDS = `'asterisk-csv', 'asterisk-custom', 'mapped', 'posted-fields'`;

/**
 * The rule of outcome.ts on calls as the version before stored them, which had lost whether the billed time was told.
 * It was not where a file's mapping has no column for it, nor, as far as one can know now, in a post that would else
 * contradict itself: a call that its word calls answered, or that has an answer but no end, and is billed 0. Calls that
 * have `told` were decided by the rule when they were stored.
 *
 * That version stored a mapped word as the cause where there was none. So an answered call without a cause, in a file
 * that has a column for the word and no other for the answer, had a blank word.
 */
export const repairCalls = (step: RepairStep): Statement<unknown> =>
  sql`
    WITH odd AS (
      SELECT c.*, i.format,
        CASE WHEN i.format = 'mapped'
          THEN NOT jsonb_path_exists(i.options, '$.mapping.columns.* ? (@ == "billed_duration_s")')
        WHEN i.format = 'posted-fields'
          THEN billed_duration_s = 0 AND (connect_time IS NULL OR disconnect_time IS NULL)
            OR billed_duration_s > duration_s
               AND billed_duration_s IS NOT DISTINCT FROM extract(epoch FROM disconnect_time - connect_time)
        ELSE false END AS is_untold,
        i.format = 'mapped' AND result = 'answered' AND connect_time IS NULL AND disconnect_cause IS NULL
          AND jsonb_path_exists(i.options, '$.mapping.columns.* ? (@ == "result")')
          AND NOT jsonb_path_exists(i.options, '$.mapping.columns.* ? (@ == "billed_duration_s")') AS has_blank_word
      FROM calls.cdrs c LEFT JOIN calls.imports i USING (i_import)
      WHERE ${within(step, 'start_time')} AND told IS NULL
        AND (result <> 'answered' AND (connect_time IS NOT NULL OR billed_duration_s > 0)
          OR result = 'answered' AND billed_duration_s = 0 AND (connect_time IS NULL OR disconnect_time IS NULL)
          OR result = 'answered' AND connect_time IS NULL AND disconnect_cause IS NULL
          OR connect_time > start_time AND disconnect_time IS NULL AND billed_duration_s = duration_s
          OR billed_duration_s > duration_s OR cost = -1)),
    decided AS (
      SELECT *, connect_time IS NOT NULL OR (NOT is_untold AND billed_duration_s > 0)
                OR (is_untold AND result = 'answered' AND NOT has_blank_word) AS is_answered
      FROM odd),
    right_ones AS (
      SELECT i_cdr, start_time, has_blank_word,
        CASE WHEN is_answered THEN 'answered' WHEN result = 'answered' THEN 'no_answer' ELSE result END AS result,
        CASE WHEN NOT is_untold THEN billed_duration_s WHEN NOT is_answered THEN 0
          WHEN connect_time IS NULL THEN duration_s
          ELSE greatest(0, least(duration_s, coalesce(extract(epoch FROM disconnect_time - connect_time),
                                                      duration_s - extract(epoch FROM connect_time - start_time))))
        END AS billed,
        (result = 'answered') <> is_answered AND NOT has_blank_word AND format IN (${sql.raw(WITH_WORDS)}) AS is_contradicted
      FROM decided)
    UPDATE calls.cdrs c SET
      result = r.result, billed_duration_s = r.billed, cost = nullif(c.cost, -1),
      disconnect_cause = CASE WHEN r.is_contradicted AND (SELECT format FROM calls.imports i WHERE i.i_import = c.i_import) = 'posted-fields'
        THEN coalesce(c.disconnect_cause || ' (' || c.result || ')', c.result) ELSE c.disconnect_cause END,
      flags = nullif(
        CASE WHEN r.billed > c.duration_s THEN c.flags ELSE array_remove(c.flags, 'billed_longer_than_duration') END
        || CASE WHEN r.is_contradicted THEN '{result_contradicted}'::text[] END
        || CASE WHEN r.has_blank_word THEN '{result_unknown}'::text[] END
        || CASE WHEN r.billed <> c.billed_duration_s AND r.result = 'answered' THEN '{billed_inferred}'::text[] END
        || CASE WHEN c.cost = -1 THEN '{not_rated}'::text[] END, '{}')
    FROM right_ones r
    WHERE c.i_cdr = r.i_cdr AND c.start_time = r.start_time
      AND c.start_time >= ${step.since}::timestamptz AND c.start_time < ${step.until}::timestamptz
      AND (c.result <> r.result OR c.billed_duration_s <> r.billed OR c.cost = -1)`.compile(build);

const SUMS = ['calls', 'answered', 'non_zero', 'errors', 'seconds', 'billed_seconds', 'cost'];
const assigned = SUMS.map((sum) => `${sum} = s.${sum}`).join(', ');
const listed = (table: string) => SUMS.map((sum) => `${table}.${sum}`).join(', ');
const IS_WRONG = sql.raw(`(${listed('u')}) IS DISTINCT FROM (${listed('s')})`);
const ALIKE = sql.raw('u.direction = s.direction AND u.country = s.country AND u.currency = s.currency');

/** The sums of the step's quarters, from its calls. */
export const repairQuarters = (step: RepairStep): Statement<unknown> =>
  sql`
    UPDATE calls.usage_quarters u SET ${sql.raw(assigned)}
    FROM (SELECT i_account, date_bin('15 min', start_time, '2000-01-01Z') AS quarter, direction,
                 coalesce(country, '') AS country, currency, count(*) AS calls,
                 count(*) FILTER (WHERE result = 'answered') AS answered,
                 count(*) FILTER (WHERE billed_duration_s > 0) AS non_zero,
                 count(*) FILTER (WHERE result = 'failed') AS errors, sum(duration_s) AS seconds,
                 sum(billed_duration_s) AS billed_seconds, sum(cost) AS cost
          FROM calls.cdrs WHERE ${within(step, 'start_time')} GROUP BY 1, 2, 3, 4, 5) AS s
    WHERE u.i_account = s.i_account AND u.quarter = s.quarter AND ${ALIKE} AND ${IS_WRONG}`.compile(build);

/**
 * The sums of the days that the step's quarters lie in, from all quarters of those days; no zone's day reaches further
 * than 26 hours.
 */
export function repairDays(step: RepairStep): Statement<unknown> {
  const { from, end, since, until } = step;
  const oneAccount = end !== null && end.i_account === from.i_account;
  const lastAccount = end === null ? sql`` : sql`AND q.i_account <= ${end.i_account}::bigint`;
  const first = oneAccount && from.quarter !== '-infinity' ? from.quarter : since;
  const last = oneAccount ? end.quarter : until;
  return sql`
    UPDATE calls.usage_days u SET ${sql.raw(assigned)}
    FROM (SELECT i_account, (quarter AT TIME ZONE time_zone)::date AS day, direction, country, currency,
                 sum(calls) AS calls, sum(answered) AS answered, sum(non_zero) AS non_zero, sum(errors) AS errors,
                 sum(seconds) AS seconds, sum(billed_seconds) AS billed_seconds, sum(cost) AS cost
          FROM (SELECT q.*, a.time_zone FROM calls.usage_quarters q JOIN calls.accounts a USING (i_account)
                WHERE q.i_account >= ${from.i_account}::bigint ${lastAccount}
                  AND q.quarter >= ${first}::timestamptz - interval '26 hours'
                  AND q.quarter < ${last}::timestamptz + interval '26 hours') AS near
          GROUP BY 1, 2, 3, 4, 5 HAVING bool_or(${within(step, 'quarter')})) AS s
    WHERE u.i_account = s.i_account AND u.day = s.day AND ${ALIKE} AND ${IS_WRONG}`.compile(build);
}

/** @param end null: the month is done */
export const noteRepair = (month: number, end: RepairPlace | null, changed: number): Statement<unknown> =>
  sql`
    UPDATE calls.outcome_repairs
    SET i_account = coalesce(${end?.i_account ?? null}::bigint, i_account),
        quarter = coalesce(${end?.quarter ?? null}::timestamptz, quarter),
        calls_changed = calls_changed + ${changed}::bigint,
        finished_at = CASE WHEN ${end === null} THEN now() END
    WHERE month = ${month}::int`.compile(build);
