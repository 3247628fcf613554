/** Statements about provisional rows: the source ended before the line of the row did. */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import type { SourceEnd } from '../formats/source_end.ts';
import { plainArray, textArray } from './array_text.ts';
import { CALL_AS_TEXT } from './told_calls.ts';

const build = sqlBuilder<unknown>();

export interface EndRow {
  /** In hexadecimal, like the two hashes. */
  readonly fingerprint: string;
  readonly source_bytes: number;
  readonly head: string;
  readonly row_offset: number;
  readonly row_hash: string;
}

/** The provisional rows of a source, in the order of its rows. */
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
  /** The outcome of the row: one of the two. */
  readonly iCdr: number | null;
  /** The earlier call as JSON, if the row completed or replaced it; null: the row made the call. */
  readonly before: string | null;
  readonly iRejected: number | null;
}

/** Stores the outcome of provisional rows. If a row is read again with another result, the earlier call remains stored. */
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
  /** JSON, not parsed: parsing would round the costs. */
  readonly before: string | null;
}

const ofEnds = (source: string, fingerprints: readonly string[]) =>
  sql`source = ${source} AND fingerprint = ANY(${fingerprints.map((f) => Buffer.from(f, 'hex'))}::bytea[])`;

/** The outcomes of the provisional rows of sources. */
export const findProvisional = (
  source: string,
  fingerprints: readonly string[],
): Statement<TakenProvisional> =>
  sql<TakenProvisional>`
    SELECT i_cdr, before::text FROM calls.provisional_rows WHERE ${ofEnds(source, fingerprints)}`.compile(
    build,
  );

/** Takes the provisional rows out of the table. Another import that does so at the same time gets no row. */
export const takeProvisional = (
  source: string,
  fingerprints: readonly string[],
): Statement<TakenProvisional> =>
  sql<TakenProvisional>`
    DELETE FROM calls.provisional_rows WHERE ${ofEnds(source, fingerprints)} RETURNING i_cdr, before::text`.compile(
    build,
  );

/** Calls without their provisional row: each column as text, and the call as JSON; null if that row made the call. */
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

/** A call that a provisional row made or completed, and that a later record completed further. */
export interface RetoldCall {
  readonly was: number;
  /** The number names the month, which may have changed. */
  readonly now: number;
  /** The call without that row, as JSON; null: the call is unchanged. */
  readonly before: string | null;
}

export const retellProvisional = (calls: readonly RetoldCall[]): Statement<unknown> =>
  sql`
    UPDATE calls.provisional_rows p SET i_cdr = r.now, before = coalesce(r.before, p.before)
    FROM unnest(${calls.map(({ was }) => was)}::bigint[], ${calls.map(({ now }) => now)}::bigint[],
                ${calls.map(({ before }) => before)}::jsonb[]) AS r (was, now, before)
    WHERE p.i_cdr = r.was`.compile(build);

/** Deletes the rejected rows of these ends, and so their provisional rows. The calls remain. */
export const dropProvisionalRejections = (
  source: string,
  fingerprints: readonly string[],
): Statement<unknown> =>
  sql`
    DELETE FROM calls.rejected_cdrs WHERE i_rejected IN (
      SELECT i_rejected FROM calls.provisional_rows WHERE ${ofEnds(source, fingerprints)})`.compile(build);

/** A source that has not grown for so long is whole. */
export const forgetProvisional = (before: string): Statement<unknown> =>
  sql`DELETE FROM calls.provisional_rows WHERE created_at < ${before}::timestamptz`.compile(build);
