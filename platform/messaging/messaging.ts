/**
 * The messages of one process on one database: its consumers, what it listens to, and the housekeeping of the queue. Publishing
 * needs nothing of it (publish.ts).
 */
import { randomUUID } from 'node:crypto';
import { type Pool, withSession } from '#platform/database/pool.ts';
import type { Session } from '#platform/database/session.ts';
import type { Statement } from '#platform/database/statement.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { createRest } from '#platform/lifecycle/rest.ts';
import { within } from '#platform/lifecycle/within.ts';
import { createBroadcastReader } from './broadcasts.ts';
import { createBroker } from './broker.ts';
import {
  type Consumer,
  type ConsumerEvent,
  createConsumer,
  type Handler,
  type Incoming,
  POLL_MS,
  type Source,
} from './consumer.ts';
import { onPublished } from './publish.ts';
import { die, done, giveBack, moveOn, releaseForgotten, renew, retryLater, take } from './queue.ts';
import { CONSUMER_SEEN_EVERY_MS, forgetOld, hideConsumers, pausedQueues, showConsumers } from './queues.ts';
import { DEFAULT_RETRY, type RetryPolicy } from './retry_policy.ts';
import { type Since, subscribe } from './subscriptions.ts';
import type { Topic } from './topic.ts';

/** How a queue is worked off; what is left out is as the constants say. */
export interface QueueOptions {
  readonly concurrency?: number;
  readonly leaseMs?: number;
  readonly handlerLimitMs?: number;
  readonly retry?: RetryPolicy;
}

export const DEFAULT_CONCURRENCY = 10;
export const DEFAULT_LEASE_MS = 30_000;
export const DEFAULT_HANDLER_LIMIT_MS = 300_000;

export interface MessagingParts {
  /** The service's name, for traces. */
  readonly service: string;
  readonly pool: Pool;
  readonly clock: Clock;
  /** From 0 up to, not including, 1; Math.random in production. */
  readonly random: () => number;
  readonly onEvent: (queue: string, event: ConsumerEvent) => void;
  /** RabbitMQ, through which messages go; without it they stay in PostgreSQL. */
  readonly brokerUrl?: string | undefined;
}

export interface Messaging {
  /**
   * Takes the work of a topic; each message goes to one of all the processes that take it.
   * @param options with `queue` where the work is in another queue than that of the topic's name
   */
  takeWork<Body>(
    topic: Topic<Body, 'work'>,
    handle: Handler<Body>,
    options?: QueueOptions & { readonly queue?: string },
  ): void;
  /**
   * Gets events for a named consumer; the processes of one name share them out.
   * @param since which events a new name gets
   */
  subscribe(
    queue: string,
    topics: readonly Topic<unknown, 'event'>[],
    handle: Handler,
    options?: QueueOptions & { readonly since?: Since },
  ): void;
  /** Hears what is announced to all living processes while it runs. */
  listen<Body>(topic: Topic<Body, 'broadcast'>, hear: (body: Body) => void): void;
  /** Consumers that were added. */
  readonly consumers: readonly Consumer[];
  /** All subscriptions are made; never where `run` ends before. */
  readonly subscribed: Promise<void>;
  /** How long messages have waited for a relay that gives none to RabbitMQ, in seconds; null without RabbitMQ. */
  readonly relayStalledS: number | null;
  /** Runs until `stopping`, and until what is in hand has ended. Never rejects. */
  run(stopping: AbortSignal): Promise<void>;
}

/** A message that this process publishes is looked for so soon after; by then its transaction has mostly ended. */
const NUDGES_MS = [10, 100];
/** A stop waits for so long at most until its consumers are shown no more. */
const HIDE_LIMIT_MS = 1_000;
/** How often what was kept for long enough is removed, and how many rows at once. */
const FORGET_EVERY_MS = 60_000;
const FORGET_LIMIT = 10_000;
/** So many messages a handler's place the broker sends ahead. */
const PREFETCH = 10;

export function createMessaging(parts: MessagingParts): Messaging {
  const { service, pool, clock, random, onEvent, brokerUrl } = parts;
  const carrier = brokerUrl === undefined ? 'postgresql' : 'rabbitmq';
  const consumers: Consumer[] = [];
  const subscriptions: { queue: string; topics: readonly string[]; since: Since }[] = [];
  const heard = new Map<string, ((body: unknown) => void)[]>();
  const broadcasts = createBroadcastReader();
  const house = createRest(clock);
  const on = <T>(work: (session: Session) => Promise<T>) => withSession(pool, work, { clock });
  const broker = brokerUrl === undefined ? undefined : createBroker({ url: brokerUrl, clock, on, onEvent });

  function add(queue: string, handle: Handler, options: QueueOptions): void {
    if (consumers.some((one) => one.queue === queue))
      throw new Error(`queue ${queue} has a consumer already`);
    const { concurrency = DEFAULT_CONCURRENCY, leaseMs = DEFAULT_LEASE_MS } = options;
    const { handlerLimitMs = DEFAULT_HANDLER_LIMIT_MS, retry = DEFAULT_RETRY } = options;
    const own = queueSource(on, queue, leaseMs, dueIn);
    const source = broker?.source(queue, own, concurrency * PREFETCH, () => consumer.wake()) ?? own;
    const consumer = createConsumer(
      { service, carrier, queue, handle, concurrency, leaseMs, handlerLimitMs, retry },
      { source, clock, random, onEvent: (event) => onEvent(queue, event) },
    );
    consumers.push(consumer);
  }

  /** Nothing waits for this process, but what it publishes must not pile up where nobody consumes. */
  const isPublisherAlone = () => consumers.length === 0 && heard.size === 0 && !broker;

  /** A retry that is due before the next round of housekeeping does not wait for that round. */
  const dueIn = (ms: number) => {
    if (ms < POLL_MS) clock.after(ms, house.wake);
  };

  /** What waits goes on by itself once its time has come; nobody's message stays for ever. */
  async function keepHouse(stopping: AbortSignal): Promise<void> {
    const process = randomUUID();
    const queues = consumers.map(({ queue }) => queue);
    let forgetAt = clock.monotonic();
    let showAt = forgetAt;
    while (!stopping.aborted) {
      try {
        await on(async (session) => {
          if ((await session.run(moveOn())) > 0) wakeConsumers();
          await session.run(releaseForgotten());
          const paused = new Set((await session.rows(pausedQueues())).map(({ queue }) => queue));
          for (const consumer of consumers) {
            if (paused.has(consumer.queue)) consumer.pause();
            else consumer.resume();
          }
          if (queues.length > 0 && clock.monotonic() >= showAt) {
            await session.run(showConsumers(process, queues));
            showAt = clock.monotonic() + CONSUMER_SEEN_EVERY_MS;
          }
          if (clock.monotonic() >= forgetAt) {
            await session.run(forgetOld(FORGET_LIMIT));
            forgetAt = clock.monotonic() + FORGET_EVERY_MS;
          }
          if (heard.size === 0) return;
          for (const { topic, body } of await broadcasts.read(session))
            for (const tell of heard.get(topic) ?? []) tell(body);
        });
      } catch (error) {
        if (!stopping.aborted) onEvent('all', { kind: 'queue_failed', doing: 'housekeeping', error });
      }
      await house.rest(isPublisherAlone() ? FORGET_EVERY_MS : POLL_MS, stopping);
    }
    // Where that fails, or takes long, it is seen by its time that it is gone.
    const hide = (signal: AbortSignal) =>
      withSession(pool, (session) => session.run(hideConsumers(process)), { signal, clock });
    await within(clock, HIDE_LIMIT_MS, 'hiding consumers', hide).catch(() => undefined);
  }

  const wakeConsumers = () => {
    broker?.wake();
    for (const consumer of consumers) consumer.wake();
  };

  async function subscribeAll(stopping: AbortSignal): Promise<void> {
    for (const { queue, topics, since } of subscriptions) {
      for (;;) {
        try {
          await subscribe(pool, queue, topics, since, clock);
          break;
        } catch (error) {
          if (stopping.aborted) return;
          onEvent(queue, { kind: 'queue_failed', doing: 'subscribe', error });
          await clock.sleep(POLL_MS, stopping).catch(() => undefined);
        }
      }
    }
  }

  const subscribed = Promise.withResolvers<void>();
  return {
    consumers,
    get relayStalledS() {
      return broker?.stalledS ?? null;
    },
    subscribed: subscribed.promise,
    takeWork: (topic, handle, { queue = topic.name, ...options } = {}) =>
      add(queue, byTopic([topic], handle as Handler), options),
    subscribe: (queue, topics, handle, { since = 'now', ...options } = {}) => {
      add(queue, byTopic(topics, handle), options);
      subscriptions.push({ queue, topics: topics.map(({ name }) => name), since });
    },
    listen: (topic, hear) => {
      heard.set(topic.name, [...(heard.get(topic.name) ?? []), hear as (body: unknown) => void]);
    },
    run: async (stopping) => {
      await subscribeAll(stopping);
      subscribed.resolve();
      const cancels = new Set<() => void>();
      const nudge = () => {
        for (const ms of NUDGES_MS) {
          const cancel = clock.after(ms, () => {
            cancels.delete(cancel);
            wakeConsumers();
          });
          cancels.add(cancel);
        }
      };
      const forget = isPublisherAlone() ? () => undefined : onPublished(nudge);
      await Promise.all([
        keepHouse(stopping),
        broker?.relay(stopping),
        ...consumers.map((consumer) => consumer.run(stopping)),
      ]);
      await broker?.close();
      forget();
      for (const cancel of cancels) cancel();
    },
  };
}

/** A message of a topic or version that the consumer does not know would only fail: it waits, dead, for a consumer that does. */
function byTopic(topics: readonly Topic[], handle: Handler): Handler {
  const versions = new Map(topics.map(({ name, version }) => [name, version]));
  return async (message: Incoming, attempt) => {
    const version = versions.get(message.topic);
    if (version === undefined)
      return { dead: 'unknown_topic', error: `nobody here handles ${message.topic}` };
    if (message.version > version)
      return {
        dead: 'unknown_version',
        error: `${message.topic} is version ${message.version}; this program knows ${version}`,
      };
    return handle(message, attempt);
  };
}

/** The queue in PostgreSQL as a consumer's source. */
function queueSource(
  on: <T>(work: (session: Session) => Promise<T>) => Promise<T>,
  queue: string,
  leaseMs: number,
  dueIn: (ms: number) => void,
): Source {
  const numbers = (statement: Statement<{ i_message: number }>) =>
    on(async (session) => (await session.rows(statement)).map(({ i_message }) => i_message));
  return {
    take: (limit, suspects) => on((session) => session.rows(take(queue, limit, leaseMs, suspects))),
    done: (held) => numbers(done(held)),
    retry: async (held) => {
      const retried = await numbers(retryLater(held));
      dueIn(Math.min(...held.map(({ delayMs }) => delayMs)));
      return retried;
    },
    die: (held) => numbers(die(held)),
    giveBack: (held) => numbers(giveBack(held)),
    renew: (held) => numbers(renew(held, leaseMs)),
  };
}
