/** Runs modules until a signal asks to stop: the first stops them in order, the second ends the process at once. */

import { type AnyModule, type Running, startModules } from '#platform/lifecycle/modules.ts';
import { onEndingSignal, statusOf } from '#platform/terminal/ending_signals.ts';
import { note } from '#platform/terminal/print.ts';
import { type Parts, readConfig, type SystemOptions, systemModules } from '#system';

/**
 * @param ready called when all modules run; when it throws, the modules are stopped and the command fails
 */
export async function runSystem(
  wanted: readonly string[],
  ready: (parts: Partial<Parts>) => Promise<void>,
  options: SystemOptions = { cluster: false },
): Promise<void> {
  const stop = new AbortController();
  const stopRequested = new Promise<void>((resolve) => {
    onEndingSignal((signal, again) => {
      if (again) process.exit(statusOf(signal));
      note(`${signal}: stopping (a signal a second later or after that ends it at once)`);
      stop.abort(new Error(signal));
      resolve();
    });
  });
  const modules = systemModules(readConfig(process.env), wanted, options);
  const running = await start(modules, wanted, stop.signal);
  try {
    if (running) await ready(running.parts);
    await stopRequested;
  } finally {
    await running?.stop();
  }
  // Handles that a library still holds open must not keep a stopped program alive.
  process.exit(process.exitCode ?? 0);
}

/** @returns undefined where a signal came before all modules were up; the started modules are stopped then */
async function start(
  modules: AnyModule<Parts>[],
  wanted: readonly string[],
  interrupted: AbortSignal,
): Promise<Running<Parts> | undefined> {
  const report = (what: string, error: unknown) =>
    note(`stopping ${what}: ${error instanceof Error ? error.message : String(error)}`);
  try {
    return await startModules(modules, wanted, report, interrupted);
  } catch (error) {
    if (interrupted.aborted) return undefined;
    throw error;
  }
}
