/**
 * RabbitMQ beside the queue in PostgreSQL: a relay takes what is ready and gives it to the broker; consumers get it from there.
 * Publishing stays what it is, a row in the publisher's transaction, so a broker that is down costs nobody anything but time.
 *
 *   relay      PostgreSQL ──take, 500──▶ publish, pipelined ──confirmed──▶ the row goes
 *                                                 └──refused, or nowhere to go──▶ ready again, later
 *   consumer   the broker ──▶ handler ──done──▶ acknowledged
 *                                 └──retry, dead──▶ a row in PostgreSQL, then acknowledged
 *
 * Times of retries, priorities and the order of keys live in PostgreSQL; the broker carries only what is ready, and of each queue
 * no more than BROKER_READY_LIMIT, so that an urgent message waits behind no more than those. A crash between a confirmation and
 * its note publishes a message twice: duplicates are normal, and known by their id.
 *
 * A message that the broker gives out for the third time has killed two processes, or was beside one that did. It goes back to
 * PostgreSQL as a suspect, where it is taken alone (consumer.ts).
 */
import { type AMQPError, Connection, ConsumerStatus } from 'rabbitmq-client';
import type { Session } from '#platform/database/session.ts';
import type { Statement } from '#platform/database/statement.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { createRest, type Rest } from '#platform/lifecycle/rest.ts';
import { within } from '#platform/lifecycle/within.ts';
import { errorText } from '#platform/telemetry/error_text.ts';
import { BROKER_ADDRESS_FORM, readBrokerUrls } from './broker_address.ts';
import {
  buryReturned,
  confirmed,
  doneSent,
  putBack,
  type Returning,
  readyQueues,
  refused,
  type Travelling,
} from './broker_rows.ts';
import { type ConsumerEvent, POLL_MS, type Source } from './consumer.ts';
import { type Held, inOrder, SUSPECT_LOSSES, type Taken, take } from './queue.ts';

/** Exchange of all queues; each is bound by its own name. */
export const EXCHANGE = 'trunkline.direct';
/** So many messages of a queue wait in the broker at most. */
export const BROKER_READY_LIMIT = 500;
/** How long the relay has to give what it took to the broker. */
const RELAY_LEASE_MS = 30_000;
/** A broker that refuses is left alone for so long; a storm of repetitions would keep it from recovering. */
const REFUSED_DELAY_MS = 2_000;
/** No answer to a publish for so long counts as a refusal. */
const CONFIRM_LIMIT_MS = 10_000;
/** A peer that is frozen is noticed within twice this. */
const HEARTBEAT_S = 5;
const RECONNECT_MAX_MS = 2_000;

export interface BrokerOptions {
  /** One node or several, separated by commas: amqp://user:password@host:port */
  readonly url: string;
  readonly clock: Clock;
  /** Runs work on the database whose messages go through the broker. */
  readonly on: <T>(work: (session: Session) => Promise<T>) => Promise<T>;
  readonly onEvent: (queue: string, event: ConsumerEvent) => void;
}

export interface Broker {
  /**
   * What a consumer of this queue takes and says.
   * @param own the queue in PostgreSQL, where suspects are taken alone
   */
  source(queue: string, own: Source, prefetch: number, onArrival: () => void): Source;
  /** Relays what is ready until `stopping`. Never rejects. */
  relay(stopping: AbortSignal): Promise<void>;
  /** Something is ready that was not: the relay need not wait for its next look. */
  wake(): void;
  /** How long messages have waited for a relay that gives none to the broker, in seconds; 0 or so where none wait. */
  readonly stalledS: number;
  close(): Promise<void>;
}

/** @throws TypeError when the address is none */
export function connectionOf(url: string): Connection {
  const urls = readBrokerUrls(url);
  if (!urls) throw new TypeError(`the address of RabbitMQ is ${BROKER_ADDRESS_FORM}`);
  const port = (one: URL) => one.port || (one.protocol === 'amqps:' ? '5671' : '5672');
  return new Connection({
    url: urls[0]!.href,
    hosts: urls.map((one) => `${one.hostname}:${port(one)}`),
    heartbeat: HEARTBEAT_S,
    retryLow: 200,
    retryHigh: RECONNECT_MAX_MS,
    connectionTimeout: 5_000,
    acquireTimeout: 10_000,
    noDelay: true,
  });
}

export function createBroker({ url, clock, on, onEvent }: BrokerOptions): Broker {
  const connection = connectionOf(url);
  connection.on('error', (error) => onEvent('all', { kind: 'queue_failed', doing: 'connect', error }));
  const loop: Rest = createRest(clock);
  const closings: (() => Promise<void>)[] = [];
  const declared = new Set<string>();

  /** The one channel that publishes; made anew by the client after each break. */
  const returned = new Set<string>();
  const makePublisher = () =>
    connection.createPublisher({
      confirm: true,
      exchanges: [{ exchange: EXCHANGE, type: 'direct', durable: true }],
      // A return comes before the confirmation of its message, on the same channel.
      onReturn: ({ messageId }) => void returned.add(messageId!),
    });
  let publisher = makePublisher();
  let nacked = false;
  let movedAt = clock.monotonic();

  /**
   * A channel that first published to a queue while its leader was gone is refused as long as that node is away, although the
   * queue has another leader by now (docs/decisions/0043-a-channel-that-was-refused-is-left.md). A new channel asks anew.
   */
  function beginAnew(): void {
    nacked = false;
    const former = publisher;
    publisher = makePublisher();
    former.close().catch(() => undefined);
  }

  /** @returns how many messages wait in the broker's queue */
  async function declare(queue: string): Promise<number> {
    const { messageCount } = await connection.queueDeclare({
      queue,
      durable: true,
      arguments: { 'x-queue-type': 'quorum' },
    });
    if (!declared.has(queue)) await connection.queueBind({ exchange: EXCHANGE, queue, routingKey: queue });
    declared.add(queue);
    return messageCount;
  }

  /** @returns why the broker has not taken it; undefined where it has */
  async function give(queue: string, message: Taken): Promise<string | undefined> {
    const { i_message, attempt, id } = message;
    const messageId = `${i_message}/${attempt}`;
    const travelling: Travelling = { ...message, queue };
    try {
      await within(clock, CONFIRM_LIMIT_MS, 'a confirmation of RabbitMQ', () =>
        publisher.send(
          {
            exchange: EXCHANGE,
            routingKey: queue,
            mandatory: true,
            durable: true,
            messageId,
            correlationId: id,
          },
          Buffer.from(JSON.stringify(travelling)),
        ),
      );
      return returned.delete(messageId) ? 'the broker has no such queue' : undefined;
    } catch (error) {
      if ((error as AMQPError).code === 'NACK') nacked = true;
      return errorText(error);
    }
  }

  /** @returns whether there may be more */
  async function relayQueue(queue: string): Promise<boolean> {
    const room = BROKER_READY_LIMIT - (await declare(queue));
    if (room <= 0) {
      // It is the consumers that are slow.
      movedAt = clock.monotonic();
      return false;
    }
    const taken = inOrder(await on((session) => session.rows(take(queue, room, RELAY_LEASE_MS, false))));
    if (taken.length === 0) return false;
    const given = await Promise.all(
      taken.map(async (message) => ({ message, error: await give(queue, message) })),
    );
    const good = given.filter(({ error }) => error === undefined).map(({ message }) => message);
    const bad = given.filter(({ error }) => error !== undefined);
    if (good.length > 0) {
      movedAt = clock.monotonic();
      await on((session) => session.run(confirmed(good)));
    }
    if (bad.length === 0) return taken.length === room;
    if (nacked) beginAnew();
    declared.delete(queue);
    const error = bad[0]!.error!;
    const held = bad.map(({ message }) => message);
    await on((session) => session.run(refused(held, REFUSED_DELAY_MS, `the broker: ${error}`)));
    throw new Error(`the broker did not take ${bad.length} of ${taken.length} messages: ${error}`);
  }

  async function relay(stopping: AbortSignal): Promise<void> {
    while (!stopping.aborted) {
      let more = false;
      try {
        const queues = await on((session) => session.rows(readyQueues()));
        if (queues.length === 0) movedAt = clock.monotonic();
        for (const { queue } of queues) more = (await relayQueue(queue)) || more;
      } catch (error) {
        if (stopping.aborted) return;
        onEvent('all', { kind: 'queue_failed', doing: 'relay', error });
        await clock.sleep(POLL_MS, stopping).catch(() => undefined);
      }
      if (!more) await loop.rest(POLL_MS, stopping);
    }
  }

  function source(queue: string, own: Source, prefetch: number, onArrival: () => void): Source {
    const arrived: Delivery[] = [];
    const open = new Map<number, Delivery>();
    const consumer = connection.createConsumer(
      {
        queue,
        queueOptions: { queue, durable: true, arguments: { 'x-queue-type': 'quorum' } },
        exchanges: [{ exchange: EXCHANGE, type: 'direct', durable: true }],
        queueBindings: [{ exchange: EXCHANGE, queue, routingKey: queue }],
        qos: { prefetchCount: prefetch },
        concurrency: prefetch,
      },
      ({ body, headers }) =>
        new Promise<ConsumerStatus>((say) => {
          const message = JSON.parse(String(body)) as Travelling;
          const redeliveries = Number(headers?.['x-delivery-count'] ?? 0);
          arrived.push({
            message,
            redeliveries,
            acknowledge: () => say(ConsumerStatus.ACK),
            requeue: () => say(ConsumerStatus.REQUEUE),
          });
          onArrival();
        }),
    );
    consumer.on('error', (error) => onEvent(queue, { kind: 'queue_failed', doing: 'consume', error }));
    closings.push(async () => {
      // What has not been taken goes back uncounted; the broker would count it.
      const waiting = arrived.splice(0);
      for (const delivery of waiting) open.set(delivery.message.i_message, delivery);
      await giveBack(waiting.map(takenOf)).catch(() => undefined);
      for (const delivery of open.values()) delivery.requeue();
      await consumer.close();
    });

    /** Those of `held` that came from the broker and are still open, and those that were taken from PostgreSQL. */
    function sorted<Kind extends Held>(held: readonly Kind[]) {
      const ended: { readonly held: Kind; readonly delivery: Delivery }[] = [];
      const others: Kind[] = [];
      for (const one of held) {
        const delivery = open.get(one.i_message);
        if (delivery && attemptOf(delivery) === one.attempt) ended.push({ held: one, delivery });
        else others.push(one);
      }
      return { ended, others };
    }
    /** Writes what has become of messages, acknowledges them, and does the same for those of PostgreSQL. */
    const saying =
      <Kind extends Held>(
        write: (
          ended: readonly { readonly held: Kind; readonly delivery: Delivery }[],
        ) => Statement<unknown> | null,
        tell: (held: readonly Kind[]) => Promise<readonly number[]>,
      ) =>
      async (held: readonly Kind[]): Promise<readonly number[]> => {
        const { ended, others } = sorted(held);
        const statement = ended.length > 0 ? write(ended) : null;
        if (statement) await on((session) => session.run(statement));
        for (const { held: one, delivery } of ended) {
          open.delete(one.i_message);
          delivery.acknowledge();
        }
        loop.wake();
        const ofOwn = others.length > 0 ? await tell(others) : [];
        return [...ended.map(({ held: one }) => one.i_message), ...ofOwn];
      };
    const giveBack = saying(
      (ended) => putBack(ended.map(({ held, delivery }) => back(delivery, { attempt: held.attempt - 1 }))),
      own.giveBack,
    );
    return {
      take: async (limit, suspects) => {
        if (suspects) return own.take(limit, true);
        const next = arrived.splice(0, limit);
        for (const delivery of next) open.set(delivery.message.i_message, delivery);
        const suspected = next.filter(isSuspect);
        if (suspected.length > 0) await giveBack(suspected.map(takenOf));
        return next.filter((delivery) => !isSuspect(delivery)).map(takenOf);
      },
      done: saying((ended) => {
        const keyed = ended.map(({ delivery }) => delivery.message).filter(({ key }) => key !== null);
        return keyed.length > 0 ? doneSent(keyed) : null;
      }, own.done),
      retry: saying(
        (ended) =>
          putBack(ended.map(({ held: { delayMs, error }, delivery }) => back(delivery, { delayMs, error }))),
        own.retry,
      ),
      die: saying(
        (ended) =>
          buryReturned(
            ended.map(({ held: { cause, error }, delivery }) => ({ ...back(delivery, { error }), cause })),
          ),
        own.die,
      ),
      giveBack,
      renew: async (held) => {
        const { ended, others } = sorted(held);
        // The broker knows by its heartbeat whether a process lives.
        const ofOwn = others.length > 0 ? await own.renew(others) : [];
        return [...ended.map(({ held: one }) => one.i_message), ...ofOwn];
      },
    };
  }

  return {
    source,
    relay,
    wake: loop.wake,
    get stalledS() {
      return (clock.monotonic() - movedAt) / 1_000;
    },
    close: async () => {
      await Promise.all(closings.map((end) => end().catch(() => undefined)));
      await publisher.close().catch(() => undefined);
      await connection.close().catch(() => connection.unsafeDestroy());
    },
  };
}

/** A message as the broker gave it out. */
interface Delivery {
  readonly message: Travelling;
  /** How often the broker has given it out before. */
  readonly redeliveries: number;
  acknowledge(): void;
  /** The broker gives it out again, and counts that. */
  requeue(): void;
}

const attemptOf = ({ message, redeliveries }: Delivery): number => message.attempt + redeliveries;
const isSuspect = ({ message, redeliveries }: Delivery): boolean =>
  message.lost + redeliveries >= SUSPECT_LOSSES;
/** What becomes of it, unless it is changed: ready at once, as it is. */
const back = (delivery: Delivery, change: Partial<Returning>): Returning => ({
  message: delivery.message,
  attempt: attemptOf(delivery),
  lost: delivery.message.lost + delivery.redeliveries,
  delayMs: 0,
  error: null,
  ...change,
});
const takenOf = (delivery: Delivery): Taken => ({
  ...delivery.message,
  attempt: attemptOf(delivery),
  lost: delivery.message.lost + delivery.redeliveries,
});
