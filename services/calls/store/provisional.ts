/** Statements about rows of which the source ended before their line did. */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import type { SourceEnd } from '../formats/source_end.ts';
import { plainArray, textArray } from './array_text.ts';
import { CALL_AS_TEXT } from './told_calls.ts';

const build = sqlBuilder<unknown>();

export interface EndRow {
  /** In hexadecimal, as the two hashes. */
  readonly fingerprint: string;
  readonly source_bytes: number;
  readonly head: string;
  readonly row_offset: number;
  readonly row_hash: string;
}

/** Of all that a source ended with, in the order of its rows. */
export const provisionalRows = (source: string): Statement<EndRow> =>
  sql<EndRow>`
    SELECT encode(fingerprint, 'hex') AS fingerprint, source_bytes, encode(head, 'hex') AS head, row_offset,
           encode(row_hash, 'hex') AS row_hash
    FROM calls.provisional_rows WHERE source = ${source} ORDER BY fingerprint, row_offset`.compile(build);

export interface ProvisionalRow {
  readonly end: SourceEnd;
  readonly offset: number;
  /** In hexadecimal. */
  readonly hash: string;
  /** What became of it: one of the two. */
  readonly iCdr: number | null;
  /** JSON of the call before, where the row filled or replaced what that told; null: the row made it. */
  readonly before: string | null;
  readonly iRejected: number | null;
}

/** What became of rows; of one that is read otherwise than before, what the call was without it stays. */
export const addProvisional = (source: string, rows: readonly ProvisionalRow[]): Statement<unknown> =>
  sql`
    INSERT INTO calls.provisional_rows (fingerprint, source_bytes, head, source, row_offset, row_hash, i_cdr, before, i_rejected)
    SELECT fingerprint, source_bytes, head, ${source}, row_offset, row_hash, i_cdr, before, i_rejected
    FROM unnest(${rows.map(({ end }) => Buffer.from(end.fingerprint, 'hex'))}::bytea[],
                ${rows.map(({ end }) => end.bytes)}::bigint[],
                ${rows.map(({ end }) => Buffer.from(end.head, 'hex'))}::bytea[],
                ${rows.map(({ offset }) => offset)}::bigint[], ${rows.map(({ hash }) => Buffer.from(hash, 'hex'))}::bytea[],
                ${rows.map(({ iCdr }) => iCdr)}::bigint[], ${rows.map(({ before }) => before)}::jsonb[],
                ${rows.map(({ iRejected }) => iRejected)}::bigint[])
      AS r (fingerprint, source_bytes, head, row_offset, row_hash, i_cdr, before, i_rejected)
    WHERE r.i_cdr IS NULL OR NOT EXISTS (
      SELECT 1 FROM calls.provisional_rows p
      WHERE p.source = ${source} AND p.fingerprint = r.fingerprint AND p.row_offset = r.row_offset AND p.i_cdr = r.i_cdr)
    ON CONFLICT (i_rejected) WHERE i_rejected IS NOT NULL DO NOTHING`.compile(build);

export interface TakenProvisional {
  readonly i_cdr: number | null;
  /** JSON; not parsed, which would round its costs. */
  readonly before: string | null;
}

const ofEnds = (source: string, fingerprints: readonly string[]) =>
  sql`source = ${source} AND fingerprint = ANY(${fingerprints.map((f) => Buffer.from(f, 'hex'))}::bytea[])`;

/** What became of the rows that sources ended with. */
export const findProvisional = (
  source: string,
  fingerprints: readonly string[],
): Statement<TakenProvisional> =>
  sql<TakenProvisional>`
    SELECT i_cdr, before::text FROM calls.provisional_rows WHERE ${ofEnds(source, fingerprints)}`.compile(
    build,
  );

/** Forgets what sources ended with; another import that does the same meanwhile gets nothing. */
export const takeProvisional = (
  source: string,
  fingerprints: readonly string[],
): Statement<TakenProvisional> =>
  sql<TakenProvisional>`
    DELETE FROM calls.provisional_rows WHERE ${ofEnds(source, fingerprints)} RETURNING i_cdr, before::text`.compile(
    build,
  );

/** What calls are without the row whose end was not seen: each column a text, and all as JSON; null where that row made it. */
export const withoutProvisional = (
  sources: readonly string[],
  iCdrs: readonly number[],
): Statement<Record<string, string | null>> =>
  sql<Record<string, string | null>>`
    SELECT p.i_cdr::text AS of, p.before::text AS json, ${sql.raw(CALL_AS_TEXT)}
    FROM calls.provisional_rows p CROSS JOIN LATERAL jsonb_populate_record(NULL::calls.cdrs, p.before) c
    WHERE p.source = ANY(${textArray(sources)}::text[]) AND p.i_cdr = ANY(${plainArray(iCdrs)}::bigint[])`.compile(
    build,
  );

/** A call of which more was told since a row whose end was not seen had made or filled it. */
export interface RetoldCall {
  readonly was: number;
  /** Its number names its month, which may be another. */
  readonly now: number;
  /** JSON of what it is without that row; null: as it was. */
  readonly before: string | null;
}

export const retellProvisional = (calls: readonly RetoldCall[]): Statement<unknown> =>
  sql`
    UPDATE calls.provisional_rows p SET i_cdr = r.now, before = coalesce(r.before, p.before)
    FROM unnest(${calls.map(({ was }) => was)}::bigint[], ${calls.map(({ now }) => now)}::bigint[],
                ${calls.map(({ before }) => before)}::jsonb[]) AS r (was, now, before)
    WHERE p.i_cdr = r.was`.compile(build);

/** Drops what was set aside of these ends, which forgets it here too; their calls stay. */
export const dropProvisionalRejections = (
  source: string,
  fingerprints: readonly string[],
): Statement<unknown> =>
  sql`
    DELETE FROM calls.rejected_cdrs WHERE i_rejected IN (
      SELECT i_rejected FROM calls.provisional_rows WHERE ${ofEnds(source, fingerprints)})`.compile(build);

/** Sources that have not grown for so long are whole. */
export const forgetProvisional = (before: string): Statement<unknown> =>
  sql`DELETE FROM calls.provisional_rows WHERE created_at < ${before}::timestamptz`.compile(build);
