/** Statements that take an import back (intake/undo_import.ts). */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import { instant } from '../time/instants.ts';
import { SEVERAL_TELLINGS } from '../told.ts';
import { plainArray } from './array_text.ts';
import { CALL_AS_TEXT, type Span } from './told_calls.ts';

const build = sqlBuilder<unknown>();

/** Imports that are named as having told the same calls. */
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

/** What was taken back so far. */
export interface UndoCounts {
  /** Calls that it alone had told. */
  readonly calls_removed: number;
  /** Calls that it had stored and another import or post has told too: they are that one's. */
  readonly calls_kept: number;
  /** Imports that told those, too, and have them now: the first of them, by their numbers. */
  readonly kept_by: number[];
  /** Calls of others that it had completed or replaced: they have their former values again. */
  readonly calls_restored: number;
  /** Rows that it had set aside. */
  readonly rows_removed: number;
  /** Rows that it had taken in after another had set them aside. */
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

/** What it told alone, what others told too, what it told of others' calls, and its rows set aside: for a dry run. */
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

/** Its calls, some at a time. */
export const callsOfImport = (iImport: number, limit: number): Statement<{ i_cdr: number }> =>
  sql<{ i_cdr: number }>`
    SELECT i_cdr FROM calls.cdrs WHERE i_import = ${iImport} LIMIT ${limit}`.compile(build);

/** Calls of others of which it told something, some at a time. */
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
  /** What was told, as JSON and by its columns as texts. */
  readonly json: string;
}

/** What was told of calls, in order: what is noted, and the calls as they are where none of it came before. */
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
  /** Which telling of the import. */
  readonly same_nth: number;
  readonly told_at: string;
  /** A multirange: `{[5,8),[10,11)}`. */
  readonly numbers: string;
}

/** Who told word for word what the import told of these calls, in order. */
export const toldAgainBy = (sameAs: number, numbers: readonly number[]): Statement<AgainRow> =>
  sql<AgainRow>`
    WITH asked AS (SELECT ${multirange(numbers)}::int8multirange AS numbers)
    SELECT i_telling AS place, i_import AS by, same_nth, told_at, (a.numbers * asked.numbers)::text AS numbers
    FROM calls.told_again a, asked
    WHERE same_as = ${sameAs} AND a.numbers && asked.numbers ORDER BY i_telling`.compile(build);

const multirange = (numbers: readonly number[]): string => `{${numbers.map((n) => `[${n},${n}]`).join(',')}}`;

/** What others told word for word as the import did, they told so as `heir` did, which has stored these calls now. */
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

/** Forgets it. */
export const endToldAgain = (sameAs: number, numbers: readonly number[]): Statement<unknown> =>
  sql`
    WITH asked AS (SELECT ${multirange(numbers)}::int8multirange AS numbers),
    gone AS (
      DELETE FROM calls.told_again a USING asked WHERE same_as = ${sameAs} AND a.numbers <@ asked.numbers)
    UPDATE calls.told_again a SET numbers = a.numbers - asked.numbers FROM asked
    WHERE same_as = ${sameAs} AND a.numbers && asked.numbers AND NOT a.numbers <@ asked.numbers`.compile(
    build,
  );

/** Calls that are another import's from now on. @param span in which all of them start */
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
  /** Its tellings are noted, so it is not its own note. */
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

/** How imports read their rows. */
export const importOptions = (
  iImports: readonly number[],
): Statement<{ i_import: number; format: string; options: Record<string, unknown> }> =>
  sql<{ i_import: number; format: string; options: Record<string, unknown> }>`
    SELECT i_import, format, options FROM calls.imports
    WHERE i_import = ANY(${plainArray(iImports)}::int[])`.compile(build);

/** Which of the calls have something of a row whose end was not seen. */
export const provisionalOf = (iCdrs: readonly number[]): Statement<{ i_cdr: number }> =>
  sql<{ i_cdr: number }>`
    SELECT DISTINCT i_cdr FROM calls.provisional_rows
    WHERE i_cdr = ANY(${plainArray(iCdrs)}::bigint[])`.compile(build);

/** What calls are without such a row: JSON, or null where that row alone told of it. */
export const putProvisional = (
  calls: readonly { readonly was: number; readonly iCdr: number; readonly before: string | null }[],
): Statement<unknown> =>
  sql`
    UPDATE calls.provisional_rows p SET i_cdr = c.i_cdr, before = c.before
    FROM unnest(${plainArray(calls.map(({ was }) => was))}::bigint[], ${plainArray(calls.map(({ iCdr }) => iCdr))}::bigint[],
                ${calls.map(({ before }) => before)}::jsonb[]) AS c (was, i_cdr, before)
    WHERE p.i_cdr = c.was`.compile(build);

/**
 * Forgets what is noted of calls: who told what, and what was replaced.
 * @param whole those of which also goes what the end of a source may have cut
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

/** Notes tellings where they stood. A place of 0 is a new one. */
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

/** What an import has more of, or less, since another was taken back. */
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

/** Up to when a source has told its calls, by the imports that are left; of a source that has none it is not known. */
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

/** Accounts that go by an import that is taken back. */
export const accountsToldBy = (iImport: number): Statement<{ i_account: number }> =>
  sql<{ i_account: number }>`
    SELECT i_account FROM calls.account_sources WHERE i_import = ${iImport} ORDER BY 1`.compile(build);

/** By which import a source told furthest among those that are left and brought calls of these accounts. */
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

/** Some of the rows that it has set aside: they go, or are again those of the import that had set them aside before. */
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

/** Some of the rows that it has taken in after another had set them aside wait again. */
export const returnRejected = (iImport: number, limit: number): Statement<unknown> =>
  sql`
    UPDATE calls.rejected_cdrs SET taken_by = NULL, taken_at = NULL
    WHERE i_rejected IN (SELECT i_rejected FROM calls.rejected_cdrs WHERE taken_by = ${iImport} LIMIT ${limit})`.compile(
    build,
  );

/** Nothing of it is left: what it told word for word as others did, and that it is named among those who set rows aside. */
export const endUndo = (iImport: number): Statement<unknown>[] => [
  sql`DELETE FROM calls.told_again WHERE i_import = ${iImport} OR same_as = ${iImport}`.compile(build),
  sql`
    UPDATE calls.rejected_cdrs SET aside_before = array_remove(aside_before, ${iImport}::int)
    WHERE ${iImport}::int = ANY(aside_before)`.compile(build),
  sql`
    UPDATE calls.imports SET undone_at = now(), told_to = NULL, told_at = NULL
    WHERE i_import = ${iImport}`.compile(build),
];
