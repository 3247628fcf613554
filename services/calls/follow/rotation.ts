/** The names that a rotation gives to files. */
import { basename, extname } from 'node:path';

/** `.1`, `-20261128`, `.2026-11-28-00-00-00`, `_2026-11-28T00:00:00Z`, `.old` */
const SUFFIX = /^[.\-_](?:\d[\dTZ:.\-_]*|old|prev|bak)$/;

/**
 * The names in a file's folder that a rotation of the file may have made: `Master.csv.1`, `Master.csv.2.gz`,
 * `Master-20261128.csv` (logrotate's `dateext` and `extension`), and those of FreeSWITCH's own rotation.
 */
export function rotatedNames(path: string, names: readonly string[]): string[] {
  const base = basename(path);
  const extension = extname(base);
  const stem = base.slice(0, base.length - extension.length);
  return names.filter((name) => {
    const plain = name.endsWith('.gz') ? name.slice(0, -3) : name;
    if (plain.startsWith(base) && SUFFIX.test(plain.slice(base.length))) return true;
    const isBetween = extension !== '' && plain.startsWith(stem) && plain.endsWith(extension);
    return isBetween && SUFFIX.test(plain.slice(stem.length, -extension.length));
  });
}
