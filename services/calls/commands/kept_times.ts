/** Reports calls that an import read at other times than the stored ones: which import's times they keep, and what to do. */
import { isDeepStrictEqual } from 'node:util';
import { type Pool, withSession } from '#platform/database/pool.ts';
import { grouped } from '#platform/terminal/print.ts';
import type { SourceOptions } from '../formats/source_reader.ts';
import type { ImportCounts } from '../intake/import_counts.ts';
import { importByNumber } from '../store/imports.ts';

/** The most imports that a summary names. */
const MOST_NAMED = 20;

export interface KeptTimes {
  readonly i_import: number;
  readonly calls: number;
  /** The zone of its stamps without a zone. Null: none, as for a switch that posts. */
  readonly time_zone: string | null;
  readonly date_order: string | null;
}

/** @param read how the rows were read now: imports with the same settings are left out */
export async function keptTimesOf(
  pool: Pool,
  { keptTimes }: ImportCounts,
  read: SourceOptions,
): Promise<KeptTimes[]> {
  const found: KeptTimes[] = [];
  for (const [iImport, calls] of [...keptTimes].slice(0, MOST_NAMED)) {
    const row = await withSession(pool, (session) => session.row(importByNumber(iImport)));
    if (!row) continue;
    const { timeZone = null, dateOrder = null, mapping = null } = row.options as Partial<SourceOptions>;
    const was = [timeZone, dateOrder, mapping?.columns];
    if (
      isDeepStrictEqual(was, [
        read.timeZone,
        read.dateOrder ?? null,
        read.mapping && { ...read.mapping.columns },
      ])
    )
      continue;
    found.push({ i_import: iImport, calls, time_zone: timeZone, date_order: dateOrder });
  }
  return found;
}

/** @param isDry the rows were not noted in the tables: undoing the other import would leave no call */
export function keptTimesLine(
  { i_import: iImport, calls, time_zone, date_order }: KeptTimes,
  isDry: boolean,
): string {
  const keep = calls === 1 ? '1 call keeps' : `${grouped(calls)} calls keep`;
  if (time_zone === null) {
    return `${keep} the times that import ${iImport} stored, a switch that posts: import again with --on-conflict replace to store these`;
  }
  const order = date_order === null ? '' : `, dates ${date_order}`;
  const then = isDry
    ? ', then import'
    : ' undoes that import, and they get the times of the next import that has them: these, unless another stands between';
  return `${keep} the times that import ${iImport} stored, read as ${time_zone}${order}: \`trunkline imports undo ${iImport}\`${then}`;
}
