/** The tier that a drill breaks, one drill at a time, and the services on the tier. */
import { fileURLToPath } from 'node:url';
import { drillsFolder } from '#engines/cluster/drills/results.ts';
import { type DrillServices, startDrillServices } from '#engines/cluster/drills/services.ts';
import { takeFolderLock } from '#engines/cluster/folder_lock.ts';
import { findTier, type Tier } from '#engines/cluster/tier.ts';

/** The tier of a folder, reserved for this process until it ends. @throws Error when no tier or another drill runs there */
export async function tierForDrill(data: string): Promise<Tier> {
  const tier = await findTier(data);
  if (!(await takeFolderLock(tier.layout.folders.data, 'drill')))
    throw new Error(
      `another drill runs on the tier in ${tier.layout.folders.data}: each drill would count the other's faults`,
    );
  return tier;
}

/** The services on the tier during the drill. @throws Error when the tier holds calls that no drill posted */
export const servicesForDrill = (tier: Tier): Promise<DrillServices> =>
  startDrillServices(
    tier,
    [process.execPath, fileURLToPath(new URL('../main.ts', import.meta.url))],
    drillsFolder(tier.layout.folders.data),
  );
