/**
 * All commands of `trunkline`, a file each. Only the one that is asked for is loaded: all of them together are 1,800
 * files and 100 MB of memory, most of it servers that the others have no use for.
 */
import { Command } from 'commander';
import { version } from '#platform/lifecycle/version.ts';
import type { AnyService } from '#platform/service/definition.ts';
import { note, print, printJson, printsThroughHere } from './print.ts';

/** By name, in the order of the help. */
const COMMANDS: Readonly<Record<string, (version: string) => Promise<Command>>> = {
  up: async (version) => (await import('./up.ts')).upCommand(version),
  serve: async (version) => (await import('./serve.ts')).serveCommand(version),
  import: async () => (await import('./import.ts')).importCommand(),
  imports: async () => (await import('./imports.ts')).importsCommand(),
  sources: async () => (await import('./sources.ts')).sourcesCommand(),
  accounts: async () => (await import('./accounts.ts')).accountsCommand(),
  keys: async () => (await import('./keys.ts')).keysCommand(),
  report: async () => (await import('./report.ts')).reportCommand(),
  erase: async () => (await import('./erase.ts')).eraseCommand(),
  audit: async () => (await import('./audit.ts')).auditCommand(),
  migrate: async () => (await import('./migrate.ts')).migrateCommand(),
  backup: async (version) => (await import('./backup.ts')).backupCommand(version),
  restore: async () => (await import('./restore.ts')).restoreCommand(),
  doctor: async () => (await import('./doctor.ts')).doctorCommand(),
  top: async () => (await import('./top.ts')).topCommand(),
  status: async () => (await import('./status.ts')).statusCommand(),
  alerts: async () => (await import('./alerts.ts')).alertsCommand(),
  cluster: async () => (await import('./cluster.ts')).clusterCommand(),
  drill: async () => (await import('./drill.ts')).drillCommand(),
};

/**
 * The command line, ready to parse.
 * @param asked the command that will be parsed; all are there when it is none, as for --help and for a typing error
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
  trunkline import cdrs Master.csv               take in what a switch wrote
  trunkline keys create --scope customer --account acme --name "Acme's console"

Settings are environment variables: docs/CONFIGURATION.md`,
    );
  const names = Object.hasOwn(COMMANDS, asked) ? [asked] : Object.keys(COMMANDS);
  for (const name of names) program.addCommand(await COMMANDS[name]!(version));
  if (!Object.hasOwn(COMMANDS, asked)) await addServiceCommands(program);
  return printsThroughHere(program);
}

/** The commands that services bring. */
async function addServiceCommands(program: Command): Promise<void> {
  const [{ SERVICES }, { withDatabase }] = await Promise.all([import('#system'), import('./database.ts')]);
  const all: readonly AnyService[] = SERVICES;
  for (const { commands = {} } of all) {
    for (const make of Object.values(commands))
      program.addCommand(await make({ withDatabase, print, printJson, note }));
  }
}
