/** Who publishes and who consumes what, among all services of the program. */
import type { DatabasePlace } from '#platform/database/address.ts';
import { type AnyService, tabledOf } from './definition.ts';
import type { DatabaseParts } from './tools.ts';

/**
 * The service that publishes each topic, by the topic's name.
 * @throws Error naming all that does not fit together; nothing has started then
 */
export function publishersOf(services: readonly AnyService[]): ReadonlyMap<string, string> {
  const publishers = new Map<string, string>();
  const consumers = new Map<string, string>();
  const faults: string[] = [];
  const tabled = tabledOf(services);
  for (const { name, publishes = [] } of tabled)
    for (const { name: topic } of publishes) {
      const other = publishers.get(topic);
      if (other !== undefined) faults.push(`${name} publishes ${topic}, as ${other} does`);
      publishers.set(topic, name);
    }
  for (const { name, consumes = [] } of tabled)
    for (const consumption of consumes) {
      for (const { name: topic } of consumption.topics)
        if (!publishers.has(topic))
          faults.push(`${name} consumes ${topic}, which no service of this program publishes`);
      if (consumption.kind === 'broadcast') continue;
      const other = consumers.get(consumption.name);
      if (other !== undefined)
        faults.push(`${name} consumes by the name ${consumption.name}, as ${other} does`);
      consumers.set(consumption.name, name);
    }
  if (faults.length > 0)
    throw new Error(`Messages of services do not fit together:\n  ${faults.join('\n  ')}`);
  return publishers;
}

/** What a service is given for its messages. @param placeOf where a service's tables are; throws as publishersOf does */
export function messagesOf(
  services: readonly AnyService[],
  brokerUrl: string | undefined,
  placeOf: (service: string) => DatabasePlace,
): NonNullable<DatabaseParts['messages']> {
  const publishers = publishersOf(services);
  return { brokerUrl, urlOf: (topic) => placeOf(publishers.get(topic)!).url };
}
