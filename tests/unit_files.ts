import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { importsOf } from './imports.ts';

/** Modules that start an engine or a program: a test that imports one, near or far, is no unit test. */
const STARTERS = ['tests/postgres.ts', 'tests/own_postgres.ts', 'tests/cluster.ts', 'node:child_process'];

/**
 * Of these test files, those that start no engine and no program, as their imports show. Such files share one process.
 * @param files paths from the root of the project, which is the working directory
 */
export function unitFiles(files: readonly string[]): string[] {
  const root = process.cwd();
  const found = new Map<string, Set<string>>();
  const loadedBy = (file: string): Set<string> => {
    const known = found.get(file);
    if (known) return known;
    const all = new Set<string>();
    found.set(file, all);
    if (!existsSync(join(root, file))) return all;
    for (const { to, isPackage, isType } of importsOf(root, file)) {
      if (isType) continue;
      all.add(to);
      if (!isPackage) for (const further of loadedBy(to)) all.add(further);
    }
    return all;
  };
  return files.filter((file) => !STARTERS.some((starter) => loadedBy(file).has(starter)));
}
