/** Messages on a database of a test's own, and consumers that note what they were given. */
import { after } from 'node:test';
import { Type } from 'typebox';
import { type Pool, withSession, withTransaction } from '#platform/database/pool.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import type { ConsumerEvent } from '#platform/messaging/consumer.ts';
import { createMessaging, type Messaging, type QueueOptions } from '#platform/messaging/messaging.ts';
import { publish } from '#platform/messaging/publish.ts';
import { listQueues, type QueueState } from '#platform/messaging/queues.ts';
import { event, message, type Outgoing, type Topic, work } from '#platform/messaging/topic.ts';
import { testDatabase } from './postgres.ts';

const body = Type.Object({ n: Type.Integer() });
export interface Numbered {
  readonly n: number;
}

/** Work of a name of a test's own, and an event. */
export const jobsOf = (name: string) => work({ name, version: 1, purpose: 'a number to be noted', body });
export const factsOf = (name: string) => event({ name, version: 1, purpose: 'a number was noted', body });

/** Messages with the numbers of a range, or those given. */
export const numbered = (
  topic: Topic<Numbered, 'event' | 'work'>,
  numbers: number | readonly number[],
  options: Omit<Outgoing, 'topic' | 'body'> = {},
): Outgoing[] =>
  (typeof numbers === 'number' ? Array.from({ length: numbers }, (_, n) => n) : numbers).map((n) =>
    message(topic, { n }, options),
  );

export interface TestMessages {
  readonly pool: Pool;
  readonly url: string;
  readonly carrier: 'postgresql' | 'rabbitmq';
  publish(messages: readonly Outgoing[]): Promise<string[]>;
  /** A process's messaging; it ends with the test file, or by its own `stop`. @param broker in place of the file's */
  start(
    add: (messaging: Messaging) => void,
    broker?: string,
  ): { readonly events: ConsumerEvent[]; stop(): Promise<void> };
  queue(name: string): Promise<QueueState | undefined>;
}

/** Short times, so that a test sees retries and leases end. */
export const FAST: QueueOptions = { leaseMs: 1_500, retry: { maxAttempts: 5, baseMs: 20, maxMs: 200 } };

/** @param brokerUrl RabbitMQ, through which messages go; without it they stay in PostgreSQL */
export async function testMessages(brokerUrl?: string): Promise<TestMessages> {
  const { pool, url } = await testDatabase();
  const stops: (() => Promise<void>)[] = [];
  after(async () => {
    await Promise.all(stops.map((stop) => stop()));
  });
  return {
    pool,
    url,
    carrier: brokerUrl === undefined ? 'postgresql' : 'rabbitmq',
    publish: (messages) => withTransaction(pool, (session) => publish(session, messages)),
    start: (add, broker = brokerUrl) => {
      const events: ConsumerEvent[] = [];
      const onEvent = (_queue: string, event: ConsumerEvent) => events.push(event);
      const messaging = createMessaging({
        service: 'test',
        pool,
        clock: systemClock,
        random: Math.random,
        onEvent,
        brokerUrl: broker,
      });
      add(messaging);
      const stopping = new AbortController();
      const running = messaging.run(stopping.signal);
      const stop = async () => {
        stopping.abort();
        await running;
      };
      stops.push(stop);
      return { events, stop };
    },
    queue: async (name) => {
      const queues = await withSession(pool, (session) => session.rows(listQueues()));
      return queues.find(({ queue }) => queue === name);
    },
  };
}
