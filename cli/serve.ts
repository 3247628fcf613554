/** `trunkline serve`: some services in this process. */
import { Argument, Command } from 'commander';
import { runningOf } from '#platform/service/definition.ts';
import { note } from '#platform/terminal/print.ts';
import { SERVICES, servicesIn } from '#system';
import { runSystem } from './run.ts';

export function serveCommand(version: string): Command {
  return new Command('serve')
    .description('run some services in this process, with the modules that they need')
    .addArgument(
      new Argument('<module...>', 'services to run').choices(runningOf(SERVICES).map(({ name }) => name)),
    )
    .addHelpText('after', '\nExample:\n  DATABASE_URL=postgresql://… trunkline serve calls')
    .action(async (wanted: string[]) => {
      await runSystem(wanted, async (parts) => {
        for (const { name, running } of servicesIn(parts))
          note(`Trunkline ${version}: ${name} ready on ${running.url}`);
      });
    });
}
