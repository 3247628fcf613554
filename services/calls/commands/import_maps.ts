/** Mappings of CSV columns to fields, remembered under a name. */
import type { Pool } from '#platform/database/pool.ts';
import { withSession } from '#platform/database/pool.ts';
import { note } from '#platform/terminal/print.ts';
import { type Mapping, parseMapping, UNNAMED } from '../formats/mapping.ts';
import type { ImportCounts } from '../intake/import_counts.ts';
import { findMap, keepMap } from '../store/maps.ts';

/** What a command was told of a mapping. */
interface MapOptions {
  readonly map: readonly string[];
  readonly mapName?: string;
}

/**
 * The mapping that --map and --map-name mean: a new one, a remembered one, or none.
 * @throws Error for a name that nothing was kept under
 */
export async function mappingOf(pool: Pool, { map, mapName }: MapOptions): Promise<Mapping | undefined> {
  if (map.length > 0) return parseMapping(map, mapName ?? UNNAMED);
  if (!mapName) return undefined;
  const kept = await withSession(pool, (session) => session.row(findMap(mapName)));
  if (!kept) {
    throw new Error(
      `--map-name ${mapName}: no mapping has that name yet; give it with --map column=field (it is remembered once rows went in with it)`,
    );
  }
  return { name: mapName, columns: kept.columns };
}

/**
 * Remembers a new mapping under its name, once it has proven itself: rows went in with it or were known by it, and no file
 * failed. So one that was mistyped takes the place of none. A retry of rows that wait remembers it, too (intake/retry.ts).
 */
export async function keepMapping(
  pool: Pool,
  { map, mapName }: MapOptions,
  { stored, completed, duplicates }: ImportCounts,
  failures: readonly string[],
): Promise<void> {
  if (map.length === 0 || !mapName) return;
  const isNew = stored + completed > 0;
  // Known rows prove no mapping better than the one that has the name.
  const isUnproven =
    !isNew &&
    (duplicates === 0 || (await withSession(pool, (session) => session.row(findMap(mapName)))) !== undefined);
  if (failures.length > 0 || isUnproven) {
    const why =
      failures.length > 0 ? 'the import failed' : 'no row went in with it; it is once rows that wait do';
    note(`the mapping is not remembered as ${mapName}: ${why}`);
    return;
  }
  const { columns } = parseMapping(map, mapName);
  await withSession(pool, (session) => session.run(keepMap(mapName, columns)));
}
