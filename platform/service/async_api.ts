/** The messages of services as an AsyncAPI 3 document (https://www.asyncapi.com/docs/reference/specification/v3.0.0). */

import type { Server } from '#platform/http/server.ts';
import type { Topic } from '#platform/messaging/topic.ts';
import { type AnyService, tabledOf } from './definition.ts';

/** A topic is a channel; a service sends to those that it publishes, and receives from those that it consumes. */
export function asyncApiOf(services: readonly AnyService[], version: string): object {
  const tabled = tabledOf(services);
  const topics = new Map<string, Topic>();
  const operations: Record<string, object> = {};
  const channelOf = ({ name }: Topic) => ({ $ref: `#/channels/${name}` });
  for (const { name, publishes = [], consumes = [] } of tabled) {
    for (const topic of publishes) {
      topics.set(topic.name, topic);
      operations[`${name}.publishes.${topic.name}`] = { action: 'send', channel: channelOf(topic) };
    }
    for (const consumption of consumes)
      for (const topic of consumption.topics) {
        topics.set(topic.name, topic);
        operations[`${consumption.name}.consumes.${topic.name}`] = {
          action: 'receive',
          channel: channelOf(topic),
        };
      }
  }
  const sorted = [...topics.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const named = (entryOf: (topic: Topic) => object) =>
    Object.fromEntries(sorted.map((topic) => [topic.name, entryOf(topic)]));
  return {
    asyncapi: '3.0.0',
    info: {
      title: `Trunkline ${services.map(({ name }) => name).join(', ')}`,
      version,
      description:
        'Messages between services, each published in the transaction of the change that it tells of.',
    },
    defaultContentType: 'application/json',
    channels: named((topic) => ({
      address: topic.name,
      description: topic.purpose,
      messages: { [topic.name]: { $ref: `#/components/messages/${topic.name}` } },
    })),
    operations,
    components: {
      messages: named(({ name, kind, version: of, purpose, body }) => ({
        ...{ name, title: name, summary: purpose, tags: [{ name: kind }], payload: body },
        'x-version': of,
      })),
    },
  };
}

/** @param service whose own messages are described */
export function asyncApiRoute(server: Server, service: AnyService, version: string): void {
  const document = asyncApiOf([service], version);
  server.get('/asyncapi.json', { schema: { hide: true } }, async () => document);
}
