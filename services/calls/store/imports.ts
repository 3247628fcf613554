/** Statements about imports: runs over files and folders, and switches that post. */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';

const build = sqlBuilder<unknown>();

export interface ImportRow {
  readonly i_import: number;
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

const COLUMNS =
  sql.raw(`i_import, file, format, source, started_at, finished_at, read, stored, completed, duplicates,
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
