/** Finds existing data where DATA_DIR has no database, as after an upgrade or a move of the program. */
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { keepsTierData } from './cluster/tier.ts';
import { hasCluster } from './postgres.ts';

const PROGRAM = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/**
 * The folders of data when DATA_DIR is unset: `data` in the folder where the program is started. That may be the program's own
 * folder, or the folder of the previous version.
 */
const usualFolders = (program: string): string[] => [
  resolve('data'),
  join(program, 'data'),
  join(`${program}-before`, 'data'),
];

/**
 * Folders with other data, where DATA_DIR holds no database yet: a new and empty database would be made there.
 * @param program folder of the program
 */
export async function formerData(dataDir: string, program = PROGRAM): Promise<string[]> {
  if (await holdsData(dataDir)) return [];
  const found: string[] = [];
  for (const folder of new Set(usualFolders(program))) if (await holdsData(folder)) found.push(folder);
  return found;
}

/** The warning about these folders. */
export const formerDataWords = (dataDir: string, folders: readonly string[]): string =>
  `${dataDir} has no database, so the program makes a new and empty one; there is a database in ${folders.join(' and in ')}: to use that one, stop the program, and set DATA_DIR to its folder or move its content`;

/** Warns, for what is about to use DATA_DIR. @param warn called with a sentence, where it has no data and another folder has */
export async function warnOfFormerData(dataDir: string, warn: (words: string) => void): Promise<void> {
  const folders = await formerData(dataDir);
  if (folders.length > 0) warn(formerDataWords(dataDir, folders));
}

const holdsData = async (folder: string): Promise<boolean> =>
  (await hasCluster(join(folder, 'postgres')).catch(() => false)) ||
  (await keepsTierData(join(folder, 'cluster')).catch(() => false));
