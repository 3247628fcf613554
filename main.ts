/** Entry point of `trunkline`. The commands are in cli/. */

import { createProgram } from '#cli/program.ts';
import { restartForImport } from '#cli/restart.ts';
import { endedBy, endWithLauncher, statusOf } from '#platform/terminal/ending_signals.ts';
import { explainFailure } from '#platform/terminal/failure.ts';
import { guardOutput, isOutputError, note } from '#platform/terminal/print.ts';

guardOutput();

try {
  const command = process.argv[2];
  if (command === 'import') restartForImport();
  endWithLauncher();
  await (await createProgram(command)).parseAsync();
} catch (error) {
  if (!isOutputError(error)) {
    note(`trunkline: ${explainFailure(error)}`);
    const signal = endedBy();
    process.exitCode = signal ? statusOf(signal) : 1;
  }
}
