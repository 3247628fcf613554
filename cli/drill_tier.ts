/** The tier that a drill breaks: one drill at a time. */
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
