/** `trunkline up`: everything in one process. */
import { Command } from 'commander';
import { withSession } from '#platform/database/pool.ts';
import { runningOf } from '#platform/service/definition.ts';
import { importDemo } from '#services/calls/demo.ts';
import { visibleAccounts } from '#services/calls/store/accounts.ts';
import { createFirstKey } from '#services/identity/keys.ts';
import { keyPlaces, type Parts, SERVICES, servicesIn } from '#system';
import { asCount } from './option_values.ts';
import { grouped, note, print } from './print.ts';
import { runSystem } from './run.ts';

interface UpOptions {
  readonly demo: boolean;
  readonly cluster?: true;
  readonly clusterPortBase?: number;
}

export function upCommand(version: string): Command {
  return new Command('up')
    .description('run everything in this process, on an embedded PostgreSQL unless DATABASE_URL is set')
    .option('--no-demo', 'leave an empty database empty, instead of importing a sample of calls')
    .option(
      '--cluster',
      'run on the PostgreSQL tier in DATA_DIR: the one that runs there (trunkline cluster up), or a new start of it',
    )
    .option('--cluster-port-base <port>', '--cluster, and the tier takes the ports from here on', asCount)
    .addHelpText(
      'after',
      '\nExamples:\n  CALLS_PORT=8006 trunkline up --no-demo\n  trunkline up --cluster --cluster-port-base 21000',
    )
    .action((options: UpOptions) =>
      runSystem(
        [...runningOf(SERVICES).map(({ name }) => name), 'backups'],
        async (parts) => {
          note(`Trunkline ${version}`);
          await welcome(parts, options.demo);
        },
        {
          cluster: options.cluster ?? options.clusterPortBase !== undefined,
          clusterPortBase: options.clusterPortBase,
        },
      ),
    );
}

async function welcome(parts: Partial<Parts>, demo: boolean): Promise<void> {
  const services = servicesIn(parts);
  const calls = services.find(({ name }) => name === 'calls')!.running;
  const [pool, { url }] = [calls.pool!, calls];
  note(`database  ${parts.postgres!.what}`);
  if (demo) {
    const stored = await importDemo(pool, Date.now());
    if (stored > 0) note(`sample    ${grouped(stored)} invented calls imported (--no-demo leaves them out)`);
  }
  for (const { name, running } of services) note(`${name.padEnd(9)} ${running.url}   ${running.url}/docs`);
  if (parts.backups?.times) note(`back-ups  ${parts.backups.times}`);
  note('status    trunkline status   what the monitor sees');
  note('dashboard TRUNKLINE_KEY=… trunkline top   with an operator key');
  const key = await createFirstKey(keyPlaces(pool));
  if (key) {
    const [first] = await withSession(pool, (session) => session.rows(visibleAccounts(null, 0, 1)));
    const what = first ? 'Ask for calls' : 'Ask for accounts, of which there are none yet';
    const path = first ? `/cdrs?i_account=${first.i_account}&limit=3` : '/accounts';
    const example = `curl -H 'Authorization: Bearer ${key}' '${url}${path}'`;
    print(`\nOperator key, shown this once:\n  ${key}\n\n${what}:\n  ${example}\n`);
  } else {
    print(
      `\nThe operator key was shown at the first start; another: trunkline keys create --scope operator --name NAME\n`,
    );
  }
  note('Ctrl-C stops it.');
}
