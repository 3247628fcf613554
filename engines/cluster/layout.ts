/**
 * The places of all parts of the PostgreSQL tier: names, addresses, folders. A layout is plain data. The same templates
 * make the configuration of a tier on this machine and of a tier in containers from two different layouts.
 *
 *   part      one process (group) of the tier, by name: etcd, node1..3, pgb1..3, pgr1..2, haproxy1..n, rabbitmq1..3
 *   node      a PostgreSQL and the Patroni that starts it
 *   bouncer   a PgBouncer: pgb1..3 lead to the primary, pgr1..2 to the replicas
 *   leader    the port by which bouncers reach the primary, `replicas` the port by which they reach the replicas
 */
import { join, resolve } from 'node:path';
import type { BrokerNode } from '#engines/broker_node.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface Node extends Address {
  readonly name: string;
  /** Patroni's HTTP port. */
  readonly restPort: number;
  /** PGDATA. */
  readonly folder: string;
}

export interface Bouncer extends Address {
  readonly name: string;
  readonly upstream: 'leader' | 'replicas';
}

export interface Haproxy {
  readonly name: string;
  readonly host: string;
  readonly statsPort: number;
  /** UNIX socket of its admin commands. */
  readonly socket: string;
  /** The servers' states for a worker that starts; at a reload, those that the old worker knew. */
  readonly stateFile: string;
}

export interface Etcd extends Address {
  readonly name: string;
  readonly peerPort: number;
  readonly folder: string;
}

export interface Layout {
  readonly kind: 'local' | 'compose';
  readonly writes: Address;
  readonly reads: Address;
  readonly leader: Address;
  readonly replicas: Address;
  readonly haproxies: readonly Haproxy[];
  readonly bouncers: readonly Bouncer[];
  readonly nodes: readonly Node[];
  /** One etcd on a single machine, where its loss stops no write (failsafe_mode); else three. */
  readonly etcds: readonly Etcd[];
  /** The nodes of RabbitMQ; empty where the tier runs without it. */
  readonly brokers: readonly BrokerNode[];
  /** Address that the clients' ports listen on. */
  readonly listen: string;
  /** Address that all other parts listen on. */
  readonly internalListen: string;
  /** pg_hba address of all clients of PostgreSQL. */
  readonly peers: string;
  readonly folders: {
    /** Holds all files of the tier. */
    readonly data: string;
    readonly configuration: string;
    readonly logs: string;
    /** Sockets. */
    readonly run: string;
  };
}

/** Ports of a local tier without a block: the well-known ones. */
const WELL_KNOWN = {
  writes: 5432,
  reads: 5433,
  leader: 5434,
  replicas: 5435,
  nodes: 5441,
  bouncers: 6432,
  rest: 8008,
  statistics: 8404,
  etcd: 2379,
  etcdPeer: 2380,
  brokers: 5672,
  brokersDistribution: 25_672,
  epmd: 25_671,
};

/** The number of ports that a tier takes from its base on. */
export const PORT_BLOCK = 28;
export const HAPROXIES_MAX = 4;
/** PostgreSQL and HAProxy put sockets in here; the kernel allows 107 characters for a socket's path. */
const SOCKET_FOLDER_LIMIT = 80;

export interface LocalLayoutOptions {
  readonly data: string;
  /** The tier takes the PORT_BLOCK ports from here on; by default the well-known ones. */
  readonly portBase?: number | undefined;
  /** HAProxy processes that share the clients' ports, 1 to HAPROXIES_MAX. */
  readonly haproxies: number;
  /** With three nodes of RabbitMQ; without them by default. */
  readonly rabbitmq?: boolean | undefined;
}

/** A queue with a member on each of three nodes goes on when one of them is lost. */
const BROKERS = 3;

function portsFrom(base: number): typeof WELL_KNOWN {
  return {
    writes: base,
    reads: base + 1,
    leader: base + 2,
    replicas: base + 3,
    nodes: base + 4,
    rest: base + 7,
    statistics: base + 10,
    etcd: base + 10 + HAPROXIES_MAX,
    etcdPeer: base + 11 + HAPROXIES_MAX,
    bouncers: base + 12 + HAPROXIES_MAX,
    brokers: base + 12 + HAPROXIES_MAX + BOUNCERS.length,
    brokersDistribution: base + 12 + HAPROXIES_MAX + BOUNCERS.length + BROKERS,
    epmd: base + 12 + HAPROXIES_MAX + BOUNCERS.length + 2 * BROKERS,
  };
}

/** Each has a line in infrastructure/haproxy/haproxy.cfg as well. docs/RUNBOOK.md shows how to add one. */
const BOUNCERS: readonly Pick<Bouncer, 'name' | 'upstream'>[] = [
  { name: 'pgb1', upstream: 'leader' },
  { name: 'pgb2', upstream: 'leader' },
  { name: 'pgb3', upstream: 'leader' },
  { name: 'pgr1', upstream: 'replicas' },
  { name: 'pgr2', upstream: 'replicas' },
];

/**
 * A tier on this machine, with all parts on loopback.
 * @throws Error when the folder's path is too long for sockets, or the ports or processes are out of range
 */
export function localLayout(options: LocalLayoutOptions): Layout {
  const { portBase, haproxies, rabbitmq = false } = options;
  if (portBase !== undefined && (portBase < 1024 || portBase + PORT_BLOCK > 65_536)) {
    throw new Error(`the port base must be between 1024 and ${65_536 - PORT_BLOCK}, not ${portBase}`);
  }
  if (haproxies < 1 || haproxies > HAPROXIES_MAX) {
    throw new Error(`1 to ${HAPROXIES_MAX} HAProxy processes, not ${haproxies}`);
  }
  const data = resolve(options.data);
  const run = join(data, 'run');
  if (run.length > SOCKET_FOLDER_LIMIT) {
    throw new Error(`${data} is too long a path for the sockets in it: choose a shorter one (--data)`);
  }
  const ports = portBase === undefined ? WELL_KNOWN : portsFrom(portBase);
  const host = '127.0.0.1';
  return {
    kind: 'local',
    writes: { host, port: ports.writes },
    reads: { host, port: ports.reads },
    leader: { host, port: ports.leader },
    replicas: { host, port: ports.replicas },
    haproxies: Array.from({ length: haproxies }, (_, i) => ({
      name: `haproxy${i + 1}`,
      host,
      statsPort: ports.statistics + i,
      socket: join(run, `haproxy${i + 1}.sock`),
      stateFile: join(data, 'etc', `haproxy${i + 1}.state`),
    })),
    bouncers: BOUNCERS.map((bouncer, i) => ({ ...bouncer, host, port: ports.bouncers + i })),
    nodes: [1, 2, 3].map((n) => ({
      name: `node${n}`,
      host,
      port: ports.nodes + n - 1,
      restPort: ports.rest + n - 1,
      folder: join(data, `node${n}`, 'pgdata'),
    })),
    etcds: [{ name: 'etcd', host, port: ports.etcd, peerPort: ports.etcdPeer, folder: join(data, 'etcd') }],
    brokers: Array.from({ length: rabbitmq ? BROKERS : 0 }, (_, i) => ({
      name: `rabbitmq${i + 1}`,
      host,
      port: ports.brokers + i,
      distributionPort: ports.brokersDistribution + i,
      epmdPort: ports.epmd,
      folder: join(brokersHome(data), `rabbitmq${i + 1}`),
    })),
    listen: host,
    internalListen: host,
    peers: '127.0.0.1/32',
    folders: { data, configuration: join(data, 'etc'), logs: join(data, 'log'), run },
  };
}

/** The folder that the nodes of RabbitMQ share. */
export const brokersHome = (data: string): string => join(data, 'rabbitmq');

/** The tier of compose.yaml: one container for each part, found by name, each with the standard ports of its engine. */
export function composeLayout(): Layout {
  const everywhere = '*';
  const data = '/var/lib/trunkline';
  const run = '/run/trunkline';
  return {
    kind: 'compose',
    writes: { host: 'haproxy', port: 5432 },
    reads: { host: 'haproxy', port: 5433 },
    leader: { host: 'haproxy', port: 5434 },
    replicas: { host: 'haproxy', port: 5435 },
    // Both have the name `haproxy` as well: a client of that name tries the address of each.
    haproxies: [1, 2].map((n) => ({
      name: `haproxy${n}`,
      host: `haproxy${n}`,
      statsPort: 8404,
      socket: join(run, `haproxy${n}.sock`),
      stateFile: `/etc/trunkline/haproxy${n}.state`,
    })),
    bouncers: BOUNCERS.map((bouncer) => ({ ...bouncer, host: bouncer.name, port: 6432 })),
    nodes: [1, 2, 3].map((n) => ({
      name: `node${n}`,
      host: `node${n}`,
      port: 5432,
      restPort: 8008,
      folder: join(data, 'pgdata'),
    })),
    etcds: [1, 2, 3].map((n) => ({
      name: `etcd${n}`,
      host: `etcd${n}`,
      port: 2379,
      peerPort: 2380,
      folder: join(data, 'etcd'),
    })),
    brokers: [],
    listen: everywhere,
    internalListen: everywhere,
    peers: 'samenet',
    folders: { data, configuration: '/etc/trunkline', logs: '/var/log/trunkline', run },
  };
}

/** Every TCP port that a tier on this machine listens on, with the name of the part. */
export function portsOf(layout: Layout): { part: string; port: number }[] {
  return [
    { part: 'writes', port: layout.writes.port },
    { part: 'reads', port: layout.reads.port },
    { part: 'leader', port: layout.leader.port },
    { part: 'replicas', port: layout.replicas.port },
    ...layout.haproxies.map((h) => ({ part: h.name, port: h.statsPort })),
    ...layout.bouncers.map((b) => ({ part: b.name, port: b.port })),
    ...layout.nodes.flatMap((n) => [
      { part: n.name, port: n.port },
      { part: n.name, port: n.restPort },
    ]),
    ...layout.etcds.flatMap((etcd) => [
      { part: etcd.name, port: etcd.port },
      { part: etcd.name, port: etcd.peerPort },
    ]),
    ...layout.brokers.flatMap((broker) => [
      { part: broker.name, port: broker.port },
      { part: broker.name, port: broker.distributionPort },
    ]),
    ...layout.brokers.slice(0, 1).map(({ epmdPort: port }) => ({ part: 'epmd', port })),
  ];
}
