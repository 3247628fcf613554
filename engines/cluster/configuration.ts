/** Makes the configuration file of every part from the templates in infrastructure/ and a layout. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brokerCookie, brokerValues, NO_PLUGINS } from '#engines/broker_node.ts';
import { type Bouncer, brokersHome, type Haproxy, type Layout, type Node } from './layout.ts';
import { scramSecret } from './scram.ts';
import type { Secrets } from './secrets.ts';
import { fillIn } from './template.ts';

/** The replica lag, in bytes of WAL, up to which a replica is read from. */
export const REPLICA_LAG_LIMIT = '16MB';
/** Clients of one bouncer; the reason is in infrastructure/pgbouncer/pgbouncer.ini. */
export const BOUNCER_CLIENTS = 6_200;

export interface ConfigurationOptions {
  readonly layout: Layout;
  readonly secrets: Secrets;
  readonly synchronous: boolean;
  /** Folder of PostgreSQL's programs. */
  readonly postgresPrograms: string;
  /** HAProxy's global maxconn, per process. */
  readonly haproxyMaxconn: number;
  /** Connections of a HAProxy process at which the clients' ports refuse new ones. */
  readonly haproxyClients: number;
}

export interface ConfigurationFile {
  readonly path: string;
  readonly text: string;
}

const TEMPLATES = fileURLToPath(new URL('../../infrastructure/', import.meta.url));

/** The text of a template, by its path in infrastructure/. */
export const readTemplate = (path: string): string => readFileSync(join(TEMPLATES, path), 'utf8');

/** Path of a part's file. */
export const configurationPath = (layout: Layout, name: string): string =>
  join(layout.folders.configuration, name);

/** Patroni's log always has the same name, so each node has a log folder of its own. */
export const patroniLogs = (layout: Layout, node: Node): string =>
  join(layout.folders.logs, `${node.name}-patroni`);

/** The file of RabbitMQ's plugins. */
export const brokerPlugins = (layout: Layout): string => configurationPath(layout, 'rabbitmq_plugins');

/** All configuration files of a tier. They hold secrets: write them with mode 600, for the engines' user alone. */
export function configurationFiles(options: ConfigurationOptions): ConfigurationFile[] {
  const { layout, secrets } = options;
  const file = (name: string, template: string, values: Record<string, string | number | boolean>) => ({
    path: configurationPath(layout, name),
    text: fillIn(readTemplate(template), values),
  });
  const scram = {
    APP_SCRAM: scramSecret('trunkline', secrets.app),
    BOUNCER_ADMIN_SCRAM: scramSecret('trunkline_admin', secrets.bouncerAdmin),
    BOUNCER_STATS_SCRAM: scramSecret('trunkline_stats', secrets.bouncerStats),
    CHECK_SCRAM: scramSecret('haproxy_check', secrets.check),
  };
  return [
    ...layout.haproxies.flatMap((h) => [
      file(`${h.name}.cfg`, 'haproxy/haproxy.cfg', haproxyValues(options, h)),
      { path: h.stateFile, text: serverStatesAtStart(layout) },
    ]),
    ...layout.bouncers.map((b) => file(`${b.name}.ini`, 'pgbouncer/pgbouncer.ini', bouncerValues(layout, b))),
    file('userlist.txt', 'pgbouncer/userlist.txt', scram),
    file('roles.sql', 'postgres/roles.sql', { APP_SCRAM: scram.APP_SCRAM }),
    ...layout.nodes.flatMap((node) => [
      file(`${node.name}.conf`, 'postgres/postgresql.conf', {
        NODE_NAME: node.name,
        POSTGRES_LOG_FOLDER: layout.folders.logs,
      }),
      file(`${node.name}.yml`, 'patroni/patroni.yml', nodeValues(options, node)),
    ]),
    ...layout.etcds.map((etcd) =>
      file(`${etcd.name}.yml`, 'patroni/etcd.yml', {
        ETCD_NAME: etcd.name,
        ETCD_HOST: etcd.host,
        ETCD_LISTEN: layout.kind === 'local' ? layout.internalListen : '0.0.0.0',
        ETCD_CLIENT_PORT: etcd.port,
        ETCD_PEER_PORT: etcd.peerPort,
        ETCD_DATA: etcd.folder,
        ETCD_MEMBERS: layout.etcds
          .map((member) => `${member.name}=http://${member.host}:${member.peerPort}`)
          .join(','),
      }),
    ),
    ...layout.brokers.map((broker) =>
      file(
        `${broker.name}.conf`,
        'rabbitmq/rabbitmq.conf',
        brokerValues(broker, layout.brokers, secrets.broker),
      ),
    ),
    ...(layout.brokers.length === 0
      ? []
      : [
          { path: brokerPlugins(layout), text: NO_PLUGINS },
          { path: brokerCookie(brokersHome(layout.folders.data)), text: secrets.brokerCookie },
        ]),
  ];
}

/**
 * The server states with which a worker of HAProxy starts: no node is the primary.
 * https://www.haproxy.com/documentation/haproxy-configuration-manual/2-6r1/management/, "show servers state"
 */
export function serverStatesAtStart(layout: Layout): string {
  const values: Record<string, string | number> = {};
  for (const { name, host, port, restPort } of layout.nodes) {
    values[`${name.toUpperCase()}_HOST`] = host;
    values[`${name.toUpperCase()}_PORT`] = port;
    values[`${name.toUpperCase()}_REST_PORT`] = restPort;
  }
  return fillIn(readTemplate('haproxy/servers.state'), values);
}

function haproxyValues(options: ConfigurationOptions, haproxy: Haproxy) {
  const { layout } = options;
  const values: Record<string, string | number> = {
    LISTEN: layout.listen,
    INTERNAL_LISTEN: layout.internalListen,
    WRITE_PORT: layout.writes.port,
    READ_PORT: layout.reads.port,
    LEADER_PORT: layout.leader.port,
    REPLICAS_PORT: layout.replicas.port,
    HAPROXY_NAME: haproxy.name,
    HAPROXY_SOCKET: haproxy.socket,
    HAPROXY_STATE_FILE: haproxy.stateFile,
    HAPROXY_MAXCONN: options.haproxyMaxconn,
    HAPROXY_CLIENTS: options.haproxyClients,
    STATS_PORT: haproxy.statsPort,
    REPLICA_LAG_LIMIT,
  };
  for (const b of layout.bouncers) values[`${b.name.toUpperCase()}_ADDRESS`] = `${b.host}:${b.port}`;
  for (const n of layout.nodes) {
    values[`${n.name.toUpperCase()}_ADDRESS`] = `${n.host}:${n.port}`;
    values[`${n.name.toUpperCase()}_REST_PORT`] = n.restPort;
  }
  return values;
}

function bouncerValues(layout: Layout, bouncer: Bouncer) {
  const upstream = layout[bouncer.upstream];
  return {
    UPSTREAM_HOST: upstream.host,
    UPSTREAM_PORT: upstream.port,
    BOUNCER_LISTEN: layout.internalListen,
    BOUNCER_PORT: bouncer.port,
    BOUNCER_CLIENTS,
    USERLIST: configurationPath(layout, 'userlist.txt'),
  };
}

function nodeValues(options: ConfigurationOptions, node: Node) {
  const { layout, secrets } = options;
  return {
    NODE_NAME: node.name,
    NODE_HOST: node.host,
    PATRONI_LOG_FOLDER: patroniLogs(layout, node),
    REST_LISTEN: layout.kind === 'local' ? layout.internalListen : '0.0.0.0',
    REST_PORT: node.restPort,
    REST_PASSWORD: secrets.rest,
    ETCD_HOSTS: layout.etcds.map(({ host, port }) => `"${host}:${port}"`).join(', '),
    SYNCHRONOUS_MODE: options.synchronous,
    PG_BIN: options.postgresPrograms,
    ROLES_SQL: configurationPath(layout, 'roles.sql'),
    POSTGRES_LISTEN: layout.internalListen,
    POSTGRES_PORT: node.port,
    POSTGRES_DATA: node.folder,
    POSTGRES_CONF: configurationPath(layout, `${node.name}.conf`),
    POSTGRES_SOCKETS: layout.folders.run,
    PGPASS: join(dirname(node.folder), 'pgpass'),
    SUPERUSER_PASSWORD: secrets.superuser,
    REPLICATION_PASSWORD: secrets.replication,
    REWIND_PASSWORD: secrets.rewind,
    PEERS: layout.peers,
  };
}
