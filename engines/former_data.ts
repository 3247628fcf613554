/** Databases that may be the one that is meant, where the folder that is set has none: as after an upgrade or a move of the program. */
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { keepsTierData } from './cluster/tier.ts';
import { hasCluster } from './postgres.ts';

const PROGRAM = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/**
 * Where data lies when nothing names a folder: `data` of the folder in which the program is started. So it is in the program's own,
 * or in that of the version before.
 */
const usualFolders = (program: string): string[] => [
  resolve('data'),
  join(program, 'data'),
  join(`${program}-before`, 'data'),
];

/**
 * Folders of other data, where DATA_DIR holds no database yet: a new and empty one would be made there.
 * @param program folder of the program
 */
export async function formerData(dataDir: string, program = PROGRAM): Promise<string[]> {
  if (await holdsData(dataDir)) return [];
  const found: string[] = [];
  for (const folder of new Set(usualFolders(program))) if (await holdsData(folder)) found.push(folder);
  return found;
}

/** What to say of them. */
export const formerDataWords = (dataDir: string, folders: readonly string[]): string =>
  `${dataDir} has no database, so that a new and empty one is made; there is one in ${folders.join(' and in ')}: if that is meant, stop, and set DATA_DIR to it or move what is in it`;

const holdsData = async (folder: string): Promise<boolean> =>
  (await hasCluster(join(folder, 'postgres')).catch(() => false)) ||
  (await keepsTierData(join(folder, 'cluster')).catch(() => false));
