/** Statements about imports: runs over files and folders, and switches that post. */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';

const build = sqlBuilder<unknown>();

/** `open`: it runs, or a switch posts; `interrupted`: its process ended before it did, or it failed. */
export const IMPORT_STATES = ['open', 'finished', 'interrupted', 'partly_undone', 'undone'] as const;

/** How long an import is held by its process, unless that renews it (intake/import_hold.ts). */
export const IMPORT_HELD_S = 60;

export interface ImportRow {
  readonly i_import: number;
  readonly state: (typeof IMPORT_STATES)[number];
  /** Absolute path, 'stdin', the route that took the rows, or the name of rows that were read again (`rowsAgainOf`). */
  readonly file: string;
  readonly format: string;
  readonly source: string;
  readonly started_at: string;
  /** null: the import runs, or was interrupted. A switch that posts has one import, which never ends. */
  readonly finished_at: string | null;
  readonly read: number;
  readonly stored: number;
  readonly completed: number;
  readonly duplicates: number;
  readonly conflicts: number;
  readonly set_aside: number;
  /** Conflicts and rejected rows that still wait: neither stored since nor discarded. */
  readonly waiting: number;
  /** Calls that the import stored, and that were erased with their accounts. */
  readonly erased: number;
  /** The end of the last call in the import. */
  readonly told_to: string | null;
  /** The beginning and the end of its undo. */
  readonly undo_began_at: string | null;
  readonly undone_at: string | null;
  /** The read options: time zone, date order, mapping and so on. */
  readonly options: Readonly<Record<string, unknown>>;
}

const COLUMNS = sql.raw(`i_import,
  CASE WHEN undone_at IS NOT NULL THEN 'undone' WHEN undo_began_at IS NOT NULL THEN 'partly_undone'
       WHEN finished_at IS NOT NULL THEN 'finished' WHEN file LIKE 'POST %' OR held_until > now() THEN 'open'
       ELSE 'interrupted' END AS state, file, format, source, started_at, finished_at, read, stored, completed, duplicates,
  conflicts, set_aside, erased, told_to, undo_began_at, undone_at, options,
  (SELECT count(*) FROM calls.rejected_cdrs r WHERE r.i_import = i.i_import AND r.taken_by IS NULL AND r.discarded_at IS NULL) AS waiting`);

/** The name for rejected rows that an import of their own reads again. */
export type RowsAgain = 'retried rows' | 'mended rows';
const ROWS_AGAIN: readonly RowsAgain[] = ['retried rows', 'mended rows'];

/** The name of an import of such rows from one file. */
export const rowsAgainOf = (what: RowsAgain, file: string): string => `${what} of ${file}`;

/** A filter of imports. An undefined field matches any import. */
export interface ImportFilter {
  readonly source?: string | undefined;
  /** Also imports that have read rows of the file again. */
  readonly file?: string | undefined;
}

/** Imports, newest first. @param before only imports with a smaller number */
export const listImports = (
  { source, file }: ImportFilter,
  before: number | undefined,
  limit: number,
): Statement<ImportRow> => {
  const names = file === undefined ? null : [file, ...ROWS_AGAIN.map((what) => rowsAgainOf(what, file))];
  return sql<ImportRow>`
    SELECT ${COLUMNS} FROM calls.imports i
    WHERE (${before ?? null}::int IS NULL OR i_import < ${before ?? null})
      AND (${source ?? null}::text IS NULL OR source = ${source ?? null})
      AND (${names}::text[] IS NULL OR file = ANY(${names}))
    ORDER BY i_import DESC LIMIT ${limit}`.compile(build);
};

export const importByNumber = (iImport: number): Statement<ImportRow> =>
  sql<ImportRow>`SELECT ${COLUMNS} FROM calls.imports i WHERE i_import = ${iImport}`.compile(build);

/** From now on it counts as running, for IMPORT_HELD_S. */
export const HELD_UNTIL = sql.raw(`now() + interval '${IMPORT_HELD_S} s'`);

export const holdImport = (iImport: number): Statement<unknown> =>
  sql`UPDATE calls.imports SET held_until = ${HELD_UNTIL} WHERE i_import = ${iImport} AND finished_at IS NULL`.compile(
    build,
  );

/** Its process holds it no longer. */
export const leaveImport = (iImport: number): Statement<unknown> =>
  sql`UPDATE calls.imports SET held_until = now() WHERE i_import = ${iImport} AND finished_at IS NULL`.compile(
    build,
  );
