/**
 * All commands of `trunkline`, a file each. Only the one that is asked for is loaded: all of them together are 1,800
 * files and 100 MB of memory, most of it servers that the others have no use for.
 */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';

/** By name, in the order of the help. */
const COMMANDS: Readonly<Record<string, (version: string) => Promise<Command>>> = {
  up: async (version) => (await import('./up.ts')).upCommand(version),
  serve: async (version) => (await import('./serve.ts')).serveCommand(version),
  import: async () => (await import('./import.ts')).importCommand(),
  accounts: async () => (await import('./accounts.ts')).accountsCommand(),
  keys: async () => (await import('./keys.ts')).keysCommand(),
  migrate: async () => (await import('./migrate.ts')).migrateCommand(),
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
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
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
  return program;
}
