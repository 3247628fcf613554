/** Statements that undo an import (intake/undo_import.ts). */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import { instant } from '../time/instants.ts';
import { SEVERAL_TELLINGS } from '../told.ts';
import { plainArray } from './array_text.ts';
import { CALL_AS_TEXT, type Span } from './told_calls.ts';

const build = sqlBuilder<unknown>();

/** The maximum of named imports that contain the same calls. */
export const MOST_KEPT_BY = 20;

export interface UndoState {
  readonly i_import: number;
  readonly file: string;
  readonly format: string;
  readonly source: string;
  readonly stored: number;
  readonly completed: number;
  readonly noted: boolean;
  readonly undo_began_at: string | null;
  readonly undone_at: string | null;
  readonly undone: UndoCounts | null;
}

/** The progress of an undo. */
export interface UndoCounts {
  /** Calls of this import alone: removed. */
  readonly calls_removed: number;
  /** Calls that the import stored and that another import contains too: they belong to that import now. */
  readonly calls_kept: number;
  /** The imports that have these calls now: the first ones, by number. */
  readonly kept_by: number[];
  /** Calls of other imports that the import completed or replaced: they have their former values again. */
  readonly calls_restored: number;
  /** Rows that the import rejected: removed. */
  readonly rows_removed: number;
  /** Rows that another import rejected and this import stored: they wait again. */
  readonly rows_returned: number;
}

export const undoState = (iImport: number, lock: boolean): Statement<UndoState> =>
  sql<UndoState>`
    SELECT i_import, file, format, source, stored, completed, noted, undo_began_at, undone_at, undone FROM calls.imports
    WHERE i_import = ${iImport} ${sql.raw(lock ? 'FOR UPDATE' : '')}`.compile(build);

export const beginUndo = (iImport: number): Statement<unknown> =>
  sql`UPDATE calls.imports SET undo_began_at = now() WHERE i_import = ${iImport}`.compile(build);

export const noteUndone = (iImport: number, undone: UndoCounts): Statement<unknown> =>
  sql`UPDATE calls.imports SET undone = ${JSON.stringify(undone)}::jsonb WHERE i_import = ${iImport}`.compile(
    build,
  );

/** The counts for a dry run: calls of this import alone, calls that others contain too, calls of others, and rejected rows. */
export const wouldUndo = (iImport: number): Statement<UndoCounts> =>
  sql<UndoCounts>`
    WITH own AS (SELECT i_cdr FROM calls.cdrs WHERE i_import = ${iImport}),
    also AS (
      SELECT DISTINCT own.i_cdr FROM own JOIN calls.tellings t USING (i_cdr) WHERE t.i_import IS DISTINCT FROM ${iImport}
      UNION
      SELECT own.i_cdr FROM own
      WHERE own.i_cdr % 10000000000 <@ (
        SELECT range_agg(r) FROM calls.told_again, unnest(numbers) AS r WHERE same_as = ${iImport})
    ),
    counted AS (SELECT (SELECT count(*) FROM own) AS own, (SELECT count(*) FROM also) AS also)
    SELECT own - also AS calls_removed, also AS calls_kept,
           (SELECT coalesce(jsonb_agg(i_import ORDER BY i_import), '[]') FROM (
              SELECT t.i_import FROM own JOIN calls.tellings t USING (i_cdr) WHERE t.i_import <> ${iImport}
              UNION
              SELECT i_import FROM calls.told_again WHERE same_as = ${iImport} AND same_nth = 0
              ORDER BY 1 LIMIT ${MOST_KEPT_BY}) AS others) AS kept_by,
           (SELECT count(DISTINCT i_cdr) FROM calls.tellings t
            WHERE t.i_import = ${iImport} AND t.outcome = 'completed' AND i_cdr NOT IN (SELECT i_cdr FROM own)) AS calls_restored,
           (SELECT count(*) FROM calls.rejected_cdrs
            WHERE i_import = ${iImport} AND taken_by IS NULL AND aside_before = '{}') AS rows_removed,
           (SELECT count(*) FROM calls.rejected_cdrs WHERE taken_by = ${iImport}) AS rows_returned
    FROM counted`.compile(build);

/** Some calls of the import. */
export const callsOfImport = (iImport: number, limit: number): Statement<{ i_cdr: number }> =>
  sql<{ i_cdr: number }>`
    SELECT i_cdr FROM calls.cdrs WHERE i_import = ${iImport} LIMIT ${limit}`.compile(build);

/** Some calls of other imports that this import contains too. */
export const callsToldBy = (iImport: number, limit: number): Statement<{ i_cdr: number }> =>
  sql<{ i_cdr: number }>`
    SELECT DISTINCT i_cdr FROM calls.tellings WHERE i_import = ${iImport} ORDER BY 1 LIMIT ${limit}`.compile(
    build,
  );

export interface TellingRow extends Record<string, unknown> {
  readonly of: number;
  readonly place: number;
  readonly by: number | null;
  readonly nth: number;
  readonly is_base: boolean;
  readonly ended: boolean;
  readonly key_before: string;
  readonly outcome: string;
  readonly told_at: string;
  /** The record as JSON, and its columns as text. */
  readonly json: string;
}

/** The tellings of calls, in order: the stored ones, and the call itself if no stored telling is older. */
export const tellingsOf = (iCdrs: readonly number[], span: Span): Statement<TellingRow> =>
  sql<TellingRow>`
    WITH noted AS (
      SELECT * FROM calls.tellings WHERE i_cdr = ANY(${plainArray(iCdrs)}::bigint[])
    ), told AS (
      SELECT i_cdr, i_telling, i_import, nth, is_base, ended, key_before, outcome, told_at, call FROM noted
      UNION ALL
      SELECT s.i_cdr, 0, s.i_import, 0, true,
             NOT EXISTS (SELECT FROM calls.provisional_rows p WHERE p.i_cdr = s.i_cdr AND p.before IS NULL), '', 'stored',
             'epoch', to_jsonb(s)
      FROM calls.cdrs s
      WHERE s.i_cdr = ANY(${plainArray(iCdrs)}::bigint[])
        AND s.start_time >= ${instant(span.from)} AND s.start_time < ${instant(span.to)}
        AND NOT EXISTS (SELECT FROM noted n WHERE n.i_cdr = s.i_cdr AND n.is_base)
    )
    SELECT t.i_cdr AS of, t.i_telling AS place, t.i_import AS by, t.nth, t.is_base, t.ended, t.key_before, t.outcome,
           t.told_at, t.call::text AS json, ${sql.raw(CALL_AS_TEXT)}
    FROM told t CROSS JOIN LATERAL jsonb_populate_record(NULL::calls.cdrs, t.call) c
    ORDER BY t.i_cdr, NOT t.is_base, t.i_telling`.compile(build);

export interface AgainRow {
  readonly place: number;
  readonly by: number;
  /** The number of the telling within the import. */
  readonly same_nth: number;
  readonly told_at: string;
  /** A multirange: `{[5,8),[10,11)}`. */
  readonly numbers: string;
}

/** The imports with word for word the same record of these calls, in order. */
export const toldAgainBy = (sameAs: number, numbers: readonly number[]): Statement<AgainRow> =>
  sql<AgainRow>`
    WITH asked AS (SELECT ${multirange(numbers)}::int8multirange AS numbers)
    SELECT i_telling AS place, i_import AS by, same_nth, told_at, (a.numbers * asked.numbers)::text AS numbers
    FROM calls.told_again a, asked
    WHERE same_as = ${sameAs} AND a.numbers && asked.numbers ORDER BY i_telling`.compile(build);

const multirange = (numbers: readonly number[]): string => `{${numbers.map((n) => `[${n},${n}]`).join(',')}}`;

/** Stores that other imports have word for word the same records as `heir`, which has these calls now. */
export const inheritToldAgain = (
  sameAs: number,
  heir: number,
  numbers: readonly number[],
): Statement<unknown> =>
  sql`
    WITH asked AS (SELECT ${multirange(numbers)}::int8multirange AS numbers)
    INSERT INTO calls.told_again (i_telling, i_import, same_as, same_nth, numbers, told_at)
    SELECT i_telling, i_import, ${heir}::int, 0, a.numbers * asked.numbers, told_at FROM calls.told_again a, asked
    WHERE same_as = ${sameAs} AND i_import NOT IN (${sameAs}, ${heir}) AND a.numbers && asked.numbers`.compile(
    build,
  );

/** Deletes these entries. */
export const endToldAgain = (sameAs: number, numbers: readonly number[]): Statement<unknown> =>
  sql`
    WITH asked AS (SELECT ${multirange(numbers)}::int8multirange AS numbers),
    gone AS (
      DELETE FROM calls.told_again a USING asked WHERE same_as = ${sameAs} AND a.numbers <@ asked.numbers)
    UPDATE calls.told_again a SET numbers = a.numbers - asked.numbers FROM asked
    WHERE same_as = ${sameAs} AND a.numbers && asked.numbers AND NOT a.numbers <@ asked.numbers`.compile(
    build,
  );

/** Gives calls to another import. @param span in which all calls start */
export const giveCalls = (
  iCdrs: readonly number[],
  iImports: readonly number[],
  span: Span,
): Statement<unknown> =>
  sql`
    UPDATE calls.cdrs c SET i_import = g.i_import
    FROM unnest(${plainArray(iCdrs)}::bigint[], ${plainArray(iImports)}::int[]) AS g (i_cdr, i_import)
    WHERE c.i_cdr = g.i_cdr AND c.start_time >= ${instant(span.from)} AND c.start_time < ${instant(span.to)}`.compile(
    build,
  );

export interface LeftCall {
  /** The call as JSON, by the columns of calls.cdrs. */
  readonly json: string;
  readonly iCdr: number;
  readonly iImport: number | null;
  /** Its tellings are stored, so the call itself does not count as one. */
  readonly isNoted: boolean;
}

/** Calls as JSON with another number and import. */
export const renumbered = (calls: readonly LeftCall[]): Statement<{ call: string }> =>
  sql<{ call: string }>`
    SELECT (call || jsonb_build_object('i_cdr', i_cdr, 'i_import', i_import)
      || CASE WHEN is_noted THEN jsonb_build_object('told', (call->>'told')::int | ${SEVERAL_TELLINGS}::int) ELSE '{}' END)::text AS call
    FROM unnest(${calls.map(({ json }) => json)}::jsonb[], ${plainArray(calls.map(({ iCdr }) => iCdr))}::bigint[],
                ${plainArray(calls.map(({ iImport }) => iImport))}::int[], ${plainArray(calls.map(({ isNoted }) => String(isNoted)))}::boolean[])
         WITH ORDINALITY AS c (call, i_cdr, i_import, is_noted, place) ORDER BY place`.compile(build);

/** The read options of imports. */
export const importOptions = (
  iImports: readonly number[],
): Statement<{ i_import: number; format: string; options: Record<string, unknown> }> =>
  sql<{ i_import: number; format: string; options: Record<string, unknown> }>`
    SELECT i_import, format, options FROM calls.imports
    WHERE i_import = ANY(${plainArray(iImports)}::int[])`.compile(build);

/** The calls among these that a provisional row made or completed. */
export const provisionalOf = (iCdrs: readonly number[]): Statement<{ i_cdr: number }> =>
  sql<{ i_cdr: number }>`
    SELECT DISTINCT i_cdr FROM calls.provisional_rows
    WHERE i_cdr = ANY(${plainArray(iCdrs)}::bigint[])`.compile(build);

/** The calls without their provisional row, as JSON; null if that row alone contains the call. */
export const putProvisional = (
  calls: readonly { readonly was: number; readonly iCdr: number; readonly before: string | null }[],
): Statement<unknown> =>
  sql`
    UPDATE calls.provisional_rows p SET i_cdr = c.i_cdr, before = c.before
    FROM unnest(${plainArray(calls.map(({ was }) => was))}::bigint[], ${plainArray(calls.map(({ iCdr }) => iCdr))}::bigint[],
                ${calls.map(({ before }) => before)}::jsonb[]) AS c (was, i_cdr, before)
    WHERE p.i_cdr = c.was`.compile(build);

/**
 * Deletes the tellings and the replaced versions of calls.
 * @param whole the calls whose provisional rows are deleted as well
 */
export const forgetCalls = (iCdrs: readonly number[], whole: readonly number[]): Statement<unknown>[] =>
  [['tellings', iCdrs] as const, ['cdr_history', iCdrs] as const, ['provisional_rows', whole] as const].map(
    ([table, of]) =>
      sql`DELETE FROM ${sql.id('calls', table)} WHERE i_cdr = ANY(${plainArray(of)}::bigint[])`.compile(
        build,
      ),
  );

export interface KeptTelling {
  readonly place: number;
  readonly iCdr: number;
  readonly iImport: number | null;
  readonly nth: number;
  readonly isBase: boolean;
  readonly ended: boolean;
  readonly keyBefore: string;
  readonly outcome: string;
  readonly json: string;
  readonly toldAt: string;
}

/** Stores tellings under their numbers. A `place` of 0 gets a new number. */
export const putTellings = (rows: readonly KeptTelling[]): Statement<unknown> =>
  sql`
    INSERT INTO calls.tellings (i_telling, i_cdr, i_import, nth, is_base, ended, key_before, outcome, call, told_at)
    SELECT CASE WHEN place = 0 THEN nextval('calls.telling_numbers') ELSE place END, i_cdr, i_import, nth, is_base, ended,
           key_before, outcome, call || jsonb_build_object('i_import', i_import), told_at
    FROM unnest(${plainArray(rows.map(({ place }) => place))}::bigint[], ${plainArray(rows.map(({ iCdr }) => iCdr))}::bigint[],
                ${plainArray(rows.map(({ iImport }) => iImport))}::int[], ${plainArray(rows.map(({ nth }) => nth))}::bigint[],
                ${plainArray(rows.map(({ isBase }) => String(isBase)))}::boolean[],
                ${plainArray(rows.map(({ ended }) => String(ended)))}::boolean[], ${rows.map(({ keyBefore }) => keyBefore)}::text[],
                ${plainArray(rows.map(({ outcome }) => outcome))}::text[], ${rows.map(({ json }) => json)}::jsonb[],
                ${rows.map(({ toldAt }) => toldAt)}::timestamptz[])
      AS t (place, i_cdr, i_import, nth, is_base, ended, key_before, outcome, call, told_at)`.compile(build);

export interface KeptVersion {
  readonly iCdr: number;
  readonly replacedAt: string;
  readonly iImport: number | null;
  readonly start: number;
  readonly json: string;
}

export const putHistory = (rows: readonly KeptVersion[]): Statement<unknown> =>
  sql`
    INSERT INTO calls.cdr_history (i_cdr, replaced_at, i_import, start_time, call)
    SELECT i_cdr, replaced_at, i_import, start_time, to_jsonb(jsonb_populate_record(NULL::calls.cdrs, call))
    FROM unnest(${plainArray(rows.map(({ iCdr }) => iCdr))}::bigint[], ${rows.map(({ replacedAt }) => replacedAt)}::timestamptz[],
                ${plainArray(rows.map(({ iImport }) => iImport))}::int[],
                ${plainArray(rows.map(({ start }) => instant(start)))}::timestamptz[], ${rows.map(({ json }) => json)}::jsonb[])
      AS h (i_cdr, replaced_at, i_import, start_time, call)`.compile(build);

/** The changed counts of an import after the undo of another. */
export interface CountChange {
  readonly stored: number;
  readonly completed: number;
  readonly duplicates: number;
  readonly conflicts: number;
  /** Milliseconds since 1970; 0: nothing that ends later. */
  readonly toldTo: number;
}

export const changeCounts = (iImport: number, change: CountChange): Statement<unknown> => {
  const told = change.toldTo > 0 ? instant(change.toldTo) : null;
  return sql`
    UPDATE calls.imports
    SET stored = stored + ${change.stored}, completed = completed + ${change.completed},
        duplicates = duplicates + ${change.duplicates}, conflicts = conflicts + ${change.conflicts},
        told_to = greatest(told_to, CASE WHEN ${told}::timestamptz < now() THEN ${told} WHEN ${told}::timestamptz IS NOT NULL THEN now() END),
        told_at = CASE WHEN ${told}::timestamptz > told_to OR told_to IS NULL AND ${told}::timestamptz IS NOT NULL
                       THEN coalesce(told_at, finished_at, started_at) ELSE told_at END
    WHERE i_import = ${iImport}`.compile(build);
};

/** Computes the watermark of a source from the remaining imports; it is unknown for a source without imports. */
export const retellWatermark = (source: string): Statement<unknown> =>
  sql`
    WITH furthest AS (
      SELECT told_to, told_at FROM calls.imports
      WHERE source = ${source} AND undo_began_at IS NULL AND told_to IS NOT NULL
      ORDER BY told_to DESC, told_at LIMIT 1
    ), none AS (
      DELETE FROM calls.watermarks WHERE source = ${source} AND NOT EXISTS (SELECT FROM furthest))
    INSERT INTO calls.watermarks (source, last_disconnect, updated_at)
    SELECT ${source}, told_to, told_at FROM furthest
    ON CONFLICT (source) DO UPDATE
    SET last_disconnect = excluded.last_disconnect, updated_at = excluded.updated_at`.compile(build);

/** The accounts that refer to an import that is being undone. */
export const accountsToldBy = (iImport: number): Statement<{ i_account: number }> =>
  sql<{ i_account: number }>`
    SELECT i_account FROM calls.account_sources WHERE i_import = ${iImport} ORDER BY 1`.compile(build);

/** For these accounts: the import of the source with the latest end, among the remaining imports with their calls. */
export const retellAccounts = (source: string, iAccounts: readonly number[]): Statement<unknown> => {
  const brought = sql`
    (EXISTS (SELECT FROM calls.cdrs c WHERE c.i_import = i.i_import AND c.i_account = a.i_account)
     OR EXISTS (SELECT FROM calls.tellings t WHERE t.i_import = i.i_import AND t.outcome = 'completed'
                  AND (t.call ->> 'i_account')::bigint = a.i_account))`;
  return sql`
    WITH told AS (
      SELECT a.i_account, f.i_import
      FROM unnest(${plainArray(iAccounts)}::bigint[]) AS a (i_account)
      LEFT JOIN LATERAL (
        SELECT i.i_import FROM calls.imports i
        WHERE i.source = ${source} AND i.undo_began_at IS NULL AND i.told_to IS NOT NULL AND ${brought}
        ORDER BY i.told_to DESC, i.told_at, i.i_import LIMIT 1) AS f ON true
    ), none AS (
      DELETE FROM calls.account_sources s USING told
      WHERE s.source = ${source} AND s.i_account = told.i_account AND told.i_import IS NULL)
    INSERT INTO calls.account_sources (i_account, source, i_import)
    SELECT i_account, ${source}, i_import FROM told WHERE i_import IS NOT NULL ORDER BY i_account
    ON CONFLICT (i_account, source) DO UPDATE SET i_import = excluded.i_import`.compile(build);
};

/** Removes some rejected rows of the import, or gives them back to the import that rejected them before. */
export const removeRejected = (iImport: number, limit: number): Statement<{ removed: number; all: number }> =>
  sql<{ removed: number; all: number }>`
    WITH few AS (
      SELECT i_rejected, aside_before FROM calls.rejected_cdrs WHERE i_import = ${iImport} LIMIT ${limit}
    ), gone AS (
      DELETE FROM calls.rejected_cdrs r USING few WHERE r.i_rejected = few.i_rejected AND few.aside_before = '{}'
      RETURNING r.taken_by
    ), back AS (
      UPDATE calls.rejected_cdrs r
      SET i_import = few.aside_before[cardinality(few.aside_before)], aside_before = trim_array(few.aside_before, 1)
      FROM few WHERE r.i_rejected = few.i_rejected AND few.aside_before <> '{}')
    SELECT (SELECT count(*) FROM gone WHERE taken_by IS NULL) AS removed, (SELECT count(*) FROM few) AS all`.compile(
    build,
  );

/** Makes some rows wait again that the import stored after another had rejected them. */
export const returnRejected = (iImport: number, limit: number): Statement<unknown> =>
  sql`
    UPDATE calls.rejected_cdrs SET taken_by = NULL, taken_at = NULL
    WHERE i_rejected IN (SELECT i_rejected FROM calls.rejected_cdrs WHERE taken_by = ${iImport} LIMIT ${limit})`.compile(
    build,
  );

/** Deletes the rest: the entries about equal records, and the mentions of the import in rejected rows. */
export const endUndo = (iImport: number): Statement<unknown>[] => [
  sql`DELETE FROM calls.told_again WHERE i_import = ${iImport} OR same_as = ${iImport}`.compile(build),
  sql`
    UPDATE calls.rejected_cdrs SET aside_before = array_remove(aside_before, ${iImport}::int)
    WHERE ${iImport}::int = ANY(aside_before)`.compile(build),
  sql`
    UPDATE calls.imports SET undone_at = now(), told_to = NULL, told_at = NULL
    WHERE i_import = ${iImport}`.compile(build),
];
