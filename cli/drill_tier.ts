/** The tier that a drill breaks, one drill at a time, and the services on it. */
import { fileURLToPath } from 'node:url';
import { drillsFolder } from '#engines/cluster/drills/results.ts';
import { type DrillServices, startDrillServices } from '#engines/cluster/drills/services.ts';
import { takeFolderLock } from '#engines/cluster/folder_lock.ts';
import { findTier, type Tier } from '#engines/cluster/tier.ts';

/** The tier of a folder, this process's until it ends. @throws Error when none runs there, or another drill does */
export async function tierForDrill(data: string): Promise<Tier> {
  const tier = await findTier(data);
  if (!(await takeFolderLock(tier.layout.folders.data, 'drill')))
    throw new Error(
      `another drill runs on the tier in ${tier.layout.folders.data}: two would judge each other's faults`,
    );
  return tier;
}

/** The services on the tier for the time of a drill. @throws Error when the tier holds calls that are not the drills' */
export const servicesForDrill = (tier: Tier): Promise<DrillServices> =>
  startDrillServices(
    tier,
    [process.execPath, fileURLToPath(new URL('../main.ts', import.meta.url))],
    drillsFolder(tier.layout.folders.data),
  );
