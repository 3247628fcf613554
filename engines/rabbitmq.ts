/**
 * RabbitMQ of the distribution's package, one node or a cluster of three, as child processes on 127.0.0.1.
 *
 * The package's own command is a wrapper that changes to the user rabbitmq; the program below /usr/lib keeps the user that
 * starts it. Erlang's nodes find each other by the daemon epmd, which outlives them: it gets a port of its own here, and
 * ends with the last node.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants, existsSync } from 'node:fs';
import { access, mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { until } from './cluster/processes.ts';
import { run } from './processes.ts';

const SERVER = '/usr/lib/rabbitmq/bin/rabbitmq-server';
const CONTROL = '/usr/lib/rabbitmq/bin/rabbitmqctl';
const START_LIMIT_MS = 90_000;
const STOP_LIMIT_MS = 20_000;
/** A node that is frozen is missed by the others after this time, ± a quarter; Erlang's own default is 60 s. */
const NET_TICK_S = 10;

/** The reason to skip a test without RabbitMQ; false where RabbitMQ is installed. */
export const noRabbitmq: string | false = await access(SERVER, constants.X_OK).then(
  () => false as const,
  () => 'RabbitMQ is not installed (scripts/engines rabbitmq)',
);

export interface RabbitmqOptions {
  /** Folder of this engine alone; its content stays after a stop. */
  readonly folder: string;
  readonly nodes: 1 | 3;
  /** Two ports for each node from here on, and one more for epmd. */
  readonly portBase: number;
}

export interface RabbitmqNode {
  /** `r1@localhost` */
  readonly name: string;
  readonly port: number;
  /** The process of the Erlang machine. */
  readonly pid: number | undefined;
  start(): Promise<void>;
  signal(name: NodeJS.Signals): void;
  /** Kills the node with kill -9. */
  kill(): Promise<void>;
}

export interface RunningRabbitmq {
  /** Addresses of all nodes, in the form of RABBITMQ_URL. */
  readonly url: string;
  readonly nodes: readonly RabbitmqNode[];
  /** The output of `rabbitmqctl`, run on a live node. */
  control(node: RabbitmqNode, ...words: string[]): Promise<string>;
  stop(): Promise<void>;
}

/** @throws Error with a node's output, when it does not start */
export async function startRabbitmq({ folder, nodes, portBase }: RabbitmqOptions): Promise<RunningRabbitmq> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const cookie = join(folder, '.erlang.cookie');
  if (!existsSync(cookie)) await writeFile(cookie, 'trunkline', { mode: 0o400 });
  const epmdPort = portBase + 2 * nodes;
  const shared = {
    ...process.env,
    HOME: folder,
    ERL_EPMD_PORT: String(epmdPort),
    ERL_EPMD_ADDRESS: '127.0.0.1',
  };
  const names = Array.from({ length: nodes }, (_, index) => `r${index + 1}@localhost`);
  const all = await Promise.all(
    names.map((name, index) => makeNode({ folder, name, names, port: portBase + 2 * index, shared })),
  );
  try {
    await Promise.all(all.map((node) => node.start()));
  } catch (error) {
    await stopAll(all, shared);
    throw error;
  }
  return {
    url: all.map(({ port }) => `amqp://guest:guest@127.0.0.1:${port}`).join(','),
    nodes: all,
    control: async ({ name }, ...words) =>
      (await run(CONTROL, ['-n', name, '-q', ...words], { env: shared })).stdout,
    stop: () => stopAll(all, shared),
  };
}

interface NodeParts {
  readonly folder: string;
  readonly name: string;
  readonly names: readonly string[];
  readonly port: number;
  readonly shared: NodeJS.ProcessEnv;
}

async function makeNode({ folder, name, names, port, shared }: NodeParts): Promise<RabbitmqNode> {
  const own = join(folder, name);
  await mkdir(own, { recursive: true });
  await writeFile(join(own, 'rabbitmq.conf'), configuration(port, names));
  await writeFile(join(own, 'enabled_plugins'), '[].');
  const env = {
    ...shared,
    RABBITMQ_NODENAME: name,
    RABBITMQ_DIST_PORT: String(port + 1),
    RABBITMQ_CONFIG_FILE: join(own, 'rabbitmq'),
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_MNESIA_BASE: join(own, 'mnesia'),
    RABBITMQ_LOG_BASE: join(own, 'log'),
    RABBITMQ_LOGS: '-',
    // Otherwise a shell runs between this process and the node, and a kill would end only the shell.
    RUNNING_UNDER_SYSTEMD: 'true',
    RABBITMQ_ENABLED_PLUGINS_FILE: join(own, 'enabled_plugins'),
    // Idle schedulers of Erlang spin, and would use up the machine's processors.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: `-kernel inet_dist_use_interface {127,0,0,1} -kernel net_ticktime ${NET_TICK_S} +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none`,
  };
  let child: ChildProcess | undefined;
  let said = '';
  const lives = () => child !== undefined && child.exitCode === null && child.signalCode === null;
  return {
    name,
    port,
    get pid() {
      return lives() ? child!.pid : undefined;
    },
    start: async () => {
      child = spawn(SERVER, [], { env, cwd: own, stdio: ['ignore', 'pipe', 'pipe'] });
      for (const stream of [child.stdout!, child.stderr!])
        stream.on('data', (text) => {
          said = (said + String(text)).slice(-8_000);
        });
      const ready = await until(async () => !lives() || (await answers(port)), START_LIMIT_MS);
      if (!ready || !lives()) throw new Error(`RabbitMQ node ${name} does not start:\n${said}`);
    },
    signal: (signal) => {
      if (lives()) child!.kill(signal);
    },
    kill: async () => {
      if (!lives()) return;
      const gone = new Promise<void>((done) => child!.once('exit', () => done()));
      child!.kill('SIGKILL');
      await gone;
    },
  };
}

const configuration = (port: number, names: readonly string[]): string =>
  [
    `listeners.tcp.1 = 127.0.0.1:${port}`,
    'loopback_users.guest = true',
    // A relative limit would count the machine's memory, not a container's.
    'vm_memory_high_watermark.absolute = 512MB',
    'disk_free_limit.absolute = 200MB',
    'log.console = true',
    'log.file = false',
    ...(names.length === 1
      ? []
      : [
          'cluster_formation.peer_discovery_backend = classic_config',
          ...names.map((name, index) => `cluster_formation.classic_config.nodes.${index + 1} = ${name}`),
        ]),
    '',
  ].join('\n');

/** Whether a node speaks AMQP: it answers an unknown header with the header that it supports. */
function answers(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect({ port, host: '127.0.0.1', timeout: 1_000 });
    const end = (answer: boolean) => {
      socket.destroy();
      done(answer);
    };
    socket.on('connect', () => socket.write('AMQP\0\0\0\0'));
    socket.on('data', (bytes) => end(bytes.toString('latin1').startsWith('AMQP')));
    socket.on('error', () => end(false));
    socket.on('timeout', () => end(false));
    socket.on('close', () => done(false));
  });
}

async function stopAll(nodes: readonly RabbitmqNode[], shared: NodeJS.ProcessEnv): Promise<void> {
  for (const node of nodes) {
    node.signal('SIGCONT');
    node.signal('SIGTERM');
  }
  await until(() => nodes.every(({ pid }) => pid === undefined), STOP_LIMIT_MS);
  await Promise.all(nodes.map((node) => node.kill()));
  await run('epmd', ['-port', shared.ERL_EPMD_PORT!, '-kill'], { env: shared }).catch(() => undefined);
}
