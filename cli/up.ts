/** `trunkline up`: everything in one process. */
import { Command } from 'commander';
import { createFirstKey } from '#services/calls/api/keys.ts';
import { importDemo } from '#services/calls/demo.ts';
import { type Parts, SERVICES } from '#system';
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
        SERVICES,
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

async function welcome({ postgres, calls, monitor }: Partial<Parts>, demo: boolean): Promise<void> {
  const { pool, url } = calls!;
  note(`database  ${postgres!.what}`);
  if (demo) {
    const stored = await importDemo(pool, Date.now());
    if (stored > 0) note(`sample    ${grouped(stored)} invented calls imported (--no-demo leaves them out)`);
  }
  note(`api       ${url}   try it at ${url}/docs`);
  note(`monitor   ${monitor!.url}   trunkline status shows what it sees`);
  note('dashboard TRUNKLINE_KEY=… trunkline top   with an operator key');
  const key = await createFirstKey(pool);
  const example = (bearer: string) =>
    `curl -H 'Authorization: Bearer ${bearer}' '${url}/cdrs?i_account=1&limit=3'`;
  if (key) {
    print(`\nOperator key, shown this once:\n  ${key}\n\nAsk for calls:\n  ${example(key)}\n`);
  } else {
    print(
      `\nThe operator key was shown at the first start; another: trunkline keys create --scope operator --name NAME\n`,
    );
  }
  note('Ctrl-C stops it.');
}
