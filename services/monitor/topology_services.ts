/** The services' side of the picture: themselves, the database servers that they name, and what goes between. */
import type { Sample } from './samples.ts';
import type { ServiceReading } from './service_reader.ts';
import type { Edge, Seen } from './topology.ts';

/** Figures that the picture needs of a service, beside those of the rules. */
export const PICTURE_METRICS = ['database_healthy', 'database_work_seconds_count', 'request_queue_running'];

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

/** Database servers as services see them, for systems where no HAProxy tells of them. */
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
 * What services ask of their databases, through the door where there is one. Which of several HAProxy processes on one
 * port a service reaches is not known to anybody, so figures are given only where there is one way.
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

const databaseId = ({ source }: ServiceReading, server: string): string => `${source.name}:${server}`;

const serversOf = ({ samples }: ServiceReading): { server: string; healthy: boolean }[] =>
  samples
    .filter(({ name }) => name === 'database_healthy')
    .map(({ labels, value }) => ({ server: labels.server ?? '', healthy: value === 1 }));

/** The sum over all series with these labels; null when there is none. */
function figure({ samples }: ServiceReading, name: string, where: Sample['labels']): number | null {
  const found = samples.filter(
    (one) =>
      one.name === name && Object.entries(where).every(([label, value]) => one.labels[label] === value),
  );
  return found.length === 0 ? null : found.reduce((sum, { value }) => sum + value, 0);
}
