/** Statements about followed files and folders. */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import type { DB } from '../tables.ts';
import { storable } from './storable.ts';

const build = sqlBuilder<DB>();

/** The time of change of a file may have any value. */
const LAST_MS = Date.UTC(9999, 11, 31);

/** @param time milliseconds since 1970 */
const stampOf = (time: number): string => new Date(Math.min(LAST_MS, Math.max(0, time))).toISOString();

/** How long a reader keeps a source without renewing its lease. */
const LEASE = '15 seconds';
/** Finished files that a source remembers, so that it recognizes them after one more rotation. */
const FINISHED_KEPT = 20;
/** How far back the gaps of a source count. */
export const GAP_WEEKS = 4;

/**
 * Takes a source for a reader. A new source is made.
 * @param dead a holder that has certainly ended; its lease need not run out
 * @returns no row while the source belongs to another reader
 */
export const takeSource = (
  source: { readonly machine: string; readonly path: string; readonly timeZone: string },
  holder: string,
  dead: string | null,
): Statement<{ i_source: number; last_row_at: string | null }> =>
  sql<{ i_source: number; last_row_at: string | null }>`
    INSERT INTO calls.followed_sources AS was (machine, path, time_zone, holder, held_until)
    VALUES (${source.machine}, ${storable(source.path)}, ${source.timeZone}, ${holder}, now() + ${LEASE}::interval)
    ON CONFLICT (machine, path) DO UPDATE
    SET holder = excluded.holder, held_until = excluded.held_until, time_zone = excluded.time_zone
    WHERE was.holder IS NULL OR was.holder = excluded.holder OR was.holder = ${dead} OR was.held_until < now()
    RETURNING i_source, last_row_at`.compile(build);

export const holderOf = (machine: string, path: string): Statement<{ holder: string | null }> =>
  build
    .selectFrom('calls.followed_sources')
    .select('holder')
    .where('machine', '=', machine)
    .where('path', '=', storable(path))
    .compile();

export interface SourceState {
  readonly state: 'following' | 'waiting' | 'failing';
  /** A sentence for people; '' if there is no trouble. */
  readonly detail: string;
  readonly bytesBehind: number;
}

/** Renews the lease of a source, and stores its state. Changes no row if the source belongs to another reader now. */
export const keepSource = (iSource: number, holder: string, told: SourceState): Statement<unknown> =>
  sql`
    UPDATE calls.followed_sources
    SET held_until = now() + ${LEASE}::interval, told_at = now(), state = ${told.state},
        detail = ${storable(told.detail)}, bytes_behind = ${told.bytesBehind}
    WHERE i_source = ${iSource} AND holder = ${holder}`.compile(build);

/** Locks the source for the transaction, if it still belongs to the holder: no other reader can take it meanwhile. */
export const holds = (iSource: number, holder: string): Statement<unknown> =>
  sql`
    SELECT 1 FROM calls.followed_sources WHERE i_source = ${iSource} AND holder = ${holder} FOR SHARE`.compile(
    build,
  );

export const leaveSource = (iSource: number, holder: string): Statement<unknown> =>
  build
    .updateTable('calls.followed_sources')
    .set({ holder: null, held_until: null, told_at: sql`now()` })
    .where('i_source', '=', iSource)
    .where('holder', '=', holder)
    .compile();

/** The content of a file, and the position up to which it is stored. */
export interface FollowedFile {
  readonly i_file: number;
  readonly i_source: number;
  readonly name: string;
  readonly device: string;
  readonly inode: string;
  readonly head_bytes: number;
  readonly head_hash: Buffer;
  readonly position: number;
  readonly before_bytes: number;
  readonly before_hash: Buffer;
  readonly line: number;
  readonly format: string | null;
  readonly columns: string[] | null;
  readonly header_bytes: number;
  /** RFC 3339. */
  readonly modified_at: string | null;
  readonly finished: boolean;
}

const FILE = sql.raw(
  `f.i_file, f.i_source, f.name, f.device, f.inode, f.head_bytes, f.head_hash, f.position, f.before_bytes, f.before_hash,
   f.line, f.format, f.columns, f.header_bytes, f.modified_at, f.finished_at IS NOT NULL AS finished`,
);

/**
 * The files of a source, newest first. Also unfinished files of the same path on other machines, if nobody reads them: a
 * container that was created again is another machine.
 */
export const filesOf = (iSource: number): Statement<FollowedFile> =>
  sql<FollowedFile>`
    SELECT ${FILE} FROM calls.followed_files f WHERE f.i_source = ${iSource}
    UNION ALL
    SELECT ${FILE} FROM calls.followed_sources own
    JOIN calls.followed_sources other ON other.path = own.path AND other.i_source <> own.i_source
    JOIN calls.followed_files f ON f.i_source = other.i_source AND f.finished_at IS NULL AND f.position > 0
    WHERE own.i_source = ${iSource} AND (other.holder IS NULL OR other.held_until < now())
    ORDER BY i_file DESC LIMIT 200`.compile(build);

/** @param file `modifiedAt` in milliseconds since 1970 */
export const addFile = (
  iSource: number,
  file: Pick<FollowedFile, 'name' | 'device' | 'inode'> & { readonly modifiedAt: number },
): Statement<FollowedFile> =>
  sql<FollowedFile>`
    INSERT INTO calls.followed_files AS f (i_source, name, device, inode, modified_at)
    VALUES (${iSource}, ${storable(file.name)}, ${file.device}, ${file.inode}, ${stampOf(file.modifiedAt)})
    RETURNING ${FILE}`.compile(build);

/** The instant up to which all rotated files of a source are known; null: the source was never searched. */
export const searchedTo = (iSource: number): Statement<{ searched_to: string | null }> =>
  sql<{ searched_to: string | null }>`
    SELECT searched_to FROM calls.followed_sources WHERE i_source = ${iSource}`.compile(build);

export const noteSearch = (iSource: number, holder: string, to: number): Statement<unknown> =>
  sql`
    UPDATE calls.followed_sources SET searched_to = ${stampOf(to)}
    WHERE i_source = ${iSource} AND holder = ${holder}`.compile(build);

/** Stores that a file was found again, on this machine and under this name. */
export const placeFile = (
  iSource: number,
  iFile: number,
  file: Pick<FollowedFile, 'name' | 'device' | 'inode'>,
): Statement<FollowedFile> =>
  sql<FollowedFile>`
    UPDATE calls.followed_files f
    SET i_source = ${iSource}, name = ${storable(file.name)}, device = ${file.device}, inode = ${file.inode},
        finished_at = NULL
    WHERE i_file = ${iFile} RETURNING ${FILE}`.compile(build);

export interface FilePosition {
  readonly position: number;
  readonly line: number;
  readonly headBytes: number;
  readonly headHash: Buffer;
  readonly beforeBytes: number;
  readonly beforeHash: Buffer;
  readonly format: string;
  readonly columns: readonly string[] | null;
  readonly headerBytes: number;
  /** Milliseconds since 1970. */
  readonly modifiedAt: number;
}

/** Advances the position of a file. Changes no row if the source belongs to another reader now. */
export const moveOn = (iFile: number, holder: string, place: FilePosition): Statement<unknown> =>
  sql`
    UPDATE calls.followed_files f
    SET position = ${place.position}, line = ${place.line}, head_bytes = ${place.headBytes},
        head_hash = ${place.headHash}, before_bytes = ${place.beforeBytes}, before_hash = ${place.beforeHash},
        format = ${place.format}, columns = ${place.columns?.map(storable) ?? null}::text[],
        header_bytes = ${place.headerBytes}, modified_at = ${stampOf(place.modifiedAt)}
    FROM calls.followed_sources s
    WHERE f.i_file = ${iFile} AND s.i_source = f.i_source AND s.holder = ${holder}`.compile(build);

/** Stores that rows of a source came in. A time in the future, from a clock that was ahead, is replaced. */
export const noteRows = (iSource: number, rows: number, at: number): Statement<unknown> => {
  const stamp = stampOf(at);
  return sql`
    UPDATE calls.followed_sources
    SET rows = rows + ${rows}, first_row_at = coalesce(first_row_at, ${stamp}),
        last_row_at = greatest(least(last_row_at, now()), ${stamp})
    WHERE i_source = ${iSource}`.compile(build);
};

/**
 * Stores that a file is read to its end and will not grow. Of earlier finished files, only the newest are remembered.
 * @param modifiedAt the time of the last change; undefined: the stored time remains
 */
export const finishFile = (iFile: number, modifiedAt?: number): Statement<unknown> =>
  sql`
    WITH done AS (
      UPDATE calls.followed_files
      SET finished_at = now(), modified_at = coalesce(${modifiedAt === undefined ? null : stampOf(modifiedAt)}, modified_at)
      WHERE i_file = ${iFile} RETURNING i_source
    )
    DELETE FROM calls.followed_files
    WHERE i_file IN (
      SELECT i_file FROM calls.followed_files JOIN done USING (i_source)
      WHERE finished_at IS NOT NULL ORDER BY i_file DESC OFFSET ${FINISHED_KEPT})`.compile(build);

export const documentsOf = (iSource: number): Statement<{ name: string; version: string }> =>
  sql<{ name: string; version: string }>`
    SELECT name, version FROM calls.followed_documents WHERE i_source = ${iSource}`.compile(build);

/** Remembers documents whose rows are stored. Changes no row if the source belongs to another reader now. */
export const keepDocuments = (
  iSource: number,
  holder: string,
  documents: readonly { readonly name: string; readonly version: string }[],
): Statement<unknown> =>
  sql`
    INSERT INTO calls.followed_documents (i_source, name, version)
    SELECT i_source, name, version
    FROM unnest(${documents.map(({ name }) => storable(name))}::text[], ${documents.map(({ version }) => version)}::text[])
      AS d (name, version), calls.followed_sources
    WHERE i_source = ${iSource} AND holder = ${holder}
    ON CONFLICT (i_source, name) DO UPDATE SET version = excluded.version`.compile(build);

/** Forgets documents that have left the folder. */
export const dropDocuments = (iSource: number, names: readonly string[]): Statement<unknown> =>
  sql`
    DELETE FROM calls.followed_documents
    WHERE i_source = ${iSource} AND name = ANY(${names.map(storable)}::text[])`.compile(build);

/** Stores a gap, and deletes gaps that are too old to count. Both ends are milliseconds since 1970. */
export const addGap = (iSource: number, beganAt: number, endedAt: number): Statement<unknown> =>
  sql`
    WITH old AS (
      DELETE FROM calls.followed_gaps
      WHERE i_source = ${iSource} AND ended_at < now() - ${GAP_WEEKS} * interval '7 days' - interval '2 hours'
    )
    INSERT INTO calls.followed_gaps (i_source, began_at, ended_at)
    VALUES (${iSource}, ${stampOf(beganAt)}, ${stampOf(endedAt)})
    ON CONFLICT (i_source, began_at) DO UPDATE SET ended_at = excluded.ended_at`.compile(build);

/** A source for the dashboard. */
export interface SourceRow {
  readonly i_source: number;
  readonly machine: string;
  readonly path: string;
  readonly holder: string | null;
  readonly is_held: boolean;
  readonly state: SourceState['state'];
  readonly detail: string;
  readonly bytes_behind: number;
  readonly told_at: string;
  readonly rows: number;
  readonly first_row_at: string | null;
  readonly last_row_at: string | null;
  /** The longest gap of past weeks that reached into this hour of the week, by the clock of the source's zone; seconds. */
  readonly longest_gap_s: number | null;
}

/**
 * All sources that were read within the last four weeks.
 * @param now milliseconds since 1970; it decides the hour of the week
 */
export const listSources = (now: number): Statement<SourceRow> => {
  const at = stampOf(now);
  return sql<SourceRow>`
    SELECT s.i_source, s.machine, s.path, s.holder, coalesce(s.held_until > now(), false) AS is_held, s.state, s.detail,
           s.bytes_behind, s.told_at, s.rows, s.first_row_at, s.last_row_at,
           (SELECT max(extract(epoch FROM g.ended_at - g.began_at))::float8
            FROM generate_series(1, ${GAP_WEEKS}) AS week,
                 LATERAL (SELECT (date_trunc('hour', ${at}::timestamptz AT TIME ZONE s.time_zone)
                                  - week * interval '7 days') AT TIME ZONE s.time_zone AS hour) AS past,
                 calls.followed_gaps g
            WHERE g.i_source = s.i_source AND g.ended_at > hour AND g.began_at < hour + interval '1 hour')
           AS longest_gap_s
    FROM calls.followed_sources s
    WHERE s.told_at > ${at}::timestamptz - ${GAP_WEEKS} * interval '7 days'
    ORDER BY s.path, s.machine LIMIT 1000`.compile(build);
};
