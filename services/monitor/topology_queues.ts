/** Queues of messages, and the relays to RabbitMQ, in the topology: from the figures of the services on their database. */
import { RELAY_STALLED_S } from './queue_rules.ts';
import type { ServiceReading } from './service_reader.ts';
import type { Edge, Seen } from './topology_parts.ts';

/** Services on one database show the same queues: the first that answers speaks for all. */
export function queueParts(services: readonly ServiceReading[]): Seen[] {
  const seen = new Map<string, Seen>();
  for (const { samples } of services) {
    const figures = (metric: string, queue: string, state?: string) =>
      samples
        .filter(({ name, labels }) => name === metric && labels.queue === queue)
        .filter(({ labels }) => state === undefined || labels.state === state)
        .reduce((sum, { value }) => sum + value, 0);
    const names = samples.flatMap(({ name, labels }) =>
      name === 'messages_waiting' ? (labels.queue ?? []) : [],
    );
    for (const queue of new Set(names)) {
      if (seen.has(queue)) continue;
      const ready = figures('messages_waiting', queue, 'ready');
      const oldestS = figures('messages_oldest_ready_seconds', queue);
      seen.set(queue, {
        id: `queue:${queue}`,
        name: queue,
        role: 'queue',
        state: figures('messages_queue_paused', queue) > 0 ? 'MAINT' : 'UP',
        connections: null,
        detail: detailOf(ready, oldestS, figures('messages_dead_letters', queue)),
      });
    }
  }
  return [...seen.values()];
}

function detailOf(ready: number, oldestS: number, dead: number): string {
  const waits = ready > 0 ? `${ready} ready, the oldest for ${Math.round(oldestS)} s` : 'nothing is ready';
  return dead > 0 ? `${waits}; ${dead} dead letters` : waits;
}

/** The relays of services that send messages through RabbitMQ. */
export function relayParts(services: readonly ServiceReading[]): Seen[] {
  return services.flatMap(({ source, samples }) =>
    samples
      .filter(({ name }) => name === 'messages_relay_stalled_seconds')
      .map(
        ({ value }): Seen => ({
          id: `${source.name}:relay`,
          name: `relay of ${source.name}`,
          role: 'relay',
          state: value > RELAY_STALLED_S ? 'DOWN' : 'UP',
          connections: null,
          detail:
            value > RELAY_STALLED_S ? `messages wait; none reached RabbitMQ for ${Math.round(value)} s` : '',
        }),
      ),
  );
}

/** From a service with a relay to the relay, and from there to each node of RabbitMQ. */
export function relayEdges(services: readonly ServiceReading[], brokers: readonly string[]): Edge[] {
  const unknown = { rate_per_s: null, errors_per_s: null, connections: null };
  return relayParts(services).flatMap(({ id }) => [
    { from: id.replace(/:relay$/, ''), to: id, via: 'messages', ...unknown },
    ...brokers.map((to) => ({ from: id, to, via: 'messages', ...unknown })),
  ]);
}
