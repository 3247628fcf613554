import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

/** An import of a file. */
export interface Import {
  /** A path from the root, or a package's name. */
  readonly to: string;
  readonly isPackage: boolean;
  /** `import type`: it loads nothing. */
  readonly isType: boolean;
}

const IMPORT = /^(?:import|export)(\s+type\b)?[^'"]*?from '([^']+)'|import\('([^']+)'\)|^import '([^']+)'/gm;

/**
 * What a file imports, as its text says it.
 * @param file a path from the root, as the answers are
 */
export function importsOf(root: string, file: string): Import[] {
  return [...readFileSync(join(root, file), 'utf8').matchAll(IMPORT)].map((match) => {
    const name = match[2] ?? match[3] ?? match[4]!;
    const isPackage = !/^[.#]/.test(name);
    return { to: isPackage ? name : pathOf(file, name), isPackage, isType: match[1] !== undefined };
  });
}

function pathOf(file: string, name: string): string {
  if (name.startsWith('.')) return normalize(join(dirname(file), name));
  return name.endsWith('.ts') ? name.slice(1) : `${name.slice(1)}.ts`;
}
