/** Identifies this machine and this process to others that share a database. */
import { randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';

/** Types of file systems that several machines may have mounted (statfs(2), linux/magic.h). */
const SHARED_TYPES = new Set([
  ...[0x6969, 0xff534d42, 0xfe534d42, 0x517b], // NFS, CIFS, SMB2, SMB
  ...[0x00c36400, 0x0bd00bd0, 0x6a656a63, 0x65735546], // Ceph, Lustre, virtiofs, FUSE (GlusterFS, sshfs, s3fs)
  ...[0x01021997, 0x47504653, 0x7461636f, 0x01161970], // 9p, GPFS, OCFS2, GFS2
]);

/**
 * The machine on whose disk a path is; '' where several machines may share the disk, so that two of them do not both
 * read it.
 */
export async function machineOf(path: string): Promise<string> {
  const { type } = await statfs(path).catch(() => statfs(dirname(path)).catch(() => ({ type: 0 })));
  return SHARED_TYPES.has(type) ? '' : thisMachine();
}

/** machine-id(5), which stays when the host is renamed. The host's name where there is none. */
function thisMachine(): string {
  return readText('/etc/machine-id') || hostname();
}

/** '' where there is no such file. @throws Error when it can't be read: its content is unknown then */
function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return '';
    throw error;
  }
}

/** When a process was started, in ticks since the machine's start; '' where that is unknown. A pid may come again. */
function startOf(pid: number): string {
  try {
    const stat = readText(`/proc/${pid}/stat`);
    // The name, in brackets, may hold any character.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

/** The namespace of this process' pids: containers count their own. */
function pidSpace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}

/** A name for one reader of sources, by which others can find out whether it still runs. */
export function newHolder(): string {
  return [hostname(), process.pid, startOf(process.pid), pidSpace(), randomUUID()].join(' ');
}

/** A holder as a text for people. */
export function holderWords(holder: string): string {
  const [host, pid] = holder.split(' ');
  return `process ${pid} on ${host}`;
}

/** Whether a holder was a process of this machine that has ended: its lease need not run out. */
export function isDead(holder: string): boolean {
  const [host, pid, start, space] = holder.split(' ');
  if (host !== hostname() || space !== pidSpace()) return false;
  try {
    process.kill(Number(pid), 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
  const now = startOf(Number(pid));
  return start !== '' && now !== '' && now !== start;
}
