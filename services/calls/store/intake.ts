/** Statements that store calls. */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import { CODE_EDGES } from '../account_codes.ts';
import { decimalSeconds, type ExactSum, sumText } from '../decimal.ts';
import { instant } from '../time/instants.ts';
import type { Account, ToldAccount } from './account_rows.ts';
import { plainArray, textArray } from './array_text.ts';
import { HELD_UNTIL } from './imports.ts';

const build = sqlBuilder<unknown>();

/** Accounts by their present or former code. A code that another account has now is no former code (dropFormerCode). */
export const accountsByCode = (codes: readonly string[]): Statement<Account> =>
  sql<Account>`
    SELECT i_account, code, currency, country, closed_from FROM calls.accounts WHERE code = ANY(${codes})
    UNION ALL
    SELECT i_account, f.code, currency, country, closed_from
    FROM calls.former_codes f JOIN calls.accounts USING (i_account) WHERE f.code = ANY(${codes})`.compile(
    build,
  );

const escaped = [...CODE_EDGES].map((edge) => `\\u${edge.charCodeAt(0).toString(16).padStart(4, '0')}`);
/** The result of tidyCode in SQL. The index accounts_untidy has the same text. */
export const TIDIED_CODE = sql.raw(`normalize(btrim(code, E'${escaped.join('')}'), NFC)`);

/** Accounts whose code is not tidy, by the tidied code. */
export const accountsByTidiedCode = (codes: readonly string[]): Statement<Account> =>
  sql<Account>`
    SELECT i_account, code, currency, country, closed_from FROM calls.accounts
    WHERE code <> ${TIDIED_CODE} AND ${TIDIED_CODE} = ANY(${codes}) ORDER BY i_account DESC`.compile(build);

/** Codes of accounts that may differ from one of these in case alone. Letters beyond ASCII are compared all upper or all lower case. */
export const perhapsAlike = (codes: readonly string[]): Statement<{ code: string }> => {
  const folded = codes.flatMap((code) => [code, code.toLowerCase(), code.toUpperCase()]).map(asciiLower);
  return sql<{ code: string }>`
    SELECT code FROM calls.accounts WHERE lower(code) = ANY(${[...new Set(folded)]})`.compile(build);
};

/** The result of PostgreSQL's lower() in the C collation. */
const asciiLower = (code: string) => code.replace(/[A-Z]/g, (letter) => letter.toLowerCase());

export interface NewAccounts {
  readonly codes: readonly string[];
  readonly currency: string;
  readonly timeZone: string;
  readonly country: string | null;
}

/** Creates accounts for --create-accounts. The name is the code, until an operator changes it. @returns those that are new */
export const createAccounts = (accounts: NewAccounts): Statement<ToldAccount> =>
  sql<ToldAccount>`
    INSERT INTO calls.accounts (code, name, currency, time_zone, country)
    SELECT code, code, ${accounts.currency}, ${accounts.timeZone}, ${accounts.country}
    FROM unnest(${accounts.codes}::text[]) AS code ORDER BY code
    ON CONFLICT (code) DO NOTHING
    RETURNING i_account, code, currency, time_zone, country, closed_from`.compile(build);

/** New numbers for the i_cdr of calls, as many as there are calls: in one text, which costs less than one row for each. */
export const takeNumbers = (count: number): Statement<{ numbers: string }> =>
  sql<{ numbers: string }>`
    SELECT string_agg(nextval('calls.cdr_numbers')::text, ',') AS numbers
    FROM generate_series(1, ${count}::int)`.compile(build);

/** A row of calls.usage_quarters. */
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
  /** Microseconds: their sum is exact, a sum of seconds with fractions is not. */
  durationUs: number;
  billedUs: number;
  /** null: no call is rated. */
  cost: ExactSum | null;
}

/**
 * Adds the usage of a batch to both tables. The statement computes the day, because it reads the account's time zone under the
 * zones lock. So a change of the zone can't miss a call.
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

/** The assignments that add sums to the row `was` of a usage table. */
export const ADDED = `
  calls = was.calls + excluded.calls, answered = was.answered + excluded.answered,
  non_zero = was.non_zero + excluded.non_zero, errors = was.errors + excluded.errors,
  seconds = was.seconds + excluded.seconds, billed_seconds = was.billed_seconds + excluded.billed_seconds,
  cost = coalesce(was.cost + excluded.cost, was.cost, excluded.cost)`;

/** The progress of a source in a batch: the instant up to which the source has reported its calls. */
export interface Told {
  readonly source: string;
  readonly iImport: number;
  /** The end of its last call, in milliseconds since 1970. */
  readonly lastEnd: number;
  /** The accounts with calls in the batch, in ascending order. */
  readonly iAccounts: readonly number[];
}

/**
 * Advances the watermark of a source. A source whose clock runs ahead must not promise future calls. A stored watermark in the
 * future, from an earlier version or a server with a wrong clock, is replaced. Only a batch that ends later than all before
 * advances the watermark; an archive does not. An account refers to the import with the latest end among the imports with its
 * calls, so few batches write anything for an account.
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
  /** The end of the last call in the batch, in milliseconds since 1970; 0: none. */
  readonly lastEnd: number;
}

/**
 * Adds the counts of a batch to its import, and to the hour of its source. Changes no row if the import is being undone: the
 * batch must not be stored then.
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
    INSERT INTO calls.imports (file, format, source, options, known_before, noted, held_until)
    VALUES (${file}, ${format}, ${source}, ${JSON.stringify(options)}::jsonb, false, true, ${HELD_UNTIL})
    RETURNING i_import`.compile(build);

/** Finds the import of a switch that posts. All its posts with the same options have one import. */
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
  /** Names of the source in earlier versions. */
  readonly names_before: string[];
  /** Earlier versions have stored calls of the source. */
  readonly known_before: boolean;
  /** Columns that were mapped to the call id. */
  readonly call_id_columns: string[];
  /** The newest imports with the same read options. */
  readonly alike: number[];
}

/** The number of such imports in a month, for a file that is read each hour. Rows of older imports are compared value by value. */
const MOST_ALIKE = 1_000;

/** @param options the read options, as stored with an import */
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

/** Another import that stored rows of the source while this import ran; no row: there is none. */
export const importedMeanwhile = (source: string, iImport: number): Statement<{ i_import: number }> =>
  sql<{ i_import: number }>`
    SELECT other.i_import FROM calls.imports own JOIN calls.imports other ON other.source = ${source}
    WHERE own.i_import = ${iImport} AND other.i_import <> own.i_import AND other.read > 0
      AND (other.finished_at IS NULL OR other.finished_at >= own.started_at)
      AND other.started_at > own.started_at - interval '1 day' LIMIT 1`.compile(build);

export const finishImport = (iImport: number): Statement<unknown> =>
  sql`UPDATE calls.imports SET finished_at = now() WHERE i_import = ${iImport}`.compile(build);
