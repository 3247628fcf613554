/** Runs modules until a signal asks to stop: the first stops them in order, the second ends the process at once. */
import { readConfig } from '#config';
import { type Running, startModules } from '#platform/lifecycle/modules.ts';
import { type Parts, systemModules } from '#system';
import { note } from './print.ts';

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;
/** What a shell reports for a process that a signal ended. */
const ENDED_AT_ONCE = 130;

/**
 * @param ready called when all run; when it throws, they are stopped and the command fails
 */
export async function runSystem(
  wanted: readonly string[],
  ready: (parts: Partial<Parts>) => Promise<void>,
): Promise<void> {
  const config = readConfig(process.env);
  const stopRequested = new Promise<void>((resolve) => {
    let signals = 0;
    for (const signal of SIGNALS) {
      process.on(signal, () => {
        signals++;
        if (signals > 1) process.exit(ENDED_AT_ONCE);
        note(`${signal}: stopping (once more ends it at once)`);
        resolve();
      });
    }
  });
  const running: Running<Parts> = await startModules(systemModules(config), wanted, (what, error) =>
    note(`stopping ${what}: ${error instanceof Error ? error.message : String(error)}`),
  );
  try {
    await ready(running.parts);
    await stopRequested;
  } finally {
    await running.stop();
  }
  // Whatever a library still holds open must not keep a stopped program alive.
  process.exit(process.exitCode ?? 0);
}
