/** Statements about rejected rows. */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import type { Conflict, RawRow, Rejection } from '../cdr.ts';
import type { SourceEnd } from '../formats/source_end.ts';
import { storable } from './storable.ts';

const build = sqlBuilder<unknown>();

/** The condition that a row still waits: neither stored since nor discarded. As in the index of rows that wait. */
export const WAITS = sql.raw('taken_by IS NULL AND discarded_at IS NULL');

export interface RejectedRow {
  readonly of: { readonly file: string };
  readonly row: RawRow;
  readonly rejection: Rejection;
  /** The key of the row's content (intake/quarantine.ts). */
  readonly content: Buffer;
}

/** How many imports a rejected row remembers: a file with a bad row may be read each hour. */
const MOST_BEFORE = 50;

/**
 * Puts rows into the quarantine. A row that is there already keeps its first position, and gets the newest reason. A row that was
 * stored, mended or discarded since remains so.
 * @param isNews whether a row that comes again shows that its switch still fails
 * @param rows each content once
 * @returns the numbers of the rows, with the content in hexadecimal, and whether they are new
 */
export const quarantine = (
  iImport: number,
  source: string,
  columns: readonly string[] | null,
  isNews: boolean,
  rows: readonly RejectedRow[],
): Statement<{ content: string; i_rejected: number; is_new: boolean }> =>
  sql<{ content: string; i_rejected: number; is_new: boolean }>`
    INSERT INTO calls.rejected_cdrs AS was
      (i_import, source, file, line, code, reason, field, bytes, cut, conflict, content, columns)
    SELECT ${iImport}::int, ${source}, file, line, code, reason, field, bytes, cut, conflict, content,
           ${columns?.map(storable) ?? null}::text[]
    FROM unnest(${rows.map((r) => storable(r.of.file))}::text[], ${rows.map((r) => r.row.line)}::bigint[],
                ${rows.map((r) => r.rejection.code)}::text[], ${rows.map((r) => storable(r.rejection.reason))}::text[],
                ${rows.map((r) => (r.rejection.field === undefined ? null : storable(r.rejection.field)))}::text[],
                ${rows.map((r) => r.row.bytes)}::bytea[], ${rows.map((r) => r.row.cut ?? false)}::boolean[],
                ${rows.map((r) => (r.rejection.conflict ? JSON.stringify(r.rejection.conflict) : null))}::jsonb[],
                ${rows.map((r) => r.content)}::bytea[])
      AS r (file, line, code, reason, field, bytes, cut, conflict, content)
    ON CONFLICT (content) DO UPDATE
    SET code = excluded.code, reason = excluded.reason, field = excluded.field, i_import = excluded.i_import,
        conflict = CASE WHEN was.discarded_at IS NULL THEN excluded.conflict END,
        seen_again_at = CASE WHEN ${isNews} THEN now() ELSE was.seen_again_at END,
        aside_before = CASE
          WHEN was.i_import = excluded.i_import THEN was.aside_before
          ELSE (was.aside_before || was.i_import)[greatest(1, cardinality(was.aside_before) + 2 - ${sql.lit(MOST_BEFORE)}):]
        END
    RETURNING encode(was.content, 'hex') AS content, was.i_rejected, was.xmax = 0 AS is_new`.compile(build);

/** Those of these contents that are quarantined, whatever has happened to them since; in hexadecimal. */
export const knownContents = (contents: readonly Buffer[]): Statement<{ content: string }> =>
  sql<{ content: string }>`
    SELECT encode(content, 'hex') AS content FROM calls.rejected_cdrs WHERE content = ANY(${contents}::bytea[])`.compile(
    build,
  );

/**
 * The byte lengths of a source's rejected rows. A row of another length is none of them. It is one look-up for each length,
 * whatever the number of rows.
 */
export const rejectedLengths = (source: string): Statement<{ length: number }> =>
  sql<{ length: number }>`
    WITH RECURSIVE lengths AS (
      SELECT min(octet_length(bytes)) AS length FROM calls.rejected_cdrs WHERE source = ${source} AND ${WAITS}
      UNION ALL
      SELECT (SELECT min(octet_length(bytes)) FROM calls.rejected_cdrs
              WHERE source = ${source} AND ${WAITS} AND octet_length(bytes) > lengths.length)
      FROM lengths WHERE length IS NOT NULL)
    SELECT length FROM lengths WHERE length IS NOT NULL`.compile(build);

/** Marks rejected rows that an import has stored after all. They are kept for a while: after an undo of that import they wait again. */
export const takeContents = (iImport: number, contents: readonly Buffer[]): Statement<unknown> =>
  sql`
    UPDATE calls.rejected_cdrs SET taken_by = ${iImport}::int, taken_at = now()
    WHERE content = ANY(${contents}::bytea[]) AND ${WAITS}`.compile(build);

export interface RejectedFilter {
  readonly file?: string | undefined;
  readonly code?: string | undefined;
  /** Also rows that were stored since and are kept for an undo, and discarded rows. */
  readonly alsoTaken?: boolean | undefined;
}

const matching = (filter: RejectedFilter) =>
  sql`(r.taken_by IS NULL AND r.discarded_at IS NULL OR ${filter.alsoTaken ?? false}::boolean) AND (${filter.file ?? null}::text IS NULL OR r.file = ${filter.file ?? null})
      AND (${filter.code ?? null}::text IS NULL OR r.code = ${filter.code ?? null})`;

export interface Rejected {
  readonly i_rejected: number;
  readonly file: string;
  readonly line: number;
  readonly code: string;
  readonly reason: string;
  readonly field: string | null;
  readonly bytes: Buffer;
  /** Only the first bytes are kept: the row is never read again. */
  readonly cut: boolean;
  readonly columns: string[] | null;
  /** For a row that contradicts a stored call. */
  readonly conflict: Conflict | null;
  readonly created_at: string;
  readonly format: string;
  readonly source: string;
  readonly options: Record<string, unknown>;
  /** For a provisional row: the content of its source at the end. */
  readonly end: SourceEnd | null;
  readonly row_offset: number | null;
}

const ROWS = sql.raw(`
    SELECT r.i_rejected, r.file, r.line, r.code, r.reason, r.field, r.bytes, r.cut, r.columns, r.conflict,
           r.created_at, i.format, r.source, i.options, p.row_offset,
           CASE WHEN p.i_rejected IS NOT NULL THEN jsonb_build_object('bytes', p.source_bytes,
             'head', encode(p.head, 'hex'), 'fingerprint', encode(p.fingerprint, 'hex')) END AS end
    FROM calls.rejected_cdrs r JOIN calls.imports i USING (i_import)
    LEFT JOIN calls.provisional_rows p USING (i_rejected)`);

/** A page of rejected rows after `after`, oldest first. */
export const listRejected = (filter: RejectedFilter, after: number, limit: number): Statement<Rejected> =>
  sql<Rejected>`${ROWS}
    WHERE r.i_rejected > ${after} AND ${matching(filter)}
    ORDER BY r.i_rejected LIMIT ${limit}`.compile(build);

/** The rows among these that still wait. */
export const rejectedByNumber = (iRejecteds: readonly number[]): Statement<Rejected> =>
  sql<Rejected>`${ROWS}
    WHERE r.i_rejected = ANY(${iRejecteds}::bigint[]) AND ${matching({})}
    ORDER BY r.i_rejected`.compile(build);

export interface RejectedCount {
  readonly file: string;
  readonly code: string;
  readonly count: number;
}

export const countRejected = (filter: RejectedFilter): Statement<RejectedCount> =>
  sql<RejectedCount>`
    SELECT r.file, r.code, count(*) AS count FROM calls.rejected_cdrs r
    WHERE ${matching(filter)} GROUP BY 1, 2 ORDER BY 1, 2`.compile(build);

/** Rows by their numbers. */
export const takeRejected = (iImport: number, ids: readonly number[]): Statement<unknown> =>
  sql`
    UPDATE calls.rejected_cdrs SET taken_by = ${iImport}::int, taken_at = now()
    WHERE i_rejected = ANY(${ids}::bigint[]) AND ${WAITS}`.compile(build);

/** Deletes rows. */
export const deleteRejected = (ids: readonly number[]): Statement<unknown> =>
  sql`DELETE FROM calls.rejected_cdrs WHERE i_rejected = ANY(${ids}::bigint[])`.compile(build);

/** Deletes rows that were stored long ago. */
export const forgetTaken = (before: string): Statement<unknown> =>
  sql`DELETE FROM calls.rejected_cdrs WHERE taken_at < ${before}::timestamptz`.compile(build);

/** Discards all matching rows: their bytes are deleted, and the rows are recognized when they are read again. */
export const discardRejected = (filter: RejectedFilter): Statement<{ count: number }> =>
  sql<{ count: number }>`
    WITH gone AS (
      UPDATE calls.rejected_cdrs r SET discarded_at = now(), bytes = '', columns = NULL, conflict = NULL
      WHERE ${matching(filter)} RETURNING 1)
    SELECT count(*) AS count FROM gone`.compile(build);
