/** A small separate file system (tmpfs) for a node, on which a drill can fill a disk without harm to the machine. */
import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, rmdir, writeFile } from 'node:fs/promises';
import { platform, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { freeBytes } from '#engines/ballast.ts';
import { engineUser, identify, isAlive, run } from '#engines/processes.ts';
import type { Layout, Node } from './layout.ts';

/** Its name in /proc/mounts, which identifies a mount left by a killed drill. */
const SOURCE = 'trunkline-drill';
export const SMALL_DISK_MIB = 400;
const PIECE_BYTES = 1024 * 1024;
const LAST_PIECE_BYTES = 1024;

/** Holds all files of a node. */
const folderOf = (node: Pick<Node, 'folder'>): string => dirname(node.folder);
/** The file that fills the disk; its name has its process, which may be killed before it frees the space. */
const FILLER = /^drill-filler\.(\d+)\.(\d*)$/;

/** The reason why no file system can be mounted here; undefined where it can. */
export async function whyNoSmallDisk(): Promise<string | undefined> {
  if (platform() !== 'linux' || process.getuid?.() !== 0)
    return 'a small file system can be mounted by root on Linux alone';
  const probe = await mkdtemp(join(tmpdir(), 'trunkline-mount-'));
  try {
    await mount(probe, 1);
    await run('umount', [probe]);
    return undefined;
  } catch (error) {
    return `no small file system can be mounted here: ${(error as Error).message.trim().split('\n').at(-1)}`;
  } finally {
    await rmdir(probe).catch(() => undefined);
  }
}

const mount = (path: string, sizeMib: number) => {
  const { uid = 0, gid = 0 } = engineUser() ?? {};
  const options = `size=${sizeMib}m,mode=0700,uid=${uid},gid=${gid}`;
  return run('mount', ['-t', 'tmpfs', '-o', options, SOURCE, path]);
};

/** Mounts one over a node's folder, which hides the folder's files until the unmount. The node must be down. */
export const mountSmallDisk = async (node: Pick<Node, 'folder'>): Promise<void> =>
  void (await mount(folderOf(node), SMALL_DISK_MIB));

/** Unmounts the small disk of a node's folder, if there is one. The node must be down. */
export async function unmountSmallDisk(node: Pick<Node, 'folder'>): Promise<void> {
  if (hasSmallDisk(node)) await run('umount', ['--lazy', folderOf(node)]);
}

/** The nodes that are on a small disk. */
export const onSmallDisks = ({ nodes }: Pick<Layout, 'nodes'>): Node[] => nodes.filter(hasSmallDisk);

function hasSmallDisk(node: Pick<Node, 'folder'>): boolean {
  if (platform() !== 'linux') return false;
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  const asWritten = folderOf(node).replaceAll('\\', '\\134').replaceAll(' ', '\\040');
  return mounts.some((line) => line.startsWith(`${SOURCE} ${asWritten} tmpfs `));
}

/** Fills a node's disk, or leaves `leaveBytes` free. */
export async function fillDisk(node: Pick<Node, 'folder'>, leaveBytes = 0): Promise<void> {
  const { pid, startedAt } = identify(process.pid)!;
  const filler = join(folderOf(node), `drill-filler.${pid}.${startedAt}`);
  const pieces = leaveBytes > 0 ? [PIECE_BYTES] : [PIECE_BYTES, LAST_PIECE_BYTES];
  for (const size of pieces) {
    const piece = Buffer.alloc(size, 'x');
    try {
      while ((await freeBytes(folderOf(node))) > leaveBytes) await writeFile(filler, piece, { flag: 'a' });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }
}

/** Frees the space again, whichever process filled the disk. */
export const emptyDisk = (node: Pick<Node, 'folder'>): Promise<void> => dropFillers(node, () => true);

/** Frees the space that an ended process took: otherwise a full disk would outlast a killed drill. */
export const dropAbandoned = (node: Pick<Node, 'folder'>): Promise<void> =>
  dropFillers(node, (pid, startedAt) => !isAlive({ pid, startedAt }));

async function dropFillers(
  node: Pick<Node, 'folder'>,
  which: (pid: number, startedAt: string) => boolean,
): Promise<void> {
  for (const name of await readdir(folderOf(node))) {
    const [, pid, startedAt = ''] = FILLER.exec(name) ?? [];
    if (pid && which(Number(pid), startedAt)) await rm(join(folderOf(node), name), { force: true });
  }
}
