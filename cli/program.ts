/**
 * All commands of `trunkline`: the program's own, and those of the services. Only the chosen command is loaded: all of
 * them together are 1,800 files and 100 MB of memory, mostly servers that the other commands do not use.
 */
import { Command } from 'commander';
import { version } from '#platform/lifecycle/version.ts';
import type { AnyService } from '#platform/service/definition.ts';
import { printsThroughHere } from '#platform/terminal/print.ts';

/** The program's own commands by name, in the order of the help. */
const COMMANDS: Readonly<Record<string, (version: string) => Promise<Command>>> = {
  up: async (version) => (await import('./up.ts')).upCommand(version),
  serve: async (version) => (await import('./serve.ts')).serveCommand(version),
  queues: async () => (await import('./queues.ts')).queuesCommand(),
  audit: async () => (await import('./audit.ts')).auditCommand(),
  migrate: async () => (await import('./migrate.ts')).migrateCommand(),
  backup: async (version) => (await import('./backup.ts')).backupCommand(version),
  restore: async () => (await import('./restore.ts')).restoreCommand(),
  doctor: async () => (await import('./doctor.ts')).doctorCommand(),
  cluster: async () => (await import('./cluster.ts')).clusterCommand(),
  drill: async () => (await import('./drill.ts')).drillCommand(),
};

/**
 * The command line, ready to parse.
 * @param asked the command that will be parsed; all commands are loaded when it is unknown, as for --help and typing errors
 */
export async function createProgram(asked = ''): Promise<Command> {
  const program = new Command('trunkline')
    .description('The customer side of a phone network: calls, spend, orders and alerts.')
    .version(version)
    .showHelpAfterError('(trunkline --help shows how)')
    .addHelpText(
      'after',
      `
Examples:
  trunkline up                                   run everything, on an embedded PostgreSQL
  trunkline import cdrs Master.csv               import the calls that a switch wrote
  trunkline keys create --scope customer --account acme --name "Acme's console"

Settings are environment variables: docs/CONFIGURATION.md`,
    );
  const isOwn = Object.hasOwn(COMMANDS, asked);
  const ofServices = isOwn ? [] : await serviceCommands();
  const found = ofServices.find(({ name }) => name === asked);
  if (!found) {
    const names = isOwn ? [asked] : Object.keys(COMMANDS);
    for (const name of names) program.addCommand(await COMMANDS[name]!(version));
  }
  for (const { group, make } of found ? [found] : ofServices)
    program.addCommand((await make()).helpGroup(group));
  return printsThroughHere(program);
}

/** The commands of the services, none of them loaded yet. */
async function serviceCommands() {
  const [{ SERVICES, commandParts, readConfig }, { withDatabase }] = await Promise.all([
    import('#system'),
    import('./database.ts'),
  ]);
  const on =
    (service: string): typeof withDatabase =>
    (work, use) =>
      withDatabase(work, { service, ...use });
  return (SERVICES as readonly AnyService[]).flatMap((service) => {
    const tools = {
      parts: () => commandParts(service, readConfig(process.env)),
      withDatabase: on(service.name),
    };
    const group = `Commands of ${service.name}:`;
    return Object.entries(service.commands ?? {}).map(([name, make]) => ({
      ...{ name, group },
      make: () => make(tools),
    }));
  });
}
