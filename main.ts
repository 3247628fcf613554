/** Where `trunkline` starts. Its commands are in cli/. */
import { explainFailure } from '#cli/failure.ts';
import { createProgram } from '#cli/program.ts';
import { restartForImport } from '#cli/restart.ts';

// A reader that has gone, as after `| head`, must not end a program that others use: what is left to say goes nowhere.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

try {
  const command = process.argv[2];
  if (command === 'import') restartForImport();
  await (await createProgram(command)).parseAsync();
} catch (error) {
  process.stderr.write(`trunkline: ${explainFailure(error)}\n`);
  process.exitCode = 1;
}
