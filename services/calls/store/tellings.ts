/** Statements that store each import's record (telling) of a call that several imports contain (migration 0016). */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import { instant } from '../time/instants.ts';
import { plainArray, textArray } from './array_text.ts';
import type { Span } from './told_calls.ts';

const build = sqlBuilder<unknown>();

/** The columns that differ between two imports with the same record. */
const OWN = sql.raw(`'{i_cdr,i_import,line}'::text[]`);

/** Stores calls as first tellings, before another record completes them. Stored tellings remain. @param span in which all calls start */
export const keepBases = (iCdrs: readonly number[], span: Span): Statement<unknown> =>
  sql`
    INSERT INTO calls.tellings (i_cdr, i_import, nth, is_base, ended, key_before, outcome, told_at, call)
    SELECT c.i_cdr, c.i_import, 0, true,
           NOT EXISTS (SELECT FROM calls.provisional_rows p WHERE p.i_cdr = c.i_cdr AND p.before IS NULL), '', 'stored',
           'epoch', to_jsonb(c)
    FROM calls.cdrs c
    WHERE c.i_cdr = ANY(${plainArray(iCdrs)}::bigint[])
      AND c.start_time >= ${instant(span.from)} AND c.start_time < ${instant(span.to)}
      AND NOT EXISTS (SELECT FROM calls.tellings t WHERE t.i_cdr = c.i_cdr AND t.is_base)
    ORDER BY c.i_cdr`.compile(build);

/** A call that moves to another month gets another number. Its tellings and its replaced versions get that number, too. */
export const moveTellings = (was: readonly number[], now: readonly number[]): Statement<unknown> =>
  sql`
    WITH n AS (
      SELECT * FROM unnest(${plainArray(was)}::bigint[], ${plainArray(now)}::bigint[]) AS n (was, now)
    ), versions AS (UPDATE calls.cdr_history h SET i_cdr = n.now FROM n WHERE h.i_cdr = n.was)
    UPDATE calls.tellings t SET i_cdr = n.now FROM n WHERE t.i_cdr = n.was`.compile(build);

export interface NewTelling {
  readonly iCdr: number;
  readonly ended: boolean;
  readonly keyBefore: string;
  readonly outcome: 'completed' | 'duplicate';
  /** The row alone, as JSON. */
  readonly call: string;
}

/** An import's record of a call. */
export interface SaidBefore {
  readonly i_import: number;
  /** The number of the record among the import's records of the call: 0 for the record that stored the call. */
  readonly nth: number;
}

/**
 * Stores the tellings of rows, in order. A row that is word for word the same as a stored telling, or as the call itself, is not
 * stored: its position, from 1, and the import with that telling are returned instead. If a call has several rows, all are
 * stored, to keep their order.
 * @param span in which all calls start
 */
export const addTellings = (
  iImport: number,
  rows: readonly NewTelling[],
  span: Span,
): Statement<SaidBefore & { place: number }> =>
  sql<SaidBefore & { place: number }>`
    WITH told AS (
      SELECT place, i_cdr, ended, key_before, outcome, to_jsonb(jsonb_populate_record(NULL::calls.cdrs, call)) AS call,
             row_number() OVER (PARTITION BY i_cdr ORDER BY place) AS row, count(*) OVER (PARTITION BY i_cdr) AS rows
      FROM unnest(${plainArray(rows.map(({ iCdr }) => iCdr))}::bigint[],
                  ${plainArray(rows.map(({ ended }) => String(ended)))}::boolean[],
                  ${textArray(rows.map(({ keyBefore }) => keyBefore))}::text[],
                  ${plainArray(rows.map(({ outcome }) => outcome))}::text[],
                  ${rows.map(({ call }) => call)}::jsonb[])
           WITH ORDINALITY AS t (i_cdr, ended, key_before, outcome, call, place)
    ), known AS (
      SELECT DISTINCT ON (t.place) t.place, same.i_import, same.nth
      FROM told t CROSS JOIN LATERAL (
        SELECT n.i_import, n.nth FROM calls.tellings n
        WHERE n.i_cdr = t.i_cdr AND n.ended AND n.call - ${OWN} = t.call - ${OWN}
        UNION ALL
        SELECT c.i_import, 0 FROM calls.cdrs c
        WHERE c.i_cdr = t.i_cdr AND c.start_time >= ${instant(span.from)} AND c.start_time < ${instant(span.to)}
          AND to_jsonb(c) - ${OWN} = t.call - ${OWN}) AS same
      WHERE t.outcome = 'duplicate' AND t.ended AND t.rows = 1 AND same.i_import IS NOT NULL
      ORDER BY t.place, same.i_import, same.nth
    ), added AS (
      INSERT INTO calls.tellings (i_cdr, i_import, nth, is_base, ended, key_before, outcome, call)
      SELECT i_cdr, ${iImport}::int, t.row + (
               SELECT coalesce(max(o.nth) FILTER (WHERE o.nth > 0), 0) FROM calls.tellings o
               WHERE o.i_cdr = t.i_cdr AND o.i_import = ${iImport}::int),
             false, ended, key_before, outcome, call
      FROM told t WHERE place NOT IN (SELECT place FROM known) ORDER BY place
    )
    SELECT place, i_import, nth FROM known`.compile(build);

/** Stores which calls an import contains word for word as other imports do. @param numbers of the calls, without month */
export const addToldAgain = (
  iImport: number,
  sameAs: readonly SaidBefore[],
  numbers: readonly number[],
): Statement<unknown> =>
  sql`
    INSERT INTO calls.told_again (i_import, same_as, same_nth, numbers)
    SELECT ${iImport}::int, same_as, same_nth, range_agg(int8range(n, n, '[]'))
    FROM unnest(${plainArray(sameAs.map(({ i_import: by }) => by))}::int[], ${plainArray(sameAs.map(({ nth }) => nth))}::bigint[],
                ${plainArray(numbers)}::bigint[]) AS t (same_as, same_nth, n)
    GROUP BY same_as, same_nth ORDER BY same_as, same_nth`.compile(build);

/**
 * Deletes the tellings of provisional rows, for calls that have their earlier values again; and the first telling of calls that
 * have no other.
 * @param isWhole whether the rows were whole: then their tellings remain
 */
export const endTellings = (iCdrs: readonly number[], isWhole: boolean): Statement<unknown> =>
  isWhole
    ? sql`UPDATE calls.tellings SET ended = true
          WHERE NOT ended AND i_cdr = ANY(${plainArray(iCdrs)}::bigint[])`.compile(build)
    : sql`
        DELETE FROM calls.tellings t WHERE t.i_cdr = ANY(${plainArray(iCdrs)}::bigint[])
          AND (NOT t.ended OR t.is_base AND NOT EXISTS (
            SELECT FROM calls.tellings o WHERE o.i_cdr = t.i_cdr AND o.ended AND o.outcome = 'completed'))`.compile(
        build,
      );
