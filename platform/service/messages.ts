/**
 * The messages of a running service: what it publishes, and its consumers. Topics of a service on another server are taken from
 * there and copied to the service's own server (platform/messaging/copies.ts).
 */
import { addressOf } from '#platform/database/address.ts';
import { closePool, type Pool } from '#platform/database/pool.ts';
import type { ServiceDatabase } from '#platform/database/service_database.ts';
import { createMessagePool } from '#platform/database/shared_database.ts';
import type { Lifetime } from '#platform/lifecycle/lifetime.ts';
import type { ConsumerEvent } from '#platform/messaging/consumer.ts';
import type { Consumption, Handling } from '#platform/messaging/consumption.ts';
import { COPY_RETRY, copyingInto } from '#platform/messaging/copies.ts';
import type { QueueFigures } from '#platform/messaging/figures.ts';
import { createMessaging, type Messaging } from '#platform/messaging/messaging.ts';
import { announce, publish } from '#platform/messaging/publish.ts';
import type { Topic } from '#platform/messaging/topic.ts';
import { errorText } from '#platform/telemetry/error_text.ts';
import type { Logger } from '#platform/telemetry/logger.ts';
import type { AnyDatabaseService } from './definition.ts';
import type { DatabaseParts, DatabaseSettings, MessageTools, ServiceParts } from './tools.ts';

/** What a service may publish. */
export function messageTools(
  { name, publishes = [] }: AnyDatabaseService,
  figures: Pick<QueueFigures, 'onPublished'>,
): MessageTools {
  const declared = new Set(publishes.map((topic) => topic.name));
  const require = (topic: Topic) => {
    if (!declared.has(topic.name))
      throw new RangeError(`${name} does not publish ${topic.name}: its definition does not list it`);
  };
  return {
    publish: async (session, messages) => {
      for (const { topic } of messages) require(topic);
      const ids = await publish(session, messages);
      figures.onPublished(messages.map(({ topic }) => topic.name));
      return ids;
    },
    announce: async (session, topic, body) => {
      require(topic);
      await announce(session, topic, body);
    },
  };
}

/**
 * Starts a service's consumers. They end first of all when the service stops.
 * @returns once the service has subscribed on its own server
 * @throws Error where its definition and its handlers do not fit together
 */
export async function startMessages(
  definition: AnyDatabaseService,
  parts: Parts,
  { messagePool }: Pick<ServiceDatabase, 'messagePool'>,
  handlings: readonly Handling[],
  lifetime: Lifetime,
): Promise<void> {
  const { name, publishes = [], consumes = [] } = definition;
  requireHandlers(name, consumes, handlings);
  if (publishes.length + consumes.length === 0) return;
  const { databaseUrl, messages } = parts;
  const own = openServer(name, messagePool, parts);
  const servers = new Map([[addressOf(databaseUrl), own]]);
  const publishedAt = (topic: Topic): Server => {
    const url = messages?.urlOf(topic.name) ?? databaseUrl;
    const opened = servers.get(addressOf(url)) ?? openServer(name, poolElsewhere(name, url, parts), parts);
    servers.set(addressOf(url), opened);
    return opened;
  };
  for (const one of handlings) attach(one, own, publishedAt);

  const { stopping } = lifetime;
  const all = [...servers.values()];
  const running = Promise.all(all.map(({ messaging }) => messaging.run(stopping)));
  lifetime.onStop('consumers', async () => {
    await running;
    await Promise.all(all.flatMap((server) => (server === own ? [] : closePool(server.pool))));
  });
  await Promise.race([own.messaging.subscribed, running]);
  stopping.throwIfAborted();
}

/** A server with messages. */
interface Server {
  readonly pool: Pool;
  readonly messaging: Messaging;
}

type Parts = ServiceParts<DatabaseSettings> & DatabaseParts & { readonly figures: QueueFigures };

function openServer(service: string, pool: Pool, parts: Parts): Server {
  const { clock, random, logger, messages, figures } = parts;
  const onEvent = (queue: string, event: ConsumerEvent) => {
    logEvent(logger, queue, event);
    figures.onEvent(queue, event);
  };
  const brokerUrl = messages?.brokerUrl;
  const messaging = createMessaging({ service, pool, clock, random, onEvent, brokerUrl });
  figures.watch(messaging);
  return { pool, messaging };
}

const poolElsewhere = (service: string, primaryUrl: string, parts: Parts): Pool =>
  createMessagePool({ ...parts, ...parts.settings, primaryUrl, applicationName: `trunkline-${service}` });

function logEvent(logger: Logger, queue: string, event: ConsumerEvent): void {
  if (event.kind === 'queue_failed')
    logger.warn({ queue, doing: event.doing, reason: errorText(event.error) }, 'messages can not move on');
  else if (event.kind === 'fenced')
    logger.warn({ queue, messages: event.messages }, 'messages went to another process');
  else if (event.outcome === 'dead') logger.warn({ queue, cause: event.cause }, 'a message is a dead letter');
}

function attach(one: Handling, own: Server, publishedAt: (topic: Topic) => Server): void {
  const { name, topics, kind, since, options } = one.of;
  const elsewhere = Map.groupBy(topics, publishedAt);
  if ('hear' in one) {
    for (const [{ messaging }, heard] of elsewhere)
      for (const topic of heard) messaging.listen(topic as Topic<unknown, 'broadcast'>, one.hear);
    return;
  }
  elsewhere.delete(own);
  if (kind === 'event') {
    own.messaging.subscribe(name, topics as Topic<unknown, 'event'>[], one.handle, { since, ...options });
    for (const [{ messaging }, copied] of elsewhere)
      messaging.subscribe(
        `${name}.outbound`,
        copied as Topic<unknown, 'event'>[],
        copyingInto(own.pool, name),
        { since, retry: COPY_RETRY },
      );
    return;
  }
  const topic = topics[0] as Topic<unknown, 'work'>;
  const [publisher] = elsewhere.keys();
  const queue = publisher ? `${name}.inbound` : name;
  own.messaging.takeWork(topic, one.handle, { ...options, queue });
  publisher?.messaging.takeWork(topic, copyingInto(own.pool, queue), { retry: COPY_RETRY });
}

function requireHandlers(
  service: string,
  consumes: readonly Consumption[],
  handlings: readonly Handling[],
): void {
  for (const consumption of consumes) {
    const count = handlings.filter(({ of }) => of === consumption).length;
    if (count !== 1)
      throw new Error(`${service} consumes ${consumption.name}, and gives ${count} handlers for it`);
  }
  const other = handlings.find(({ of }) => !consumes.includes(of));
  if (other) throw new Error(`${service} handles ${other.of.name}, which its definition does not list`);
}
