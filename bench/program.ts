/** The program itself as a child process of a benchmark. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));

/** Starts `trunkline` with these arguments; what it says is read by `said`. */
export function startProgram(args: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
  return spawn(process.execPath, [MAIN, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
}

/**
 * Waits until a child has said a line with `pattern` in it.
 * @returns what matched
 * @throws Error with all that it said, when it ends without
 */
export function said(child: ChildProcess, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const hear = (chunk: Buffer) => {
      text += chunk;
      const found = pattern.exec(text);
      if (found && text.indexOf('\n', found.index) >= 0) resolve(found[0]);
    };
    child.stdout!.on('data', hear);
    child.stderr?.on('data', hear);
    child.on('close', () => reject(new Error(`ended without saying ${pattern}: ${text}`)));
  });
}

/** Ends a child, and waits until it has ended. */
export async function endChild(child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('close', resolve));
  child.kill(signal);
  await gone;
}

/** Linux counts processor time in hundredths of a second, whatever its clock (proc(5)). */
const TICK_MS = 10;

/** Processor time that a child has taken so far, all its threads together, in milliseconds. */
export async function processorMs({ pid }: ChildProcess): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // Behind the name, which may hold anything and ends with the last bracket: utime and stime are the 14th and 15th.
  const [utime, stime] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13);
  return (Number(utime) + Number(stime)) * TICK_MS;
}

/**
 * What a process has in memory (VmRSS), or has had at most (VmHWM), in kilobytes as proc(5) counts them.
 * @returns undefined where the system does not tell, or the process has ended
 */
export async function memoryKb(pid: number, field: 'VmRSS' | 'VmHWM'): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const found = new RegExp(`${field}:\\s+(\\d+)`).exec(status);
  return found ? Number(found[1]) : undefined;
}
