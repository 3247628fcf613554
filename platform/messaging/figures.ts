/** The figures of queues for Prometheus and the monitor: what waits, what is dead, what was published and handled. */
import { type Pool, withSession } from '#platform/database/pool.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import type { Job } from '#platform/lifecycle/job.ts';
import { Counter, Gauge, type Registry } from '#platform/telemetry/metrics.ts';
import type { ConsumerEvent } from './consumer.ts';
import { type RecentDeadLetters, recentDeadLetters } from './dead_letters.ts';
import type { Messaging } from './messaging.ts';
import { listQueues, type QueueState } from './queues.ts';

/** How often queues are counted at most. */
export const COUNT_EVERY_MS = 10_000;
/** Counting reads every row that waits. After a count that took long the next one is so much later, so that it is 1 % of the time. */
const REST_TIMES = 99;

const STATES = ['ready', 'leased', 'delayed', 'blocked', 'sent'] as const;

export interface QueueFiguresNeeds {
  readonly registry: Registry;
  /** On the database whose queues are counted. */
  readonly pool: Pool;
  readonly clock: Clock;
}

export interface QueueFigures {
  /** Counts the queues. */
  readonly job: Job;
  /** Counts what becomes of messages here. */
  onEvent(queue: string, event: ConsumerEvent): void;
  /** Counts what is published here, by the topic of each message. */
  onPublished(topics: readonly string[]): void;
  /** Shows how the relay of these consumers fares. */
  watch(messaging: Pick<Messaging, 'relayStalledS'>): void;
}

export function createQueueFigures({ registry, pool, clock }: QueueFiguresNeeds): QueueFigures {
  const registers = [registry];
  let queues: readonly QueueState[] = [];
  let recent: readonly RecentDeadLetters[] = [];
  const relays: Pick<Messaging, 'relayStalledS'>[] = [];
  let countAt = Number.NEGATIVE_INFINITY;

  const published = new Counter({
    name: 'messages_published_total',
    help: 'Messages that this process has published; where a transaction is rolled back, they are counted all the same',
    labelNames: ['topic'],
    registers,
  });
  const ended = new Counter({
    name: 'messages_ended_total',
    help: 'Attempts that ended in this process: done, retried, dead',
    labelNames: ['queue', 'outcome'],
    registers,
  });
  const fenced = new Counter({
    name: 'messages_fenced_total',
    help: 'Messages that went to another process before this one said how they ended',
    labelNames: ['queue'],
    registers,
  });
  const gauge = <Label extends string>(
    name: string,
    help: string,
    labelNames: Label[],
    figures: () => (readonly [Partial<Record<Label, string>>, number])[],
  ) =>
    new Gauge({
      ...{ name, help, labelNames, registers },
      collect() {
        this.reset();
        for (const [labels, value] of figures()) this.set(labels, value);
      },
    });
  gauge('messages_waiting', 'Messages of the database, by queue and state', ['queue', 'state'], () =>
    queues.flatMap((queue) => STATES.map((state) => [{ queue: queue.queue, state }, queue[state]] as const)),
  );
  gauge(
    'messages_oldest_ready_seconds',
    'Age of the oldest message that is ready; 0: none is',
    ['queue'],
    () => queues.map(({ queue, oldest_ready_s: seconds }) => [{ queue }, seconds ?? 0] as const),
  );
  gauge('messages_queue_paused', '1: the queue is paused by hand', ['queue'], () =>
    queues.map(({ queue, paused_at: at }) => [{ queue }, Number(at !== null)] as const),
  );
  gauge('messages_queue_consumers', 'Processes that take from the queue', ['queue'], () =>
    queues.map(({ queue, consumers }) => [{ queue }, consumers] as const),
  );
  gauge('messages_dead_letters', 'Dead letters of the database, by queue and cause', ['queue', 'cause'], () =>
    queues.flatMap(({ queue, dead_by_cause: causes }) =>
      Object.entries(causes).map(([cause, letters]) => [{ queue, cause }, letters] as const),
    ),
  );
  gauge(
    'messages_dead_letters_recent',
    'Dead letters of the last 10 minutes, at most 1,000 of all queues',
    ['queue', 'cause'],
    () => recent.map(({ queue, cause, letters }) => [{ queue, cause }, letters] as const),
  );
  gauge(
    'messages_relay_stalled_seconds',
    'How long messages have waited while none reached RabbitMQ from this process',
    [],
    () => {
      const stalled = relays.flatMap(({ relayStalledS }) => relayStalledS ?? []);
      return stalled.length === 0 ? [] : [[{}, Math.max(...stalled)] as const];
    },
  );

  async function count(stopping: AbortSignal): Promise<void> {
    if (clock.monotonic() < countAt) return;
    const began = clock.monotonic();
    await withSession(
      pool,
      async (session) => {
        queues = await session.rows(listQueues());
        recent = await session.rows(recentDeadLetters());
      },
      { signal: stopping, clock },
    );
    countAt = clock.monotonic() + REST_TIMES * (clock.monotonic() - began);
  }

  return {
    job: { name: 'queue figures', everyMs: COUNT_EVERY_MS, runOnce: count },
    onEvent: (queue, event) => {
      if (event.kind === 'ended') ended.inc({ queue, outcome: event.outcome });
      else if (event.kind === 'fenced') fenced.inc({ queue }, event.messages);
    },
    watch: (messaging) => void relays.push(messaging),
    onPublished: (topics) => {
      for (const topic of topics) published.inc({ topic });
    },
  };
}
