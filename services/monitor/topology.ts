/** The topology: every part of the system and the edges between them at the last poll, for a live diagram. */
import { type BackupReading, backupPart } from './backup_reader.ts';
import type { DiskReading } from './disk_reader.ts';
import { isServer, type StatsRow, stateOf } from './haproxy_csv.ts';
import type { HaproxyReading } from './haproxy_reader.ts';
import type { KeeperReading, LeaseReading } from './keepers.ts';
import { isPool, leaderOf } from './outages.ts';
import { REPLICAS_PROXY } from './rule_measures.ts';
import type { ServiceReading } from './service_reader.ts';
import { diskParts } from './topology_disks.ts';
import { keeperEdges, keeperParts } from './topology_keepers.ts';
import type { Edge, Part, PartState, Seen, Topology } from './topology_parts.ts';
import { queueParts, relayEdges, relayParts } from './topology_queues.ts';
import {
  cacheEdges,
  databaseParts,
  serviceEdges,
  serviceParts,
  sourceEdges,
  sourceParts,
  switchParts,
} from './topology_services.ts';

export interface TopologyInput {
  readonly haproxies: readonly HaproxyReading[];
  readonly services: readonly ServiceReading[];
  readonly disks: readonly DiskReading[];
  /** undefined: no folder of back-ups is set. */
  readonly backup?: BackupReading | undefined;
  /** Seconds until a disk is full, by the key of its labels `instance` and `mountpoint`. */
  readonly fullInS: ReadonlyMap<string, number>;
  readonly keepers: readonly KeeperReading[];
  /** undefined: there is none to watch. */
  readonly lease: LeaseReading | undefined;
  /** Steady milliseconds. */
  readonly now: number;
  readonly stamp: (steady: number) => string;
}

export interface TopologyTracker {
  update(input: TopologyInput): Topology;
}

/** Remembers the beginning of each part's state, and the counters of error rates. */
export function createTopology(): TopologyTracker {
  const since = new Map<string, { state: PartState; at: number }>();
  let counts = new Map<string, number>();
  let servers: readonly Seen[] = [];
  let lastAt = 0;

  return {
    update: ({ haproxies, services, disks, backup, fullInS, keepers, lease, now, stamp }) => {
      const answered = haproxies.some(({ rows }) => rows !== undefined);
      // Without an answer of HAProxy, servers are unknown, not removed.
      servers = answered
        ? serverParts(haproxies, now)
        : servers.map((part) => ({ ...part, state: 'UNKNOWN', connections: null, detail: '' }));
      const behind = haproxies.length > 0 ? servers : databaseParts(services);
      const seen = [
        ...sourceParts(services),
        ...switchParts(services),
        ...serviceParts(services),
        ...haproxyParts(haproxies),
        ...behind,
        ...keeperParts(keepers, lease),
        ...relayParts(services),
        ...queueParts(services),
        ...diskParts(disks, fullInS, nodesOf(behind, haproxies.length > 0 || disks.length === 0)),
        ...(backup ? [backupPart(backup)] : []),
      ];
      const parts: Part[] = seen.map(({ changedAt, ...part }) => {
        const known = since.get(part.id);
        const at = known?.state === part.state ? known.at : known ? now : (changedAt ?? now);
        since.set(part.id, { state: part.state, at });
        return { ...part, since: stamp(at) };
      });
      const counted = new Map<string, number>();
      const seconds = (now - lastAt) / 1_000;
      const perS = (key: string, total: number): number | null => {
        counted.set(key, total);
        const before = counts.get(key);
        return before === undefined || seconds <= 0 ? null : Math.max(0, total - before) / seconds;
      };
      const names = haproxies.map(({ source }) => source.name);
      const edges = [
        ...[...services, ...haproxies].map(({ source }): Edge => {
          const unknown = { rate_per_s: null, errors_per_s: null, connections: null };
          return { from: 'monitor', to: source.name, via: 'health', ...unknown };
        }),
        ...keeperEdges(keepers),
        ...cacheEdges(
          services,
          keepers.filter(({ kind }) => kind === 'redis').map(({ name }) => name),
          perS,
        ),
        ...relayEdges(
          services,
          keepers.filter(({ kind }) => kind === 'rabbitmq').map(({ name }) => name),
        ),
        ...sourceEdges(services, perS),
        ...serviceEdges(services, names, perS),
        ...haproxies.flatMap((reading) => haproxyEdges(reading, perS)),
      ];
      counts = counted;
      lastAt = now;
      const self: Part = {
        id: 'monitor',
        name: 'monitor',
        role: 'monitor',
        state: 'UP',
        since: stamp(since.get('monitor')?.at ?? now),
        connections: null,
        detail: '',
      };
      if (!since.has('monitor')) since.set('monitor', { state: 'UP', at: now });
      return { at: stamp(now), parts: [self, ...parts], edges };
    },
  };
}

/** Servers that have a disk. Without HAProxy they have the services' names for them, not those of the nodes. */
const nodesOf = (parts: readonly Seen[], areNodes: boolean): string[] =>
  areNodes ? [...new Set(parts.filter(({ role }) => role !== 'bouncer').map(({ name }) => name))] : [];

/** A node is one part over all its proxies; a bouncer is one part in each proxy. */
const partId = (row: StatsRow): string => (isPool(row) ? `${row.proxy}/${row.server}` : row.server);

function haproxyEdges(
  { source, rows = [] }: HaproxyReading,
  perS: (key: string, total: number) => number | null,
): Edge[] {
  return rows.filter(isServer).map((row) => ({
    from: source.name,
    to: partId(row),
    via: row.proxy,
    rate_per_s: row.sessionRate,
    errors_per_s: perS(`${source.name}>${row.proxy}/${row.server}`, row.errors),
    connections: row.sessions,
  }));
}

function haproxyParts(haproxies: readonly HaproxyReading[]): Seen[] {
  return haproxies.map(({ source, rows, fault }) => ({
    id: source.name,
    name: source.name,
    role: 'haproxy',
    state: rows ? 'UP' : 'DOWN',
    connections: rows
      ? rows.filter((row) => row.server === 'FRONTEND').reduce((sum, row) => sum + row.sessions, 0)
      : null,
    detail: fault,
  }));
}

/** Servers by all HAProxies together: a bouncer is DOWN if one process says so, a node is UP if it serves in any proxy. */
function serverParts(haproxies: readonly HaproxyReading[], now: number): Seen[] {
  const views = haproxies.flatMap(({ source, rows }) => (rows ? [{ haproxy: source.name, rows }] : []));
  const leader = leaderOf(views);
  const rows = views.flatMap((view) => view.rows.filter(isServer));
  return [...Map.groupBy(rows, partId)].map(([id, group]) => {
    const first = group[0]!;
    const states = group.map(stateOf);
    const pool = isPool(first);
    const state: PartState = pool
      ? (states.find((one) => one !== undefined && one !== 'UP') ?? states[0] ?? 'UNKNOWN')
      : states.includes('UP')
        ? 'UP'
        : (states[0] ?? 'UNKNOWN');
    const told = group.find((row) => stateOf(row) === state) ?? first;
    return {
      id,
      name: first.server,
      role: pool ? 'bouncer' : roleOfNode(first.server, leader, group),
      state,
      connections: group.reduce((sum, row) => sum + row.sessions, 0),
      detail: state === 'UP' ? '' : told.checkWords,
      changedAt: now - told.lastChangeS * 1_000,
    };
  });
}

function roleOfNode(name: string, leader: string | undefined, rows: readonly StatsRow[]): Part['role'] {
  if (name === leader) return 'primary';
  return rows.some((row) => row.proxy === REPLICAS_PROXY && stateOf(row) === 'UP') ? 'replica' : 'postgres';
}
