/** Mappings of CSV columns to fields, remembered under a name. */
import type { Pool } from '#platform/database/pool.ts';
import { withSession } from '#platform/database/pool.ts';
import { note } from '#platform/terminal/print.ts';
import { type Mapping, parseMapping, UNNAMED } from '../formats/mapping.ts';
import type { ImportCounts } from '../intake/import_counts.ts';
import { findMap, keepMap } from '../store/maps.ts';

/** A command's options for a mapping. */
interface MapOptions {
  readonly map: readonly string[];
  readonly mapName?: string;
}

/**
 * The mapping that --map and --map-name mean: a new one, a remembered one, or none.
 * @throws Error for a name without a mapping
 */
export async function mappingOf(pool: Pool, { map, mapName }: MapOptions): Promise<Mapping | undefined> {
  if (map.length > 0) return parseMapping(map, mapName ?? UNNAMED);
  if (!mapName) return undefined;
  const kept = await withSession(pool, (session) => session.row(findMap(mapName)));
  if (!kept) {
    throw new Error(
      `--map-name ${mapName}: no mapping has that name yet; give it with --map column=field (it is remembered once rows were imported with it)`,
    );
  }
  return { name: mapName, columns: kept.columns };
}

/**
 * Remembers a new mapping under its name after a success: rows were imported or recognised with it, and no file failed.
 * So a mistyped mapping replaces none. A retry of waiting rows remembers it, too (intake/retry.ts).
 */
export async function keepMapping(
  pool: Pool,
  { map, mapName }: MapOptions,
  { stored, completed, duplicates }: ImportCounts,
  failures: readonly string[],
): Promise<void> {
  if (map.length === 0 || !mapName) return;
  const isNew = stored + completed > 0;
  // Known rows are no proof that the mapping is better than the one with the name.
  const isUnproven =
    !isNew &&
    (duplicates === 0 || (await withSession(pool, (session) => session.row(findMap(mapName)))) !== undefined);
  if (failures.length > 0 || isUnproven) {
    const why =
      failures.length > 0
        ? 'the import failed'
        : 'no row was imported with it; it is remembered once waiting rows are';
    note(`the mapping is not remembered as ${mapName}: ${why}`);
    return;
  }
  const { columns } = parseMapping(map, mapName);
  await withSession(pool, (session) => session.run(keepMap(mapName, columns)));
}
