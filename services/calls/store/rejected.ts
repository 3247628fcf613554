/** Statements about rows that were set aside. */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import type { RawRow, Rejection } from '../cdr.ts';
import { storable } from '../intake/storable.ts';

const build = sqlBuilder<unknown>();

export interface RejectedRow {
  readonly row: RawRow;
  readonly rejection: Rejection;
}

/** Keeps rows aside. The same bytes at the same place are kept once, with the newest reason. */
export const setAside = (
  iImport: number,
  file: string,
  columns: readonly string[] | null,
  rows: readonly RejectedRow[],
): Statement<unknown> =>
  sql`
    INSERT INTO calls.rejected_cdrs AS was (i_import, file, line, code, reason, field, bytes, bytes_hash, columns)
    SELECT DISTINCT ON (line, bytes) ${iImport}::int, ${file}, line, code, reason, field, bytes, sha256(bytes), ${columns?.map(storable) ?? null}::text[]
    FROM unnest(${rows.map((r) => r.row.line)}::bigint[], ${rows.map((r) => r.rejection.code)}::text[],
                ${rows.map((r) => storable(r.rejection.reason))}::text[],
                ${rows.map((r) => (r.rejection.field === undefined ? null : storable(r.rejection.field)))}::text[], ${rows.map((r) => r.row.bytes)}::bytea[])
      AS r (line, code, reason, field, bytes)
    ON CONFLICT (file, line, bytes_hash) DO UPDATE
    SET code = excluded.code, reason = excluded.reason, field = excluded.field, i_import = excluded.i_import,
        columns = excluded.columns`.compile(build);

export const hasRejected = (file: string): Statement<{ found: boolean }> =>
  sql<{
    found: boolean;
  }>`SELECT EXISTS (SELECT 1 FROM calls.rejected_cdrs WHERE file = ${file}) AS found`.compile(build);

/** Lines of a file that have been taken in after all: the file was mended, or its account exists now. */
export const dropResolved = (file: string, lines: readonly number[]): Statement<unknown> =>
  sql`DELETE FROM calls.rejected_cdrs WHERE file = ${file} AND line = ANY(${lines}::bigint[])`.compile(build);

export interface RejectedFilter {
  readonly file?: string | undefined;
  readonly code?: string | undefined;
}

const matching = (filter: RejectedFilter) =>
  sql`(${filter.file ?? null}::text IS NULL OR r.file = ${filter.file ?? null})
      AND (${filter.code ?? null}::text IS NULL OR r.code = ${filter.code ?? null})`;

export interface Rejected {
  readonly i_rejected: number;
  readonly file: string;
  readonly line: number;
  readonly code: string;
  readonly reason: string;
  readonly field: string | null;
  readonly bytes: Buffer;
  readonly columns: string[] | null;
  readonly created_at: string;
  readonly format: string;
  readonly source: string;
  readonly options: Record<string, unknown>;
}

/** A page of rejected rows after `after`, oldest first. */
export const listRejected = (filter: RejectedFilter, after: number, limit: number): Statement<Rejected> =>
  sql<Rejected>`
    SELECT r.i_rejected, r.file, r.line, r.code, r.reason, r.field, r.bytes, r.columns, r.created_at,
           i.format, i.source, i.options
    FROM calls.rejected_cdrs r JOIN calls.imports i USING (i_import)
    WHERE r.i_rejected > ${after} AND ${matching(filter)}
    ORDER BY r.i_rejected LIMIT ${limit}`.compile(build);

export interface RejectedCount {
  readonly file: string;
  readonly code: string;
  readonly count: number;
}

export const countRejected = (filter: RejectedFilter): Statement<RejectedCount> =>
  sql<RejectedCount>`
    SELECT r.file, r.code, count(*) AS count FROM calls.rejected_cdrs r
    WHERE ${matching(filter)} GROUP BY 1, 2 ORDER BY 1, 2`.compile(build);

export const dropRejected = (ids: readonly number[]): Statement<unknown> =>
  sql`DELETE FROM calls.rejected_cdrs WHERE i_rejected = ANY(${ids}::bigint[])`.compile(build);
