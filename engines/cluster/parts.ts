/** The processes of a local tier: how to start each and how to stop it. */
import { BROKER_PROGRAM, BROKER_STOP_LIMIT_MS, brokerEnvironment } from '#engines/broker_node.ts';
import { brokerPlugins, configurationPath } from './configuration.ts';
import { brokersHome, type Layout } from './layout.ts';
import type { Programs } from './programs.ts';

export type PartKind = 'etcd' | 'node' | 'bouncer' | 'haproxy' | 'broker';

export interface Part {
  readonly name: string;
  readonly kind: PartKind;
  readonly command: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly stopSignal: NodeJS.Signals;
  /** How long the part may take to stop before it is killed. */
  readonly stopLimitMs: number;
  /** PGDATA of a node: its PostgreSQL is no member of the part's process group. */
  readonly postgres?: string;
}

const QUICK_STOP_MS = 5_000;
/** Patroni stops PostgreSQL, which writes a checkpoint. */
const NODE_STOP_MS = 45_000;

/** All parts of a tier, in the order of their start; they stop in reverse. */
export function partsOf(layout: Layout, programs: Programs): Part[] {
  const file = (name: string) => configurationPath(layout, name);
  return [
    ...layout.etcds.map(
      ({ name }): Part => ({
        name,
        kind: 'etcd',
        command: programs.etcd,
        args: ['--config-file', file(`${name}.yml`)],
        environment: {},
        stopSignal: 'SIGTERM',
        stopLimitMs: QUICK_STOP_MS,
      }),
    ),
    ...layout.nodes.map(
      (node): Part => ({
        name: node.name,
        kind: 'node',
        command: programs.patroni,
        args: [file(`${node.name}.yml`)],
        environment: { PYTHONUNBUFFERED: '1' },
        stopSignal: 'SIGTERM',
        stopLimitMs: NODE_STOP_MS,
        postgres: node.folder,
      }),
    ),
    ...layout.bouncers.map(
      (bouncer): Part => ({
        name: bouncer.name,
        kind: 'bouncer',
        command: programs.pgbouncer,
        args: [file(`${bouncer.name}.ini`)],
        environment: {},
        stopSignal: 'SIGTERM',
        stopLimitMs: QUICK_STOP_MS,
      }),
    ),
    ...layout.haproxies.map(
      (haproxy): Part => ({
        name: haproxy.name,
        kind: 'haproxy',
        command: programs.haproxy,
        // Master and worker: SIGUSR2 to the master reloads the file without refusing a connection.
        args: ['-W', '-f', file(`${haproxy.name}.cfg`)],
        environment: {},
        stopSignal: 'SIGTERM',
        stopLimitMs: QUICK_STOP_MS,
      }),
    ),
    ...layout.brokers.map(
      (broker): Part => ({
        name: broker.name,
        kind: 'broker',
        command: BROKER_PROGRAM,
        args: [],
        environment: brokerEnvironment(broker, {
          home: brokersHome(layout.folders.data),
          configuration: file(`${broker.name}.conf`),
          plugins: brokerPlugins(layout),
        }),
        stopSignal: 'SIGTERM',
        stopLimitMs: BROKER_STOP_LIMIT_MS,
      }),
    ),
  ];
}
