/** Starting anew as the same process, with settings that are read before the program begins. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

/**
 * An import makes much garbage and keeps little:
 *
 *   --max-semi-space-size  V8 would grow the space of new objects to 130 MB, with no gain over this many (MB)
 *   --no-allocation-site-pretenuring  the first rows of a file live a while, until the compiler has done its work; V8
 *       takes that for the rule, makes all later ones where only a full collection finds them, and with that takes 3 µs
 *       of processor time and some hundred bytes more for each row
 *
 *   --heap-growing-percent  of what lives (45 MB), how much garbage may lie beside it before it is collected. On a large
 *       machine V8 would let it be three times as much, which saves 1 µs a row and takes 40 MB
 *
 * All are read when a process starts, and the program must not depend on how it is called. So the process replaces
 * itself, which takes it 40 ms: the same process id, input and output, before anything else was begun.
 */
const FOR_IMPORT = [
  '--max-semi-space-size=8',
  '--no-allocation-site-pretenuring',
  '--heap-growing-percent=100',
];

/**
 * Beside them, in the environment:
 *
 *   NODE_COMPILE_CACHE  modules compiled before need no stripping of types, whose compiler alone takes 28 MB. In a folder
 *       that nobody else can write to: what lies there is run. Only where there is a home for it: Node makes every
 *       folder that is missing, and below one that takes none (/proc) it tries for ever
 *   MALLOC_ARENA_MAX    the C library would keep freed memory apart for each thread: some 20 MB
 */
function environmentForImport(): NodeJS.ProcessEnv {
  const { XDG_CACHE_HOME } = process.env;
  const caches = XDG_CACHE_HOME || join(homedir(), '.cache');
  return {
    ...(existsSync(dirname(caches)) && { NODE_COMPILE_CACHE: join(caches, 'trunkline') }),
    MALLOC_ARENA_MAX: '1',
    ...process.env,
  };
}

/** Replaces the process by one that runs the same command with these, unless it has them already. */
export function restartForImport(): void {
  const { execPath, execArgv, argv, execve } = process;
  // There is none on Windows; without it an import takes more memory.
  if (!execve || FOR_IMPORT.every((flag) => execArgv.includes(flag))) return;
  execve(execPath, [execPath, ...execArgv, ...FOR_IMPORT, ...argv.slice(1)], environmentForImport());
}
