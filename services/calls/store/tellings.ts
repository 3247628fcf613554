/** Statements that note what each import told of a call that several have told (migration 0016). */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import { instant } from '../time/instants.ts';
import { plainArray, textArray } from './array_text.ts';
import type { Span } from './told_calls.ts';

const build = sqlBuilder<unknown>();

/** What differs between two imports that tell the same. */
const OWN = sql.raw(`'{i_cdr,i_import,line}'::text[]`);

/** Keeps calls as they are, before others tell more of them for the first time; those that are kept already stay so. @param span in which all of them start */
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

/** Calls that have moved to another month bear another number: so do their tellings and the versions that were replaced. */
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
  /** JSON of what the row said alone. */
  readonly call: string;
}

/** What an import said of a call. */
export interface SaidBefore {
  readonly i_import: number;
  /** Which of those that it told of the call: 0 for the one that stored it. */
  readonly nth: number;
}

/**
 * Notes what rows said, in order. One that says word for word what is noted of the call, or what the call is, is given
 * back instead: its place from 1, and who said so. Of a call that has several rows all are noted, so that their order is.
 * @param span in which all of the calls start
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

/** Notes of which calls an import said word for word what other imports had said. @param numbers of the calls, without month */
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
 * Forgets what rows told whose end was not seen, of calls that are now as they were before; and the first telling of those
 * that no other has told more of.
 * @param isWhole the rows were whole: what they told stays
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
