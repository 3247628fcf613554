/** `trunkline up`: everything in one process. */
import { Command } from 'commander';
import { createPool } from '#platform/database/pool.ts';
import { type AnyService, byDatabase, runningOf } from '#platform/service/definition.ts';
import { asCount } from '#platform/terminal/option_values.ts';
import { note, print } from '#platform/terminal/print.ts';
import { firstKey, type Parts, type PostgresPart, SERVICES, servicesIn } from '#system';
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
      'use the PostgreSQL tier in DATA_DIR; start it unless it runs (trunkline cluster up)',
    )
    .option('--cluster-port-base <port>', 'as --cluster; the tier takes the ports from here on', asCount)
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
  const steps = await firstStepsOf(services);
  note(`database  ${parts.postgres!.what}`);
  if (parts.cache?.isShared) note('cache     REDIS_URL');
  for (const { fill, pool } of demo ? steps : []) {
    const filled = await fill(pool, Date.now());
    if (filled !== undefined) note(`sample    ${filled} (--no-demo skips the sample)`);
  }
  for (const { name, running } of services) note(`${name.padEnd(9)} ${running.url}   ${running.url}/docs`);
  if (parts.backups?.times) note(`back-ups  ${parts.backups.times}`);
  note('status    trunkline status   the report of the monitor');
  note('dashboard TRUNKLINE_KEY=… trunkline top   with an operator key');
  const [first] = steps;
  const key = first && (await firstKeyOf(parts.postgres!));
  if (key) {
    const { what, path } = await first.example(first.pool);
    const example = `curl -H 'Authorization: Bearer ${key}' '${first.url}${path}'`;
    print(`\nOperator key, shown this once:\n  ${key}\n\n${what}:\n  ${example}\n`);
  } else {
    print(
      `\nThe operator key was shown at the first start; another: trunkline keys create --scope operator --name NAME\n`,
    );
  }
  note('Ctrl-C stops it.');
}

/** Of a program that has none. */
async function firstKeyOf({ of }: PostgresPart): Promise<string | undefined> {
  const databases = byDatabase(SERVICES, (service) => of(service).url).map(({ url, services }) => {
    const pool = createPool({ url, applicationName: 'trunkline-up', size: 1, onIdleError: () => undefined });
    return { names: services.map(({ name }) => name), pool };
  });
  try {
    return await firstKey((service) => databases.find(({ names }) => names.includes(service))!.pool);
  } finally {
    await Promise.all(databases.map(({ pool }) => pool.end()));
  }
}

/** The addresses of the running services, shown at the start. */
async function firstStepsOf(services: ReturnType<typeof servicesIn>) {
  const steps = [];
  for (const { name, running } of services) {
    const service: AnyService = SERVICES.find((one) => one.name === name)!;
    if (service.firstSteps)
      steps.push({ ...(await service.firstSteps()), pool: running.pool!, url: running.url });
  }
  return steps;
}
