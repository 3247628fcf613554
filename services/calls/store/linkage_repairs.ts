/** Statements that add to calls of an earlier version the linked id, and the flag for an answer by the switch itself. */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import type { CallResult, CdrFlag } from '../call_fields.ts';
import { TOLD } from '../told.ts';
import { plainArray, textArray } from './array_text.ts';

const build = sqlBuilder<unknown>();

export interface OpenRepair {
  readonly month: number;
  /** All calls of the month up to this call are done. */
  readonly i_cdr: number;
}

/** Locks the newest month that is not done and that no other process works on. */
export const nextLinkageRepair = (): Statement<OpenRepair> =>
  sql<OpenRepair>`
    SELECT month, i_cdr FROM calls.linkage_repairs
    WHERE finished_at IS NULL ORDER BY month DESC LIMIT 1 FOR UPDATE SKIP LOCKED`.compile(build);

export const linkageMonthsLeft = (): Statement<{ months: number }> =>
  sql<{
    months: number;
  }>`SELECT count(*) AS months FROM calls.linkage_repairs WHERE finished_at IS NULL`.compile(build);

export interface StoredLeg {
  readonly i_cdr: number;
  readonly result: CallResult;
  readonly flags: CdrFlag[];
  readonly attributes: Record<string, string>;
}

/** The next calls of a month, locked until the end of the transaction. */
export const legsToRepair = (
  from: OpenRepair,
  since: string,
  until: string,
  most: number,
): Statement<StoredLeg> =>
  sql<StoredLeg>`
    SELECT i_cdr, result, coalesce(flags, '{}') AS flags, coalesce(attributes, '{}') AS attributes FROM calls.cdrs
    WHERE i_cdr > ${from.i_cdr}::bigint AND start_time >= ${since}::timestamptz AND start_time < ${until}::timestamptz
    ORDER BY i_cdr LIMIT ${most}::int FOR UPDATE`.compile(build);

export interface RepairedLeg {
  readonly iCdr: number;
  /** '' if the record has none. */
  readonly linkedId: string;
  readonly bySwitch: boolean;
}

/** Stores linked ids and flags. An existing value remains. */
export const noteLinkage = (legs: readonly RepairedLeg[], since: string, until: string): Statement<unknown> =>
  sql`
    UPDATE calls.cdrs c SET
      linked_id = coalesce(c.linked_id, nullif(l.linked_id, '')),
      told = CASE WHEN l.linked_id <> '' THEN c.told | ${sql.lit(TOLD.linked_id)} ELSE c.told END,
      flags = CASE WHEN l.by_switch AND NOT coalesce(c.flags, '{}') @> '{answered_by_switch}'
              THEN coalesce(c.flags, '{}') || '{answered_by_switch}' ELSE c.flags END
    FROM unnest(${plainArray(legs.map(({ iCdr }) => iCdr))}::bigint[],
                ${textArray(legs.map(({ linkedId }) => linkedId))}::text[],
                ${plainArray(legs.map(({ bySwitch }) => (bySwitch ? 'true' : 'false')))}::boolean[])
      AS l (i_cdr, linked_id, by_switch)
    WHERE c.i_cdr = l.i_cdr AND c.start_time >= ${since}::timestamptz AND c.start_time < ${until}::timestamptz`.compile(
    build,
  );

/** @param iCdr the last call that is done; null: the month is done */
export const noteLinkageRepair = (month: number, iCdr: number | null): Statement<unknown> =>
  sql`
    UPDATE calls.linkage_repairs
    SET i_cdr = coalesce(${iCdr}::bigint, i_cdr), finished_at = CASE WHEN ${iCdr === null} THEN now() END
    WHERE month = ${month}::int`.compile(build);
