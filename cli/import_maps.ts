/** Mappings of CSV columns to fields, remembered under a name. */

import type { Pool } from '#platform/database/pool.ts';
import { withSession } from '#platform/database/pool.ts';
import { type Mapping, parseMapping } from '#services/calls/formats/mapped.ts';
import { findMap, keepMap } from '#services/calls/store/maps.ts';

/** Name of a mapping that nobody named; such a one is not remembered. */
const UNNAMED = 'mapped';

/**
 * The mapping that --map and --map-name mean: a new one (kept when it has a name), a remembered one, or none.
 * @throws Error for a name that nothing was kept under
 */
export function rememberedMapping(
  pool: Pool,
  pairs: readonly string[],
  name: string | undefined,
): Promise<Mapping | undefined> {
  return withSession(pool, async (session) => {
    if (pairs.length > 0) {
      const mapping = parseMapping(pairs, name ?? UNNAMED);
      if (name) await session.run(keepMap(name, mapping.columns));
      return mapping;
    }
    if (!name) return undefined;
    const kept = await session.row(findMap(name));
    if (!kept)
      throw new Error(`--map-name ${name}: no mapping has that name yet; give it with --map column=field`);
    return { name, columns: kept.columns };
  });
}
