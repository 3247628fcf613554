/** The import that benchmarks measure: the command itself. */
import type { AtEnd } from './ending.ts';
import { endChild, memoryKb, startProgram } from './program.ts';

const MEMORY_POLL_MS = 100;

export interface Imported {
  readonly perSecond: number;
  /** The most that the process had in memory, as the kernel says. */
  readonly memoryMb: number;
}

/** `trunkline import cdrs` of a file or folder, as its own process. @throws Error where it fails */
export async function runImport(file: string, env: NodeJS.ProcessEnv, atEnd: AtEnd): Promise<Imported> {
  const child = startProgram(['import', 'cdrs', file, '--create-accounts', '--country', 'DE', '--json'], env);
  atEnd(() => endChild(child));
  let out = '';
  let peakKb = 0;
  child.stdout!.on('data', (chunk) => (out += chunk));
  child.stderr!.pipe(process.stderr);
  const poll = setInterval(async () => {
    peakKb = Math.max(peakKb, (await memoryKb(child.pid!, 'VmHWM')) ?? 0);
  }, MEMORY_POLL_MS);
  const code = await new Promise((done) => child.on('close', done));
  clearInterval(poll);
  if (code !== 0) throw new Error(`the import ended with ${code}: ${out}`);
  return { perSecond: JSON.parse(out).per_second, memoryMb: Math.round(peakKb / 1024) };
}
