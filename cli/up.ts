/** `trunkline up`: everything in one process. */
import { Command } from 'commander';
import { readConfig } from '#config';
import { importDemo } from '#services/calls/demo.ts';
import { createFirstKey } from '#services/calls/keys.ts';
import { type Parts, SERVICES } from '#system';
import { grouped, note, print } from './print.ts';
import { runSystem } from './run.ts';

export function upCommand(version: string): Command {
  return new Command('up')
    .description('run everything in this process, on an embedded PostgreSQL unless DATABASE_URL is set')
    .option('--no-demo', 'leave an empty database empty, instead of importing a sample of calls')
    .addHelpText('after', '\nExample:\n  CALLS_PORT=8006 trunkline up --no-demo')
    .action((options: { demo: boolean }) =>
      runSystem(SERVICES, async (parts) => {
        note(`Trunkline ${version}`);
        await welcome(parts, options.demo);
      }),
    );
}

async function welcome({ postgres, calls }: Partial<Parts>, demo: boolean): Promise<void> {
  const config = readConfig(process.env);
  const { pool, url } = calls!;
  note(postgres!.embedded ? `database  embedded PostgreSQL in ${config.DATA_DIR}` : 'database  DATABASE_URL');
  if (demo) {
    const stored = await importDemo(pool, Date.now());
    if (stored > 0) note(`sample    ${grouped(stored)} invented calls imported (--no-demo leaves them out)`);
  }
  note(`api       ${url}   try it at ${url}/docs`);
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
