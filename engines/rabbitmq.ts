/** RabbitMQ of one node or of a cluster of three, as child processes on 127.0.0.1, for tests and benches. */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants, existsSync } from 'node:fs';
import { access, mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import {
  AMQP_HEADER,
  BROKER_PROGRAM,
  BROKER_STOP_LIMIT_MS,
  type BrokerNode,
  brokerControl,
  brokerCookie,
  brokerEnvironment,
  brokerUrl,
  brokerValues,
  endEpmd,
  NO_PLUGINS,
} from './broker_node.ts';
import { readTemplate } from './cluster/configuration.ts';
import { until } from './cluster/processes.ts';
import { fillIn } from './cluster/template.ts';

const PASSWORD = 'trunkline';
const START_LIMIT_MS = 90_000;

/** The reason to skip a test without RabbitMQ; false where RabbitMQ is installed. */
export const noRabbitmq: string | false = await access(BROKER_PROGRAM, constants.X_OK).then(
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
  /** Of its part; `rabbitmqctl` calls it erlangName. */
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
  const cookie = brokerCookie(folder);
  if (!existsSync(cookie)) await writeFile(cookie, 'trunkline', { mode: 0o400 });
  const places = Array.from({ length: nodes }, (_, index): BrokerNode => {
    const name = `rabbitmq${index + 1}`;
    return {
      ...{ name, host: '127.0.0.1', folder: join(folder, name) },
      ...{ port: portBase + 2 * index, distributionPort: portBase + 2 * index + 1 },
      epmdPort: portBase + 2 * nodes,
    };
  });
  const all = await Promise.all(places.map((place) => makeNode(folder, place, places)));
  const [{ epmdPort }] = places as [BrokerNode];
  const stop = async () => {
    await stopAll(all);
    await endEpmd(epmdPort);
  };
  try {
    await Promise.all(all.map((node) => node.start()));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url: brokerUrl(places, PASSWORD),
    nodes: all,
    control: ({ name }, ...words) => brokerControl(folder, epmdPort, name, words),
    stop,
  };
}

async function makeNode(
  home: string,
  place: BrokerNode,
  places: readonly BrokerNode[],
): Promise<RabbitmqNode> {
  const { name, port, folder: own } = place;
  await mkdir(own, { recursive: true });
  const configuration = join(own, 'rabbitmq.conf');
  const plugins = join(own, 'enabled_plugins');
  const template = readTemplate('rabbitmq/rabbitmq.conf');
  await writeFile(configuration, fillIn(template, brokerValues(place, places, PASSWORD)));
  await writeFile(plugins, NO_PLUGINS);
  const env = { ...process.env, ...brokerEnvironment(place, { home, configuration, plugins }) };
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
      child = spawn(BROKER_PROGRAM, [], { env, cwd: own, stdio: ['ignore', 'pipe', 'pipe'] });
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

/** Whether a node speaks AMQP: it answers the header of the protocol. */
function answers(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect({ port, host: '127.0.0.1', timeout: 1_000 });
    const end = (answer: boolean) => {
      socket.destroy();
      done(answer);
    };
    socket.on('connect', () => socket.write(AMQP_HEADER));
    socket.on('data', () => end(true));
    socket.on('error', () => end(false));
    socket.on('timeout', () => end(false));
    socket.on('close', () => done(false));
  });
}

async function stopAll(nodes: readonly RabbitmqNode[]): Promise<void> {
  for (const node of nodes) {
    node.signal('SIGCONT');
    node.signal('SIGTERM');
  }
  await until(() => nodes.every(({ pid }) => pid === undefined), BROKER_STOP_LIMIT_MS);
  await Promise.all(nodes.map((node) => node.kill()));
}
