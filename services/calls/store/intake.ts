/** Statements that take calls in. */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import { CODE_EDGES } from '../account_codes.ts';
import { decimalSeconds, type ExactSum, sumText } from '../decimal.ts';
import { instant } from '../time/instants.ts';
import type { Account } from './account_rows.ts';
import { plainArray, textArray } from './array_text.ts';

const build = sqlBuilder<unknown>();

/** By the code that they have, or have had: what others are called by now is no former code (dropFormerCode). */
export const accountsByCode = (codes: readonly string[]): Statement<Account> =>
  sql<Account>`
    SELECT i_account, code, currency, country, closed_from FROM calls.accounts WHERE code = ANY(${codes})
    UNION ALL
    SELECT i_account, f.code, currency, country, closed_from
    FROM calls.former_codes f JOIN calls.accounts USING (i_account) WHERE f.code = ANY(${codes})`.compile(
    build,
  );

const escaped = [...CODE_EDGES].map((edge) => `\\u${edge.charCodeAt(0).toString(16).padStart(4, '0')}`);
/** What tidyCode makes of a code; the index accounts_untidy says the same. */
export const TIDIED_CODE = sql.raw(`normalize(btrim(code, E'${escaped.join('')}'), NFC)`);

/** Accounts whose own code is not tidy, by what it would be. */
export const accountsByTidiedCode = (codes: readonly string[]): Statement<Account> =>
  sql<Account>`
    SELECT i_account, code, currency, country, closed_from FROM calls.accounts
    WHERE code <> ${TIDIED_CODE} AND ${TIDIED_CODE} = ANY(${codes}) ORDER BY i_account DESC`.compile(build);

/** Codes of accounts that may differ from one of these in case alone; letters beyond ASCII all in one case or the other. */
export const perhapsAlike = (codes: readonly string[]): Statement<{ code: string }> => {
  const folded = codes.flatMap((code) => [code, code.toLowerCase(), code.toUpperCase()]).map(asciiLower);
  return sql<{ code: string }>`
    SELECT code FROM calls.accounts WHERE lower(code) = ANY(${[...new Set(folded)]})`.compile(build);
};

/** As PostgreSQL's lower() by the C collation. */
const asciiLower = (code: string) => code.replace(/[A-Z]/g, (letter) => letter.toLowerCase());

export interface NewAccounts {
  readonly codes: readonly string[];
  readonly currency: string;
  readonly timeZone: string;
  readonly country: string | null;
}

/** For --create-accounts: named by their code until somebody names them better. */
export const createAccounts = (accounts: NewAccounts): Statement<unknown> =>
  sql`
    INSERT INTO calls.accounts (code, name, currency, time_zone, country)
    SELECT code, code, ${accounts.currency}, ${accounts.timeZone}, ${accounts.country}
    FROM unnest(${accounts.codes}::text[]) AS code ORDER BY code
    ON CONFLICT (code) DO NOTHING`.compile(build);

/** As many numbers as there are calls to store, for their i_cdr: in one text, which costs less than a row each. */
export const takeNumbers = (count: number): Statement<{ numbers: string }> =>
  sql<{ numbers: string }>`
    SELECT string_agg(nextval('calls.cdr_numbers')::text, ',') AS numbers
    FROM generate_series(1, ${count}::int)`.compile(build);

/** One row's worth of calls.usage_quarters. */
export interface QuarterUsage {
  readonly iAccount: number;
  /** Start of the quarter, milliseconds since 1970. */
  readonly quarter: number;
  readonly direction: string;
  readonly country: string;
  readonly currency: string;
  calls: number;
  answered: number;
  nonZero: number;
  errors: number;
  /** Microseconds, which add up exactly where seconds with fractions would not. */
  durationUs: number;
  billedUs: number;
  /** null while nothing is rated. */
  cost: ExactSum | null;
}

/**
 * Adds a batch's usage to both tables. The day is told here, where the account's time zone is read under the zones
 * lock, so that a change of zone can't miss a call.
 */
export function addUsage(usage: readonly QuarterUsage[]): Statement<unknown> {
  const list = (pick: (u: QuarterUsage) => number | string | null) => plainArray(usage.map(pick));
  return sql`
    WITH batch AS (
      SELECT * FROM unnest(
        ${list((u) => u.iAccount)}::bigint[], ${list((u) => instant(u.quarter))}::timestamptz[],
        ${list((u) => u.direction)}::text[], ${textArray(usage.map((u) => u.country))}::text[],
        ${list((u) => u.currency)}::text[],
        ${list((u) => u.calls)}::bigint[], ${list((u) => u.answered)}::bigint[], ${list((u) => u.nonZero)}::bigint[],
        ${list((u) => u.errors)}::bigint[], ${list((u) => decimalSeconds(u.durationUs))}::numeric[],
        ${list((u) => decimalSeconds(u.billedUs))}::numeric[],
        ${list((u) => (u.cost === null ? null : sumText(u.cost)))}::numeric[])
      AS u (i_account, quarter, direction, country, currency, calls, answered, non_zero, errors, seconds,
            billed_seconds, cost)
    ), by_quarter AS (
      INSERT INTO calls.usage_quarters AS was SELECT * FROM batch
      ON CONFLICT (i_account, quarter, direction, country, currency) DO UPDATE SET ${sql.raw(ADDED)}
    )
    INSERT INTO calls.usage_days AS was
    SELECT i_account, (quarter AT TIME ZONE a.time_zone)::date AS day, direction, b.country, b.currency, sum(calls),
           sum(answered), sum(non_zero), sum(errors), sum(seconds), sum(billed_seconds), sum(cost)
    FROM batch b JOIN calls.accounts a USING (i_account)
    GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (i_account, day, direction, country, currency) DO UPDATE SET ${sql.raw(ADDED)}`.compile(
    build,
  );
}

/** How sums are added to those of a usage table that is called `was` in the statement. */
export const ADDED = `
  calls = was.calls + excluded.calls, answered = was.answered + excluded.answered,
  non_zero = was.non_zero + excluded.non_zero, errors = was.errors + excluded.errors,
  seconds = was.seconds + excluded.seconds, billed_seconds = was.billed_seconds + excluded.billed_seconds,
  cost = coalesce(was.cost + excluded.cost, was.cost, excluded.cost)`;

/** What a batch tells of up to when its source has told its calls. */
export interface Told {
  readonly source: string;
  readonly iImport: number;
  /** The end of its last call, in milliseconds since 1970. */
  readonly lastEnd: number;
  /** Whose calls it has, in ascending order. */
  readonly iAccounts: readonly number[];
}

/**
 * A source with a clock that runs ahead must not promise calls that are yet to come; what one has promised so, by a version
 * before or a server whose clock was wrong, gives way. Only what ends later than all before
 * is heard from it: an archive of its calls is none. An account goes by the import that told furthest among those that
 * brought its calls, so hardly a batch finds anything to write for it.
 */
export const raiseWatermark = ({ source, iImport, lastEnd, iAccounts }: Told): Statement<unknown> => {
  const toldTo = sql`least(${instant(lastEnd)}::timestamptz, now())`;
  return sql`
    WITH mark AS (
      INSERT INTO calls.watermarks AS was (source, last_disconnect)
      VALUES (${source}, ${toldTo})
      ON CONFLICT (source) DO UPDATE
      SET last_disconnect = excluded.last_disconnect, updated_at = now()
      WHERE was.last_disconnect < excluded.last_disconnect OR was.last_disconnect > now() + interval '15 min')
    INSERT INTO calls.account_sources (i_account, source, i_import)
    SELECT a.i_account, ${source}, ${iImport}::int FROM unnest(${plainArray(iAccounts)}::bigint[]) AS a (i_account)
    WHERE NOT EXISTS (
      SELECT FROM calls.account_sources s LEFT JOIN calls.imports i USING (i_import)
      WHERE s.i_account = a.i_account AND s.source = ${source}
        AND (s.i_import = ${iImport}::int OR i.told_to >= ${toldTo}))
    ON CONFLICT (i_account, source) DO UPDATE SET i_import = excluded.i_import`.compile(build);
};

export interface Counts {
  readonly read: number;
  readonly stored: number;
  readonly completed: number;
  readonly duplicates: number;
  readonly conflicts: number;
  readonly rejected: number;
  /** The end of the last call that it told, in milliseconds since 1970; 0: none. */
  readonly lastEnd: number;
}

/**
 * Counts a batch into its import, and into what came from its source in this hour. Touches no row where the import is being
 * taken back: the batch must not be stored then.
 */
export const countIn = (iImport: number, counts: Counts): Statement<unknown> => {
  const told = counts.lastEnd > 0 ? instant(counts.lastEnd) : null;
  return sql`
    WITH counted AS (
      UPDATE calls.imports
      SET read = read + ${counts.read}, stored = stored + ${counts.stored}, completed = completed + ${counts.completed},
          duplicates = duplicates + ${counts.duplicates}, conflicts = conflicts + ${counts.conflicts},
          set_aside = set_aside + ${counts.rejected},
          told_to = greatest(told_to, CASE WHEN told.at < now() THEN told.at WHEN told.at IS NOT NULL THEN now() END),
          told_at = CASE WHEN told.at > told_to OR told_to IS NULL AND told.at IS NOT NULL THEN now() ELSE told_at END
      FROM (SELECT ${told}::timestamptz AS at) AS told
      WHERE i_import = ${iImport} AND undo_began_at IS NULL
      RETURNING source, file)
    INSERT INTO calls.source_hours AS was (source, hour, rows, last_at, last_file)
    SELECT source, date_trunc('hour', now(), 'UTC'), ${counts.read}::bigint, now(), file FROM counted
    ON CONFLICT (source, hour) DO UPDATE
    SET rows = was.rows + excluded.rows, last_at = excluded.last_at, last_file = excluded.last_file`.compile(
    build,
  );
};

export const beginImport = (
  file: string,
  format: string,
  source: string,
  options: object,
): Statement<{ i_import: number }> =>
  sql<{ i_import: number }>`
    INSERT INTO calls.imports (file, format, source, options, known_before, noted)
    VALUES (${file}, ${format}, ${source}, ${JSON.stringify(options)}::jsonb, false, true)
    RETURNING i_import`.compile(build);

/** A switch that posts has one import for all its posts that are read alike; a file has one for each time it is read. */
export const findImport = (
  file: string,
  format: string,
  source: string,
  options: object,
): Statement<{ i_import: number }> =>
  sql<{ i_import: number }>`
    SELECT i_import FROM calls.imports
    WHERE file = ${file} AND format = ${format} AND source = ${source} AND options = ${JSON.stringify(options)}::jsonb
      AND NOT known_before
    ORDER BY i_import LIMIT 1`.compile(build);

export interface SourceFacts {
  /** What else it was called by versions before. */
  readonly names_before: string[];
  /** Versions before have stored calls of it. */
  readonly known_before: boolean;
  /** Columns that were taken for the call id. */
  readonly call_id_columns: string[];
  /** Imports whose rows are read alike, the newest ones. */
  readonly alike: number[];
}

/** What a file that is read each hour has of such imports in a month. Rows of older ones are compared value by value. */
const MOST_ALIKE = 1_000;

/** @param options how rows are read, as it is kept with an import */
export const sourceFacts = (source: string, format: string, options: object): Statement<SourceFacts> =>
  sql<SourceFacts>`
    WITH names AS (
      SELECT ${source}::text AS source UNION SELECT source FROM calls.source_names WHERE before = ${source})
    SELECT array(SELECT before FROM calls.source_names WHERE source = ${source}) AS names_before,
           EXISTS (SELECT 1 FROM calls.imports JOIN names USING (source) WHERE known_before) AS known_before,
           array(SELECT i_import FROM calls.imports
                 WHERE source = ${source} AND format = ${format} AND options = ${JSON.stringify(options)}::jsonb AND noted
                 ORDER BY i_import DESC LIMIT ${sql.lit(MOST_ALIKE)}) AS alike,
           CASE WHEN ${format === 'mapped'}::boolean THEN array(
             SELECT DISTINCT c.key
             FROM calls.imports JOIN names USING (source), jsonb_each_text(options #> '{mapping,columns}') AS c
             WHERE format = 'mapped' AND c.value = 'call_id')
           ELSE '{}' END AS call_id_columns`.compile(build);

/** Another import that stored rows of a source while this one was under way; there is none: no row. */
export const importedMeanwhile = (source: string, iImport: number): Statement<{ i_import: number }> =>
  sql<{ i_import: number }>`
    SELECT other.i_import FROM calls.imports own JOIN calls.imports other ON other.source = ${source}
    WHERE own.i_import = ${iImport} AND other.i_import <> own.i_import AND other.read > 0
      AND (other.finished_at IS NULL OR other.finished_at >= own.started_at)
      AND other.started_at > own.started_at - interval '1 day' LIMIT 1`.compile(build);

export const finishImport = (iImport: number): Statement<unknown> =>
  sql`UPDATE calls.imports SET finished_at = now() WHERE i_import = ${iImport}`.compile(build);
