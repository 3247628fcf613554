/** The services in the topology: the services, their database servers, and the edges between them. */
import type { Sample } from './samples.ts';
import type { ServiceReading } from './service_reader.ts';
import type { Edge, PartState, Seen } from './topology_parts.ts';

/** Figures of a service that the topology needs, beside those of the rules. */
export const PICTURE_METRICS = [
  ...['database_healthy', 'database_work_seconds_count', 'request_queue_running'],
  ...['followed_source_state', 'followed_source_bytes_behind', 'followed_source_silence_seconds'],
  ...['followed_source_rows', 'files_wait_for_room'],
  ...['source_rows_per_minute', 'source_silence_seconds', 'source_silence_limit_seconds'],
  ...['source_set_aside_recent', 'source_refused_recent'],
  ...['cache_up', 'cache_requests_total'],
  ...['messages_waiting', 'messages_oldest_ready_seconds', 'messages_dead_letters', 'messages_queue_paused'],
  'messages_relay_stalled_seconds',
];

export function serviceParts(services: readonly ServiceReading[]): Seen[] {
  return services.map(({ source, up, ready, fault }) => ({
    id: source.name,
    name: source.name,
    role: 'service',
    state: !up ? 'DOWN' : ready ? 'UP' : 'NOT_READY',
    connections: null,
    detail: fault,
  }));
}

const SOURCE_STATES: Readonly<Record<string, PartState>> = {
  following: 'UP',
  failing: 'DOWN',
  waiting: 'NOT_READY',
  left: 'UNKNOWN',
};

/** Files and folders that services follow, each with its lag. */
export function sourceParts(services: readonly ServiceReading[]): Seen[] {
  return services.flatMap((service) =>
    sourcesOf(service).map(({ source, state }) => {
      const behind = figure(service, 'followed_source_bytes_behind', { source }) ?? 0;
      const silentS = figure(service, 'followed_source_silence_seconds', { source });
      const isFull = state === 'waiting' && figure(service, 'files_wait_for_room', {}) === 1;
      const how = isFull ? 'waiting for room on the disk of the primary' : state;
      const heard = silentS === null ? 'no row yet' : `last row ${Math.round(silentS)} s ago`;
      return {
        id: sourceId(service, source),
        name: source,
        role: 'source',
        state: SOURCE_STATES[state] ?? 'UNKNOWN',
        connections: null,
        detail: `${how}, ${behind} bytes behind, ${heard}`,
      };
    }),
  );
}

/** Switches that post, or whose files are imported. */
export function switchParts(services: readonly ServiceReading[]): Seen[] {
  return services.flatMap((service) =>
    service.samples
      .filter(({ name }) => name === 'source_rows_per_minute')
      .map(({ labels, value }): Seen => {
        const source = labels.source ?? '';
        const of = (metric: string) => figure(service, metric, { source });
        const [silentS, limitS] = [of('source_silence_seconds'), of('source_silence_limit_seconds')];
        const isSilent = silentS !== null && limitS !== null && silentS > limitS;
        const [aside, refused] = [of('source_set_aside_recent') ?? 0, of('source_refused_recent') ?? 0];
        const heard = silentS === null ? 'never heard' : `last row ${Math.round(silentS)} s ago`;
        const trouble = aside + refused > 0 ? `, ${aside} set aside and ${refused} refused lately` : '';
        return {
          id: sourceId(service, source),
          name: source,
          role: 'source',
          state: isSilent ? 'DOWN' : silentS === null ? 'UNKNOWN' : 'UP',
          connections: null,
          detail: `${value.toFixed(1)} rows a minute, ${heard}${trouble}`,
        };
      }),
  );
}

/** Edges of the rows from sources to services. */
export function sourceEdges(
  services: readonly ServiceReading[],
  perS: (key: string, total: number) => number | null,
): Edge[] {
  return services.flatMap((service) =>
    sourcesOf(service).map(({ source }) => ({
      from: sourceId(service, source),
      to: service.source.name,
      via: 'rows',
      rate_per_s: perS(
        `${sourceId(service, source)} rows`,
        figure(service, 'followed_source_rows', { source }) ?? 0,
      ),
      errors_per_s: null,
      connections: null,
    })),
  );
}

const sourceId = ({ source }: ServiceReading, path: string): string => `${source.name}:${path}`;

const sourcesOf = ({ samples }: ServiceReading): { source: string; state: string }[] =>
  samples
    .filter(({ name, value }) => name === 'followed_source_state' && value === 1)
    .map(({ labels }) => ({ source: labels.source ?? '', state: labels.state ?? '' }));

/** Database servers as services see them, for systems without HAProxy. */
export function databaseParts(services: readonly ServiceReading[]): Seen[] {
  return services.flatMap((service) =>
    serversOf(service).map(({ server, healthy }) => ({
      id: databaseId(service, server),
      name: server,
      role: server.startsWith('replica') ? 'replica' : 'primary',
      state: healthy ? 'UP' : 'DOWN',
      connections: figure(service, 'request_queue_running', { server }),
      detail: healthy ? '' : `the health check of ${service.source.name} fails`,
    })),
  );
}

/**
 * The edges from services to their databases, through the doors if there are any. If several HAProxy processes share one
 * port, it is unknown which one a service reaches, so figures are given only if there is one path.
 * @param haproxies their names; none: services reach their databases directly
 * @param perS turns a count into a rate, by a key that is the same at each poll
 */
export function serviceEdges(
  services: readonly ServiceReading[],
  haproxies: readonly string[],
  perS: (key: string, total: number) => number | null,
): Edge[] {
  return services.flatMap((service) =>
    serversOf(service).flatMap(({ server }) => {
      const from = service.source.name;
      const total = figure(service, 'database_work_seconds_count', { server }) ?? 0;
      const failed = figure(service, 'database_work_seconds_count', { server, outcome: 'failure' }) ?? 0;
      const figures = {
        rate_per_s: perS(`${from}>${server}`, total),
        errors_per_s: perS(`${from}>${server} failed`, failed),
        connections: figure(service, 'request_queue_running', { server }),
      };
      const unknown = { rate_per_s: null, errors_per_s: null, connections: null };
      if (haproxies.length === 0) return [{ from, to: databaseId(service, server), via: server, ...figures }];
      return haproxies.map((to) => ({
        from,
        to,
        via: server,
        ...(haproxies.length === 1 ? figures : unknown),
      }));
    }),
  );
}

/** The edges from services to Redis. @param redis the names of its parts; none: the monitor knows no Redis */
export function cacheEdges(
  services: readonly ServiceReading[],
  redis: readonly string[],
  perS: (key: string, total: number) => number | null,
): Edge[] {
  return services
    .filter((service) => figure(service, 'cache_up', { store: 'redis' }) !== null)
    .flatMap((service) =>
      redis.map((to) => {
        const from = service.source.name;
        const total = figure(service, 'cache_requests_total', {}) ?? 0;
        const failed = figure(service, 'cache_requests_total', { outcome: 'failed' }) ?? 0;
        return {
          ...{ from, to, via: 'cache', connections: null },
          rate_per_s: perS(`${from}>${to}`, total),
          errors_per_s: perS(`${from}>${to} failed`, failed),
        };
      }),
    );
}

const databaseId = ({ source }: ServiceReading, server: string): string => `${source.name}:${server}`;

const serversOf = ({ samples }: ServiceReading): { server: string; healthy: boolean }[] =>
  samples
    .filter(({ name }) => name === 'database_healthy')
    .map(({ labels, value }) => ({ server: labels.server ?? '', healthy: value === 1 }));

/** The sum over all series with these labels; null if there is none. */
function figure({ samples }: ServiceReading, name: string, where: Sample['labels']): number | null {
  const found = samples.filter(
    (one) =>
      one.name === name && Object.entries(where).every(([label, value]) => one.labels[label] === value),
  );
  return found.length === 0 ? null : found.reduce((sum, { value }) => sum + value, 0);
}
