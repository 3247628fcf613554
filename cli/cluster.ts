/** `trunkline cluster`: the PostgreSQL tier on this machine. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { type ClusterOptions, startCluster } from '#engines/cluster/cluster.ts';
import { destroyCluster, stopCluster } from '#engines/cluster/ending.ts';
import { renderForContainers, rewriteConfiguration } from '#engines/cluster/folders.ts';
import { keepingLines } from '#engines/cluster/keeping.ts';
import type { Bouncer, Layout } from '#engines/cluster/layout.ts';
import { CLIENTS_DEFAULT, HAPROXIES_DEFAULT } from '#engines/cluster/limits.ts';
import { handOver, letIn, proxyOf, sessionsOf, setEverywhere } from '#engines/cluster/maintenance.ts';
import { reloadTier } from '#engines/cluster/reload.ts';
import { readState } from '#engines/cluster/state.ts';
import { type TierStatus, tierStatus } from '#engines/cluster/status.ts';
import {
  databaseEnvironmentFile,
  findTier,
  lookForTier,
  type Tier,
  tierFolder,
} from '#engines/cluster/tier.ts';
import { warnOfFormerData } from '#engines/former_data.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { onEndingSignal } from '#platform/terminal/ending_signals.ts';
import { asCount } from '#platform/terminal/option_values.ts';
import { draw, note, print, printJson, table } from '#platform/terminal/print.ts';

/** `trunkline up --cluster` uses the same folder. */
export const CLUSTER_DATA_DEFAULT = tierFolder({ DATA_DIR: process.env.DATA_DIR || 'data' });
const DETACHED_START_LIMIT_MS = 180_000;
const DETACHED_POLL_MS = 200;
const WATCH_MS = 2_000;
const LOG_TAIL_LINES = 8;
/** Exit status of `status` where no fault is known and some parts did not answer in time. */
const EXIT_NOT_KNOWN = 2;
const CLEAR_SCREEN = '\u001b[H\u001b[2J';

interface UpOptions {
  readonly data: string;
  readonly portBase?: number;
  readonly haproxies: number;
  readonly clients: number;
  readonly synchronous?: boolean;
  readonly with?: 'rabbitmq';
  readonly detach?: boolean;
}

/** The command and its subcommands. */
export function clusterCommand(): Command {
  const cluster = new Command('cluster').description(
    'the PostgreSQL tier on this machine: HAProxy, PgBouncer, PostgreSQL with replicas under Patroni, etcd',
  );
  const withData = (command: Command) =>
    command.option(
      '--data <folder>',
      'folder of the tier; by default cluster in DATA_DIR',
      CLUSTER_DATA_DEFAULT,
    );

  withData(cluster.command('up'))
    .description('start a new tier, or the one in the folder')
    .option('--detach', 'leave it running and return; otherwise Ctrl-C stops it')
    .option('--port-base <port>', 'take the ports from here on instead of 5432, 5433, 6432 …', asPort)
    .option(
      '--haproxies <n>',
      'HAProxy processes that share the ports of the clients',
      asCount,
      HAPROXIES_DEFAULT,
    )
    .option(
      '--clients <n>',
      'clients to hold; refused where the limits are too low',
      asCount,
      CLIENTS_DEFAULT,
    )
    .addOption(new Option('--with <engine>', 'three nodes of RabbitMQ as well').choices(['rabbitmq']))
    .option('--synchronous', 'acknowledge a commit once a replica has it as well')
    .option('--no-synchronous', 'acknowledge a commit once the primary has it')
    .addHelpText(
      'after',
      `
Examples:
  $ trunkline cluster up                      start here, show what happens, stop with Ctrl-C
  $ trunkline cluster up --detach             start, and leave it running
  $ trunkline cluster up --port-base 21000    beside a PostgreSQL that has port 5432
  $ trunkline cluster up --with rabbitmq      messages of the services go through RabbitMQ
  $ trunkline up --cluster                    the services on it, in another terminal
  $ . data/cluster/database.env               DATABASE_URL and DATABASE_REPLICA_URL of the tier (and RABBITMQ_URL), for other programs

The ports, --haproxies, --clients and --with are not stored: give them at each start.`,
    )
    .action(async (options: UpOptions) => {
      if (options.data === CLUSTER_DATA_DEFAULT) await warnOfFormerData(dirname(options.data), note);
      await (options.detach ? upDetached(options) : up(options));
    });

  withData(cluster.command('status'))
    .description('each part, and whether the tier could lose one more (exit code 1 if not)')
    .option('--json', 'as JSON')
    .option('--watch', 'again every 2 s, until Ctrl-C')
    .addHelpText(
      'after',
      `
Examples:
  $ trunkline cluster status
  $ trunkline cluster status --json | jq .holdsNMinusOne

connections: clients of a HAProxy or a bouncer, sessions of a PostgreSQL. lag: WAL that a replica has not received yet.
A drained bouncer counts as lost: the tier could not lose one more beside it.
"no answer": the process runs, but did not answer two questions in time.
Exit status: 0 N-1 holds, 1 it does not, 2 parts did not answer in time, so it is not known.`,
    )
    .action(async (options: { data: string; json?: boolean; watch?: boolean }) => {
      await showStatus(options);
    });

  withData(cluster.command('reload'))
    .description('write the configuration files again and reload them, without failing a request')
    .addHelpText(
      'after',
      '\nExample:\n  $ trunkline cluster reload      after a change in infrastructure/\n\nSettings that PostgreSQL reads only at its start need a restart: trunkline cluster down, up.',
    )
    .action(async ({ data }: { data: string }) => {
      const tier = await findTier(data);
      await rewriteConfiguration(tier);
      await reloadTier(tier, print);
    });

  withData(cluster.command('switchover'))
    .description("hand the primary's role to a replica; clients wait meanwhile, none fails")
    .argument('[node]', 'the replica; by default any healthy one')
    .addHelpText('after', '\nExample:\n  $ trunkline cluster switchover node2')
    .action(async (node: string | undefined, { data }: { data: string }) => {
      const tier = await findTier(data);
      // An interrupted hand-over would leave the clients held at the bouncers.
      onEndingSignal(() => note('the hand-over ends first, since clients wait for it'));
      await handOver(tier, node, print);
    });

  for (const [name, work, what] of [
    [
      'drain',
      drain,
      'send no new clients to a bouncer; its present clients stay until they renew their connections',
    ],
    ['undrain', letIn, 'send clients to a drained bouncer again'],
  ] as const) {
    withData(cluster.command(name))
      .description(what)
      .argument('<bouncer>', 'pgb1, pgb2, pgb3, pgr1 or pgr2')
      .addHelpText('after', `\nExample:\n  $ trunkline cluster ${name} pgb2`)
      .action(async (wanted: string, { data }: { data: string }) => {
        const tier = await findTier(data);
        const bouncer = tier.layout.bouncers.find((candidate) => candidate.name === wanted);
        if (!bouncer) throw new Error(`no bouncer is called "${wanted}"`);
        await work(tier, bouncer);
        print(`${wanted}: ${await sessionsOf(tier.layout, proxyOf(bouncer), wanted)} clients now`);
      });
  }

  withData(cluster.command('down'))
    .description('stop the tier; its data stays')
    .addHelpText('after', '\nExample:\n  $ trunkline cluster down')
    .action(async ({ data }: { data: string }) => {
      print((await stopCluster(data)) ? 'stopped' : `nothing runs in ${resolve(data)}`);
    });

  withData(cluster.command('destroy'))
    .description('stop the tier and delete its folder, with all data')
    .requiredOption('--yes', 'yes, delete the data')
    .addHelpText('after', '\nExample:\n  $ trunkline cluster destroy --yes')
    .action(async ({ data }: { data: string }) => {
      const others = await destroyCluster(data);
      if (!others) throw new Error(`no tier was ever made in ${resolve(data)}; nothing was deleted`);
      print(
        others.length === 0
          ? `${resolve(data)} is gone`
          : `the tier is gone; other things in ${resolve(data)} stay: ${others.join(', ')}`,
      );
    });

  cluster
    .command('render')
    .description("write the tier's configuration files for containers, with secrets made once (compose.yaml)")
    .requiredOption('--out <folder>', 'folder for the files and the secrets')
    .option('--synchronous', 'acknowledge a commit once a replica has it as well')
    .addHelpText('after', '\nExample:\n  $ trunkline cluster render --out /etc/trunkline')
    .action(async ({ out, synchronous }: { out: string; synchronous?: boolean }) => {
      const files = await renderForContainers(out, synchronous ?? false);
      print(files.join('\n'));
    });

  return cluster;
}

const drain = ({ layout }: Tier, bouncer: Bouncer): Promise<void> =>
  setEverywhere(layout, proxyOf(bouncer), bouncer.name, 'drain');

function asPort(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new InvalidArgumentError('It must be a port, such as 21000.');
  }
  return port;
}

/** Supervises in the foreground until a signal. */
async function up(options: UpOptions): Promise<void> {
  const ending = new AbortController();
  const ended = new Promise<void>((resolved) => {
    onEndingSignal(() => {
      ending.abort(new Error('the start was interrupted'));
      resolved();
    });
  });
  const startedAt = systemClock.monotonic();
  const seconds = () => ((systemClock.monotonic() - startedAt) / 1_000).toFixed(1).padStart(6);
  const clusterOptions: ClusterOptions = {
    ...options,
    rabbitmq: options.with === 'rabbitmq',
    signal: ending.signal,
    report: (event) => print(`${seconds()} s  ${event.part.padEnd(9)} ${event.what}, ${event.detail}`),
  };
  const cluster = await startCluster(clusterOptions);
  print(`${seconds()} s  the tier is up`);
  print(addresses(cluster.layout));
  await ended;
  print(`${seconds()} s  stopping`);
  await cluster.stop();
}

const where = (address: { host: string; port: number }) => `${address.host}:${address.port}`;

/** The addresses of the tier for clients, and of its statistics for people. */
function addresses({ writes, reads, haproxies, brokers, folders }: Layout): string {
  const pages = haproxies.map((haproxy) => `http://${haproxy.host}:${haproxy.statsPort}/stats`);
  return [
    `write to ${where(writes)}, read from ${where(reads)}; with password: ${databaseEnvironmentFile(folders.data)}`,
    ...(brokers.length > 0 ? [`RabbitMQ: ${brokers.map(where).join(', ')}`] : []),
    `statistics: ${pages.join(' ')}`,
  ].join('\n');
}

/** Starts a detached supervisor, and waits until the tier serves. */
async function upDetached(options: UpOptions): Promise<void> {
  const data = resolve(options.data);
  if (await lookForTier(data)) throw new Error(`a tier runs in ${data} already`);
  const logs = join(data, 'log');
  mkdirSync(logs, { recursive: true });
  const log = join(logs, 'supervisor.log');
  // Opened for appending: of two supervisors that start at once, neither overwrites the other's lines.
  const output = openSync(log, 'a', 0o640);
  const saidBefore = fstatSync(output).size;
  const args = process.argv.slice(1).filter((argument) => argument !== '--detach');
  const child = spawn(process.execPath, [...process.execArgv, ...args], {
    detached: true,
    stdio: ['ignore', output, output],
  });
  closeSync(output);
  let exit: number | null | undefined;
  child.once('exit', (code) => {
    exit = code;
  });
  let givenUp = false;
  onEndingSignal(() => {
    givenUp = true;
  });
  const deadline = systemClock.monotonic() + DETACHED_START_LIMIT_MS;
  while (exit === undefined && !givenUp && systemClock.monotonic() < deadline) {
    const state = await readState(data);
    if (state?.ready && state.supervisor.pid === child.pid) {
      child.unref();
      print(`the tier is up, supervised by process ${child.pid}; its log: ${log}`);
      print(addresses((await findTier(data)).layout));
      return;
    }
    await systemClock.sleep(DETACHED_POLL_MS);
  }
  child.kill('SIGTERM');
  if (exit === undefined) await once(child, 'exit');
  const said = readFileSync(log)
    .subarray(saidBefore)
    .toString()
    .trim()
    .split('\n')
    .slice(-LOG_TAIL_LINES)
    .join('\n');
  throw new Error(`the tier did not come up:\n${said}`);
}

async function showStatus(options: { data: string; json?: boolean; watch?: boolean }): Promise<void> {
  for (;;) {
    const tier = await findTier(options.data);
    const status = await tierStatus(tier);
    if (options.watch && process.stdout.isTTY && !options.json) draw(CLEAR_SCREEN);
    if (options.json) printJson(status);
    else print(`${statusText(status)}\n${addresses(tier.layout)}`);
    if (!options.watch) {
      process.exitCode = status.holdsNMinusOne ? 0 : status.holdsNMinusOne === null ? EXIT_NOT_KNOWN : 1;
      return;
    }
    await systemClock.sleep(WATCH_MS);
  }
}

function statusText(status: TierStatus): string {
  const head = ['part', 'role', 'state', 'lag, bytes', 'connections', 'pid', 'restarts', ''];
  const rows = status.parts.map((part) => [
    part.name,
    part.role,
    part.state,
    part.lagBytes,
    part.connections,
    part.pid,
    part.restarts,
    part.detail,
  ]);
  const not = status.holdsNMinusOne === null ? 'whether N-1 holds is not known' : 'N-1 does not hold';
  const verdict = status.holdsNMinusOne
    ? 'N-1 holds: any one part may be lost now.'
    : [`${not}:`, ...status.because.map((text) => `  - ${text}`)].join('\n');
  return `${table(head, rows)}\n\n${keepingLines(status.keeping).join('\n')}\nreplication: ${status.synchronous ? 'synchronous' : 'asynchronous'}\n${verdict}`;
}
