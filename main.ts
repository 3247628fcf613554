/** Where `trunkline` starts. Its commands are in cli/. */
import { explainFailure } from '#cli/failure.ts';
import { createProgram } from '#cli/program.ts';

try {
  await createProgram().parseAsync();
} catch (error) {
  process.stderr.write(`trunkline: ${explainFailure(error)}\n`);
  process.exitCode = 1;
}
