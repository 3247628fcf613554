/**
 * A node of RabbitMQ of the distribution's package: its place, its environment, its files.
 *
 * The package's own command is a wrapper that changes to the user rabbitmq; the program below /usr/lib keeps the user that
 * starts it. Erlang's nodes find each other by the daemon epmd, which outlives them: it gets a port of its own here, and
 * whoever stops the nodes ends it.
 */
import { join } from 'node:path';
import { run } from './processes.ts';

export const BROKER_PROGRAM = '/usr/lib/rabbitmq/bin/rabbitmq-server';
const CONTROL = '/usr/lib/rabbitmq/bin/rabbitmqctl';
/** Of AMQP 0-9-1; a node answers it before anybody logs in. */
export const AMQP_HEADER = Buffer.from('AMQP\0\0\x09\x01', 'latin1');
export const BROKER_STOP_LIMIT_MS = 20_000;
/** A node that is frozen is missed by the others after this time, ± a quarter; Erlang's own default is 60 s. */
const NET_TICK_S = 10;

/** The place of a node: its name, its address for clients, and where the other nodes find it. */
export interface BrokerNode {
  /** Of the part; Erlang's name of it ends with @localhost, which needs no look-up of a host. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly distributionPort: number;
  /** Of the daemon by which the nodes find each other. */
  readonly epmdPort: number;
  /** Of its data. */
  readonly folder: string;
}

/** Erlang's name of a node. */
export const erlangName = (name: string): string => `${name}@localhost`;

/** All nodes, in the form of RABBITMQ_URL. */
export const brokerUrl = (nodes: readonly BrokerNode[], password: string): string =>
  nodes.map(({ host, port }) => `amqp://trunkline:${password}@${host}:${port}`).join(',');

/** The secret by which nodes and `rabbitmqctl` know each other: in the home folder that they share, for its owner alone. */
export const brokerCookie = (home: string): string => join(home, '.erlang.cookie');

/** What fills in infrastructure/rabbitmq/rabbitmq.conf for a node of these nodes. */
export const brokerValues = (node: BrokerNode, nodes: readonly BrokerNode[], password: string) => ({
  BROKER_HOST: node.host,
  BROKER_PORT: node.port,
  BROKER_PASSWORD: password,
  BROKER_CLUSTER: (nodes.length === 1
    ? []
    : [
        // By default a node that was frozen, and missed, stays apart from the others. So it begins anew, and joins them.
        'cluster_partition_handling = pause_minority',
        'cluster_formation.peer_discovery_backend = classic_config',
        ...nodes.map(
          ({ name }, index) => `cluster_formation.classic_config.nodes.${index + 1} = ${erlangName(name)}`,
        ),
      ]
  ).join('\n'),
});

/**
 * The environment in which BROKER_PROGRAM is this node.
 * @param home shared by all nodes
 * @param configuration path of its filled in file, which ends with .conf
 * @param plugins path of the file of its plugins
 */
export function brokerEnvironment(
  { name, distributionPort, epmdPort, folder }: BrokerNode,
  { home, configuration, plugins }: { home: string; configuration: string; plugins: string },
): Record<string, string> {
  return {
    ...erlangEnvironment(home, epmdPort),
    RABBITMQ_NODENAME: erlangName(name),
    RABBITMQ_DIST_PORT: String(distributionPort),
    RABBITMQ_CONFIG_FILE: configuration.replace(/\.conf$/, ''),
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
    RABBITMQ_LOG_BASE: join(folder, 'log'),
    RABBITMQ_LOGS: '-',
    // Otherwise a shell runs between this process and the node, and a kill would end only the shell.
    RUNNING_UNDER_SYSTEMD: 'true',
    RABBITMQ_ENABLED_PLUGINS_FILE: plugins,
    // Idle schedulers of Erlang spin, and would use up the machine's processors.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: `-kernel inet_dist_use_interface {127,0,0,1} -kernel net_ticktime ${NET_TICK_S} +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none`,
  };
}

const erlangEnvironment = (home: string, epmdPort: number) => ({
  HOME: home,
  ERL_EPMD_PORT: String(epmdPort),
  ERL_EPMD_ADDRESS: '127.0.0.1',
});

/** The output of `rabbitmqctl`, run on a live node. @param name of the node's part */
export const brokerControl = async (
  home: string,
  epmdPort: number,
  name: string,
  words: readonly string[],
): Promise<string> => {
  const env = { ...process.env, ...erlangEnvironment(home, epmdPort) };
  return (await run(CONTROL, ['-n', erlangName(name), '-q', ...words], { env })).stdout;
};

/** Ends the daemon that the first node started; it outlives the nodes. */
export const endEpmd = (port: number): Promise<unknown> =>
  run('epmd', ['-port', String(port), '-kill']).catch(() => undefined);

/** No plugins, as the file that lists them says it. */
export const NO_PLUGINS = '[].\n';
