/** Restarts the program as the same process, with settings that Node reads before the program begins. */
import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

/**
 * An import makes much garbage and keeps little:
 *
 *   --max-semi-space-size  V8 would grow the space of new objects to 130 MB, with no gain over this many (MB)
 *   --no-allocation-site-pretenuring  the first rows of a file live a while, until the compiler has done its work. V8
 *       would expect the same of all later rows, and make them where only a full collection finds them. That takes 3 µs
 *       of processor time and some hundred bytes more for each row
 *
 *   --heap-growing-percent  how much garbage may lie beside the live objects (45 MB) before a collection, in percent of
 *       them. On a large machine V8 would allow three times as much, which saves 1 µs a row and takes 40 MB
 *
 * Node reads all of them when a process starts, and they must not depend on the user's command line. So the process
 * replaces itself, which takes 40 ms: the same process id, input and output, before any other work.
 */
const FOR_IMPORT = [
  '--max-semi-space-size=8',
  '--no-allocation-site-pretenuring',
  '--heap-growing-percent=100',
];

/**
 * Beside them, in the environment:
 *
 *   NODE_COMPILE_CACHE  modules compiled before need no stripping of types, whose compiler alone takes 28 MB. The cache is
 *       in a folder that no other user can write to: its content is executed
 *   MALLOC_ARENA_MAX    the C library would keep freed memory apart for each thread: some 20 MB
 */
function environmentForImport(): NodeJS.ProcessEnv {
  const cache = join(homedir(), '.cache/trunkline');
  try {
    // Made here, level by level: Node's own attempt never ends where the system makes no folders (/proc).
    for (const folder of [dirname(cache), cache]) if (!existsSync(folder)) mkdirSync(folder);
  } catch {
    return { MALLOC_ARENA_MAX: '1', ...process.env };
  }
  return { NODE_COMPILE_CACHE: cache, MALLOC_ARENA_MAX: '1', ...process.env };
}

/** Replaces the process by one that runs the same command with these settings, unless it has them already. */
export function restartForImport(): void {
  const { execPath, execArgv, argv, execve } = process;
  // Windows has no execve; without the restart an import takes more memory.
  if (!execve || FOR_IMPORT.every((flag) => execArgv.includes(flag))) return;
  execve(execPath, [execPath, ...execArgv, ...FOR_IMPORT, ...argv.slice(1)], environmentForImport());
}
