/** Child processes of engines: their identities, whether they live, and their user. */
import { execFile, execFileSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { promisify } from 'node:util';

export const run = promisify(execFile);

/** A process that can't be mistaken for a later one with the same pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** The kernel's start time of the process (Linux: clock ticks since boot); '' where it can't be read. */
  readonly startedAt: string;
}

/**
 * Whether an error says that something (a file, a process) does not exist. Any other error (no file descriptors left, no
 * permission, a broken disk) leaves that open: the thing must not count as absent.
 */
export const saysAbsent = (error: unknown): boolean =>
  ['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '');

/**
 * @returns undefined when no such process runs; a process that has ended and was not yet waited for counts as ended. Without
 *   the start time where that can't be read
 */
export function identify(pid: number): ProcessIdentity | undefined {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (saysAbsent(error)) return undefined;
  }
  const [state, startedAt] = stateAndStartTime(pid);
  return state === 'Z' ? undefined : { pid, startedAt };
}

/** Whether exactly this process still runs; false only where its end is certain. */
export function isAlive(identity: ProcessIdentity): boolean {
  const now = identify(identity.pid);
  if (now === undefined) return false;
  const known = identity.startedAt !== '' && now.startedAt !== '';
  return !known || now.startedAt === identity.startedAt;
}

/** Fields 3 and 22 of /proc/<pid>/stat; the second field is a name in brackets that may itself hold blanks. */
function stateAndStartTime(pid: number): [state: string, startedAt: string] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return [fields[0] ?? '', fields[19] ?? ''];
  } catch {
    return ['', '']; // no /proc here, or it is unreadable now
  }
}

/** A user that an engine runs as; PostgreSQL refuses to run as root. */
export interface EngineUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

const ENGINE_USER = 'postgres';

/**
 * The user to run engines as: undefined when this process is not root (engines run as its user), else the user `postgres`,
 * which is made if the machine has none.
 */
export function engineUser(): EngineUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const find = () =>
    readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .map((line) => line.split(':'))
      .find((fields) => fields[0] === ENGINE_USER);
  let entry = find();
  if (!entry) {
    execFileSync('useradd', ['--system', '--user-group', '--shell', '/bin/false', ENGINE_USER]);
    entry = find();
  }
  if (!entry) throw new Error(`no user "${ENGINE_USER}" to run PostgreSQL as, and it could not be made`);
  return { name: ENGINE_USER, uid: Number(entry[2]), gid: Number(entry[3]) };
}

/**
 * A command line that runs `command` as `user`. The user keeps root's right to read and pass folders (a checkout under
 * /root), and no other right of root.
 * @param asksAccess the program asks access(2) for its rights, as Erlang does; that answers without the right to pass folders,
 *   unless the kernel is told to leave the rights of a process alone when its user changes
 */
export function asUser(
  user: EngineUser | undefined,
  command: string,
  args: readonly string[],
  asksAccess = false,
): [string, string[]] {
  if (!user) return [command, [...args]];
  const setpriv = '/usr/bin/setpriv';
  try {
    accessSync(setpriv, constants.X_OK);
  } catch {
    throw new Error(`running as root needs ${setpriv} (package util-linux), or run as an ordinary user`);
  }
  const rights = ['--inh-caps=-all,+dac_read_search', '--ambient-caps=-all,+dac_read_search'];
  if (asksAccess) rights.unshift('--securebits=+no_setuid_fixup');
  return [
    setpriv,
    [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups', ...rights, command, ...args],
  ];
}
