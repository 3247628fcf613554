/** Ends and finds processes of the tier: a part is a process group, PostgreSQL a tree of its own. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { identify, isAlive, type ProcessIdentity, saysAbsent } from '#engines/processes.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';

const POLL_MS = 50;

/** A process that the system hides from this user (proc(5), hidepid) is none of the tier's. */
const isOthers = (error: unknown): boolean =>
  ['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '');

interface ProcessRow {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
}

/** All processes of this machine (Linux). */
function processes(): ProcessRow[] {
  const rows: ProcessRow[] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'latin1');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (fields[0] !== 'Z')
        rows.push({ pid: Number(entry), parent: Number(fields[1]), group: Number(fields[2]) });
    } catch (error) {
      // The process has ended between the two reads, or belongs to another user.
      if (!saysAbsent(error) && !isOthers(error)) throw error;
    }
  }
  return rows;
}

/** The living processes of a group. A kernel does not reuse the number of a group that still has members. */
export const groupMembers = (group: number): number[] =>
  processes()
    .filter((row) => row.group === group)
    .map((row) => row.pid);

/** A process and all its descendants, parents first. */
export function familyOf(pid: number): number[] {
  const rows = processes();
  const family = [pid];
  for (const member of family) {
    for (const row of rows) if (row.parent === member) family.push(row.pid);
  }
  return family;
}

/**
 * Stops (SIGSTOP) a process and all its descendants. Each process is stopped before its children are listed, so that no
 * child that starts meanwhile is missed.
 * @returns all of them
 */
export function freezeFamily(pid: number): number[] {
  for (let frozen: number[] = []; ; ) {
    const family = familyOf(pid);
    const more = family.filter((member) => !frozen.includes(member));
    if (more.length === 0) return family;
    for (const member of more) signal(member, 'SIGSTOP');
    frozen = family;
  }
}

/** Sends a signal; an ended process is no error. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Waits until a condition holds; false when it did not hold within `ms`. */
export async function until(holds: () => boolean | Promise<boolean>, ms: number): Promise<boolean> {
  const deadline = systemClock.monotonic() + ms;
  while (!(await holds())) {
    if (systemClock.monotonic() > deadline) return false;
    await systemClock.sleep(POLL_MS);
  }
  return true;
}

/**
 * Ends a part's process group: asks its leader, and kills the remaining processes after `limitMs`.
 * A frozen process is woken, since it could not obey.
 */
export async function endGroup(leader: ProcessIdentity, ask: NodeJS.Signals, limitMs: number): Promise<void> {
  if (isAlive(leader)) {
    signal(leader.pid, ask);
    for (const pid of groupMembers(leader.pid)) signal(pid, 'SIGCONT');
    await until(() => !isAlive(leader), limitMs);
  } else if (identify(leader.pid)) {
    return; // another process has the number, so the group has ended
  }
  for (const pid of groupMembers(leader.pid)) signal(pid, 'SIGKILL');
  await until(() => groupMembers(leader.pid).length === 0, limitMs);
}

/**
 * The postmaster that runs on a data folder, started by any process.
 * postmaster.pid outlives a killed server, so its number counts only if that process works in the folder.
 */
export function postmasterOf(folder: string): ProcessIdentity | undefined {
  let pid: number;
  try {
    pid = Number(readFileSync(join(folder, 'postmaster.pid'), 'utf8').split('\n')[0]);
  } catch (error) {
    if (saysAbsent(error)) return undefined;
    throw error;
  }
  const identity = pid > 0 ? identify(pid) : undefined;
  return identity && commandLine(pid).includes(folder) ? identity : undefined;
}

/** The process of a replica that replays WAL, by the title that PostgreSQL gives it. */
export function replayerOf(postmaster: ProcessIdentity): number | undefined {
  return familyOf(postmaster.pid).find((pid) => /: startup/.test(commandLine(pid)[0] ?? ''));
}

/**
 * The process groups that were started on a file of this folder: etcd, Patroni, PgBouncer, HAProxy. A group's leader may
 * have ended already, with other members left.
 */
export function readersOf(configurationFolder: string): ProcessIdentity[] {
  const engine = /\/(etcd|patroni|pgbouncer|haproxy)$/;
  const reads = (pid: number) => {
    const words = commandLine(pid);
    // A Python program's first word is the interpreter.
    return (
      words.slice(0, 2).some((word) => engine.test(word)) &&
      words.some((word) => dirname(word) === configurationFolder)
    );
  };
  const groups = processes().flatMap(({ pid, group }) => (reads(pid) ? [group] : []));
  return [...new Set(groups)].map((pid) => identify(pid) ?? { pid, startedAt: '' });
}

/** Patroni starts PostgreSQL as `postgres -D <folder> …`. */
function commandLine(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      .split('\0')
      .flatMap((word) => word.split('='));
  } catch (error) {
    if (saysAbsent(error) || isOthers(error)) return [];
    throw error;
  }
}

/** Ends a PostgreSQL: first with all data safe but clients disconnected (fast), then at once (immediate), then killed. */
export async function endPostgres(folder: string, limitMs: number): Promise<void> {
  for (const name of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
    const postmaster = postmasterOf(folder);
    if (!postmaster) return;
    signal(postmaster.pid, name);
    for (const pid of familyOf(postmaster.pid)) signal(pid, name === 'SIGKILL' ? 'SIGKILL' : 'SIGCONT');
    await until(() => !isAlive(postmaster), limitMs);
  }
}
