/** The free space where a node keeps its data and its write-ahead log (WAL). */
import { chown, mkdir, realpath, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { saysAbsent } from '#engines/processes.ts';
import type { Node } from './layout.ts';

export interface Volume {
  /** The node's files on this file system. */
  readonly holds: 'data' | 'wal' | 'data and wal';
  readonly path: string;
  /** Without the part reserved for root, as df counts. */
  readonly sizeBytes: number;
  /** The space that users other than root can still write. */
  readonly freeBytes: number;
}

export interface NodeSpace {
  readonly node: string;
  /** Empty: not known now. */
  readonly volumes: readonly Volume[];
  /** `released`: deleted to free space; `none`: not made yet, since there was never enough space. */
  readonly ballast: 'kept' | 'released' | 'none';
}

/** The file systems of a node: one, or two where its WAL is elsewhere. @throws Error when they can't be read */
export async function volumesOf({ folder }: Pick<Node, 'folder'>): Promise<Volume[]> {
  // Before the node's first start the folder does not exist yet.
  const data = await firstThere([folder, dirname(folder)]);
  const wal = await firstThere([join(folder, 'pg_wal'), data]);
  const isOne = (await stat(data)).dev === (await stat(wal)).dev;
  if (isOne) return [await volume('data and wal', data)];
  return [await volume('data', data), await volume('wal', await realpath(wal))];
}

async function firstThere(paths: readonly string[]): Promise<string> {
  for (const path of paths) {
    try {
      await stat(path);
      return path;
    } catch (error) {
      if (!saysAbsent(error)) throw error;
    }
  }
  throw new Error(`there is none of ${paths.join(', ')}`);
}

async function volume(holds: Volume['holds'], path: string): Promise<Volume> {
  const { blocks, bfree, bavail, bsize } = await statfs(path);
  return { holds, path, sizeBytes: (blocks - bfree + bavail) * bsize, freeBytes: bavail * bsize };
}

/** The volume that is full first. */
export const tightest = (volumes: readonly Volume[]): Volume | undefined =>
  volumes.toSorted((a, b) => a.freeBytes - b.freeBytes)[0];

export const usedShare = ({ sizeBytes, freeBytes }: Pick<Volume, 'sizeBytes' | 'freeBytes'>): number =>
  sizeBytes > 0 ? 1 - freeBytes / sizeBytes : 1;

/**
 * The folder of a node's ballast: beside its data, or in a subfolder where the data is a file system of its own; base backups
 * leave that out, like all names that begin with pgsql_tmp.
 * @returns undefined where there is no data yet: Patroni would take a ballast for data
 */
export async function ballastFolder({ folder }: Pick<Node, 'folder'>): Promise<string | undefined> {
  try {
    await stat(join(folder, 'PG_VERSION'));
    const { dev, uid, gid } = await stat(folder);
    if (dev === (await stat(dirname(folder))).dev) return dirname(folder);
    const own = join(folder, 'pgsql_tmp_ballast');
    // pg_rewind may have to delete it.
    if (await mkdir(own, { recursive: true, mode: 0o700 })) await chown(own, uid, gid);
    return own;
  } catch (error) {
    if (saysAbsent(error)) return undefined;
    throw error;
  }
}
