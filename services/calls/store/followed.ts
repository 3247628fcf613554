/** Statements about files and folders that are followed. */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import { storable } from './storable.ts';

const build = sqlBuilder<unknown>();

/** A file may bear any time. */
const LAST_MS = Date.UTC(9999, 11, 31);

/** @param time milliseconds since 1970 */
const stampOf = (time: number): string => new Date(Math.min(LAST_MS, Math.max(0, time))).toISOString();

/** How long a source stays its reader's without a word of it. */
const LEASE = '15 seconds';
/** Finished files of a source that are kept in mind, so that they are known again after one more rotation. */
const FINISHED_KEPT = 20;
/** How far back a source's gaps are looked at. */
export const GAP_WEEKS = 4;

/**
 * Takes a source for a reader, and makes it when it is new.
 * @param dead a holder that is known to be gone; its lease need not run out
 * @returns no row while it is another's
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
  sql<{ holder: string | null }>`
    SELECT holder FROM calls.followed_sources
    WHERE machine = ${machine} AND path = ${storable(path)}`.compile(build);

export interface SourceState {
  readonly state: 'following' | 'waiting' | 'failing';
  /** A sentence for people; '' where all is well. */
  readonly detail: string;
  readonly bytesBehind: number;
}

/** Keeps a source, and tells how it goes. Touches no row where it is another's by now. */
export const keepSource = (iSource: number, holder: string, told: SourceState): Statement<unknown> =>
  sql`
    UPDATE calls.followed_sources
    SET held_until = now() + ${LEASE}::interval, told_at = now(), state = ${told.state},
        detail = ${storable(told.detail)}, bytes_behind = ${told.bytesBehind}
    WHERE i_source = ${iSource} AND holder = ${holder}`.compile(build);

/** Touches a row where the source is still the holder's; for the length of the transaction nobody else can take it. */
export const holds = (iSource: number, holder: string): Statement<unknown> =>
  sql`
    SELECT 1 FROM calls.followed_sources WHERE i_source = ${iSource} AND holder = ${holder} FOR SHARE`.compile(
    build,
  );

export const leaveSource = (iSource: number, holder: string): Statement<unknown> =>
  sql`
    UPDATE calls.followed_sources SET holder = NULL, held_until = NULL, told_at = now()
    WHERE i_source = ${iSource} AND holder = ${holder}`.compile(build);

/** A file's content and how far it is stored. */
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
 * Files of a source, the newest first; and unfinished ones of the same path elsewhere that nobody reads: a container that
 * is made anew is another machine.
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

/** Up to when all rotated files of a source are known; null: nobody has looked. */
export const searchedTo = (iSource: number): Statement<{ searched_to: string | null }> =>
  sql<{ searched_to: string | null }>`
    SELECT searched_to FROM calls.followed_sources WHERE i_source = ${iSource}`.compile(build);

export const noteSearch = (iSource: number, holder: string, to: number): Statement<unknown> =>
  sql`
    UPDATE calls.followed_sources SET searched_to = ${stampOf(to)}
    WHERE i_source = ${iSource} AND holder = ${holder}`.compile(build);

/** A file was found again, here and under this name. */
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

/** Moves a file's position on. Touches no row where the source is another's by now. */
export const moveOn = (iFile: number, holder: string, place: FilePosition): Statement<unknown> =>
  sql`
    UPDATE calls.followed_files f
    SET position = ${place.position}, line = ${place.line}, head_bytes = ${place.headBytes},
        head_hash = ${place.headHash}, before_bytes = ${place.beforeBytes}, before_hash = ${place.beforeHash},
        format = ${place.format}, columns = ${place.columns?.map(storable) ?? null}::text[],
        header_bytes = ${place.headerBytes}, modified_at = ${stampOf(place.modifiedAt)}
    FROM calls.followed_sources s
    WHERE f.i_file = ${iFile} AND s.i_source = f.i_source AND s.holder = ${holder}`.compile(build);

/** That rows of a source came in. A clock that was ahead once says nothing of when the last one came. */
export const noteRows = (iSource: number, rows: number, at: number): Statement<unknown> => {
  const stamp = stampOf(at);
  return sql`
    UPDATE calls.followed_sources
    SET rows = rows + ${rows}, first_row_at = coalesce(first_row_at, ${stamp}),
        last_row_at = greatest(least(last_row_at, now()), ${stamp})
    WHERE i_source = ${iSource}`.compile(build);
};

/**
 * A file is read to its end and gets no more. Of those before, only the newest are kept in mind.
 * @param modifiedAt when it was changed last; undefined: as it was told before
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

/** Documents whose rows are stored. Touches no row where the source is another's by now. */
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

/** Documents that lie there no more. */
export const dropDocuments = (iSource: number, names: readonly string[]): Statement<unknown> =>
  sql`
    DELETE FROM calls.followed_documents
    WHERE i_source = ${iSource} AND name = ANY(${names.map(storable)}::text[])`.compile(build);

/** Keeps a gap, and forgets those that are too old to be looked at. Both ends in milliseconds since 1970. */
export const addGap = (iSource: number, beganAt: number, endedAt: number): Statement<unknown> =>
  sql`
    WITH old AS (
      DELETE FROM calls.followed_gaps
      WHERE i_source = ${iSource} AND ended_at < now() - ${GAP_WEEKS} * interval '7 days' - interval '2 hours'
    )
    INSERT INTO calls.followed_gaps (i_source, began_at, ended_at)
    VALUES (${iSource}, ${stampOf(beganAt)}, ${stampOf(endedAt)})
    ON CONFLICT (i_source, began_at) DO UPDATE SET ended_at = excluded.ended_at`.compile(build);

/** A source as the dashboard shows it. */
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
  /** Its longest gap that reached into this hour of the week, by its own zone's clock, in the weeks before; seconds. */
  readonly longest_gap_s: number | null;
}

/**
 * All sources that were read within the last four weeks.
 * @param now milliseconds since 1970; which hour of the week it is
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
