/** `trunkline serve`: some services in this process. */
import { Argument, Command } from 'commander';
import { SERVICES } from '#system';
import { note } from './print.ts';
import { runSystem } from './run.ts';

export function serveCommand(version: string): Command {
  return new Command('serve')
    .description('run some services in this process, with what they need')
    .addArgument(new Argument('<module...>', 'services to run').choices(SERVICES))
    .addHelpText('after', '\nExample:\n  DATABASE_URL=postgresql://… trunkline serve calls')
    .action(async (wanted: string[]) => {
      await runSystem(wanted, async (parts) => {
        note(
          `Trunkline ${version}: ${wanted.join(', ')} ready${parts.calls ? ` on ${parts.calls.url}` : ''}`,
        );
      });
    });
}
