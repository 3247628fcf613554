/** The parts of a tier that a monitor watches: as values for a monitor that finds the tier itself, else as settings. */
import { join, resolve } from 'node:path';
import { brokerUrl } from '#engines/broker_node.ts';
import type { Layout } from './layout.ts';
import type { Secrets } from './secrets.ts';
import { tierAddresses } from './tier.ts';

interface Named {
  readonly name: string;
  readonly url: string;
}

export interface WatchedParts {
  readonly haproxies: readonly {
    readonly name: string;
    readonly pageUrl: string;
    readonly socket: string | undefined;
  }[];
  readonly doors: readonly { readonly name: 'writes' | 'reads'; readonly url: string }[];
  /** Consoles of the bouncers, by the door of their clients. */
  readonly bouncers: readonly (Named & { readonly door: 'writes' | 'reads' })[];
  readonly etcd: readonly Named[];
  /** The nodes of RabbitMQ. */
  readonly brokers: readonly Named[];
}

/** All parts of a tier that are asked over the network, and HAProxy's sockets where they are on this machine. */
export function watchedParts(layout: Layout, secrets: Secrets): WatchedParts {
  const { writeUrl, readUrl } = tierAddresses(layout, secrets);
  return {
    haproxies: layout.haproxies.map(({ name, host, statsPort, socket }) => ({
      name,
      pageUrl: `http://${host}:${statsPort}/stats`,
      socket: layout.kind === 'local' ? socket : undefined,
    })),
    doors: [
      { name: 'writes', url: writeUrl },
      { name: 'reads', url: readUrl },
    ],
    bouncers: layout.bouncers.map(({ name, host, port, upstream }) => ({
      name,
      door: upstream === 'leader' ? 'writes' : 'reads',
      url: `postgresql://trunkline_stats:${secrets.bouncerStats}@${host}:${port}/pgbouncer`,
    })),
    etcd: layout.etcds.map(({ name, host, port }) => ({ name, url: `http://${host}:${port}` })),
    brokers: layout.brokers.map((broker) => ({
      name: broker.name,
      url: brokerUrl([broker], secrets.broker),
    })),
  };
}

/** The same as the monitor's settings in the environment (services/monitor/settings.ts). */
export const monitorEnvironment = ({
  haproxies,
  doors,
  bouncers,
  etcd,
}: WatchedParts): Record<string, string> => ({
  MONITOR_HAPROXY: haproxies
    .map(({ name, pageUrl, socket }) => `${name}=${[pageUrl, socket].filter(Boolean).join('|')}`)
    .join(','),
  MONITOR_DOORS: doors.map(({ name, url }) => `${name}=${url}`).join(','),
  MONITOR_BOUNCERS: bouncers.map(({ door, name, url }) => `${door}:${name}=${url}`).join(','),
  MONITOR_ETCD: etcd.map(({ name, url }) => `${name}=${url}`).join(','),
});

/** The file of a tier in containers with those settings, for `. file` in a shell; it holds passwords. */
export const monitorEnvironmentFile = (folder: string): string => join(resolve(folder), 'monitor.env');

/** The text of that file. */
export const monitorEnvironmentText = (watched: WatchedParts): string =>
  Object.entries(monitorEnvironment(watched))
    .map(([name, value]) => `export ${name}='${value}'\n`)
    .join('');
