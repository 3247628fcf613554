/** Runs modules until a signal asks to stop: the first stops them in order, the second ends the process at once. */

import { createLifetime } from '#platform/lifecycle/lifetime.ts';
import { type AnyModule, type Running, startModules } from '#platform/lifecycle/modules.ts';
import { startTraces } from '#platform/service/traces.ts';
import { createLogger } from '#platform/telemetry/logger.ts';
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
  const config = readConfig(process.env);
  const modules = systemModules(config, wanted, options);
  // As logs are, traces are of the process, not of one module: they begin before all modules and end after them.
  const ofProcess = createLifetime(report);
  await startTraces(config, createLogger('traces', config.LOG_LEVEL), ofProcess);
  const running = await start(modules, wanted, stop.signal);
  try {
    if (running) await ready(running.parts);
    await stopRequested;
  } finally {
    await running?.stop();
    await ofProcess.stop();
  }
  // Handles that a library still holds open must not keep a stopped program alive.
  process.exit(process.exitCode ?? 0);
}

const report = (what: string, error: unknown) =>
  note(`stopping ${what}: ${error instanceof Error ? error.message : String(error)}`);

/** @returns undefined where a signal came before all modules were up; the started modules are stopped then */
async function start(
  modules: AnyModule<Parts>[],
  wanted: readonly string[],
  interrupted: AbortSignal,
): Promise<Running<Parts> | undefined> {
  try {
    return await startModules(modules, wanted, report, interrupted);
  } catch (error) {
    if (interrupted.aborted) return undefined;
    throw error;
  }
}
