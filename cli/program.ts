/** All commands of `trunkline`, a file each. */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { accountsCommand } from './accounts.ts';
import { alertsCommand } from './alerts.ts';
import { clusterCommand } from './cluster.ts';
import { doctorCommand } from './doctor.ts';
import { drillCommand } from './drill.ts';
import { importCommand } from './import.ts';
import { keysCommand } from './keys.ts';
import { migrateCommand } from './migrate.ts';
import { serveCommand } from './serve.ts';
import { statusCommand } from './status.ts';
import { topCommand } from './top.ts';
import { upCommand } from './up.ts';

/** The command line, ready to parse. */
export function createProgram(): Command {
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
  const commands = [
    upCommand(version),
    serveCommand(version),
    importCommand(),
    accountsCommand(),
    keysCommand(),
    migrateCommand(),
    doctorCommand(),
    topCommand(),
    statusCommand(),
    alertsCommand(),
    clusterCommand(),
    drillCommand(),
  ];
  for (const command of commands) program.addCommand(command);
  return program;
}
