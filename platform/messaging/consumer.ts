/**
 * A consumer: takes messages of one queue, gives each to its handler, and says how it ended.
 *
 *   in hand   taken, and not yet said how it ended: waiting here, or being handled
 *   lease     how long what is in hand stays this process's. It is renewed while the process lives, so that only a process
 *             that is dead or frozen loses its messages
 *   suspect   a message that was lost with its process several times. It may have killed the process, so it is handled alone
 *
 * A message is handled at least once. A handler that must not do a thing twice writes that it has done it in the transaction of
 * the effect (once.ts).
 */
import { setImmediate as turnOver } from 'node:timers/promises';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { createRest } from '#platform/lifecycle/rest.ts';
import { errorText } from '#platform/telemetry/error_text.ts';
import { inSpan } from '#platform/telemetry/tracing/tracing.ts';
import { type CutAttempt, cutAttempt } from './cut_attempt.ts';
import { type Carrier, handlingSpan } from './message_spans.ts';
import { type Dead, type Held, inOrder, type Retried, type Taken } from './queue.ts';
import { MAX_LOSSES, type RetryPolicy, retryDelayMs } from './retry_policy.ts';

/** A message as its handler gets it. */
export interface Incoming<Body = unknown> {
  /** The same at every attempt. */
  readonly id: string;
  readonly topic: string;
  readonly version: number;
  readonly key: string | null;
  readonly priority: number;
  /** RFC 3339, as `expiresAt`. */
  readonly publishedAt: string;
  /** No attempt is made after. */
  readonly expiresAt: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Body;
}

export interface Attempt {
  /** 1 for the first. It is counted before the handler runs, so one that killed its process counts too. */
  readonly number: number;
  /** Aborted when the message is no longer this process's, takes too long, or the program stops. */
  readonly signal: AbortSignal;
}

/** How an attempt ended. A handler that throws asks for a retry by the queue's policy. */
export type Outcome =
  | 'done'
  | { readonly retryAfterMs: number; readonly error: string }
  /** One word for the cause; no attempt is made any more. */
  | { readonly dead: string; readonly error?: string };

export type Handler<Body = unknown> = (
  message: Incoming<Body>,
  attempt: Attempt,
) => Promise<Outcome | undefined>;

export interface ConsumerOptions {
  /** The service's name, for traces. */
  readonly service: string;
  readonly carrier: Carrier;
  readonly queue: string;
  readonly handle: Handler;
  /** Handlers at once. */
  readonly concurrency: number;
  readonly leaseMs: number;
  /** How long a handler may take; it is told up to a third of that later. */
  readonly handlerLimitMs: number;
  readonly retry: RetryPolicy;
}

/** Where messages come from, and where it is said how they ended. */
export interface Source {
  /** At most `limit` messages that are ready, each for `leaseMs`. */
  take(limit: number, suspects: boolean): Promise<readonly Taken[]>;
  /** @returns the numbers of those that were still the caller's */
  done(held: readonly Held[]): Promise<readonly number[]>;
  retry(held: readonly Retried[]): Promise<readonly number[]>;
  die(held: readonly Dead[]): Promise<readonly number[]>;
  giveBack(held: readonly Held[]): Promise<readonly number[]>;
  renew(held: readonly Held[]): Promise<readonly number[]>;
}

export interface ConsumerParts {
  readonly source: Source;
  readonly clock: Clock;
  /** From 0 up to, not including, 1; Math.random in production. */
  readonly random: () => number;
  /** Told of each attempt that ended, and of what is not as it should be. */
  readonly onEvent: (event: ConsumerEvent) => void;
}

export type ConsumerEvent =
  | { readonly kind: 'ended'; readonly outcome: 'done' | 'retried' | 'dead'; readonly cause?: string }
  /** Messages went to another process before this one said how they ended. */
  | { readonly kind: 'fenced'; readonly messages: number }
  | { readonly kind: 'queue_failed'; readonly doing: string; readonly error: unknown };

export interface Consumer {
  readonly queue: string;
  /** Taken and not yet said how they ended. */
  readonly inHand: number;
  /** Nothing more begins; what has not begun goes back, its attempt not counted. */
  pause(): void;
  resume(): void;
  /** Looks for messages now rather than at its next poll. */
  wake(): void;
  /** Runs until `stopping`; then gives back what has not begun and waits for the rest, at most STOP_GRACE_MS. */
  run(stopping: AbortSignal): Promise<void>;
}

/** How often an idle consumer looks for messages. */
export const POLL_MS = 1_000;
/** How often suspects are looked for. */
const SUSPECTS_EVERY_MS = 5_000;
/** So many messages a process holds at most for one queue. */
const MAX_IN_HAND = 1_000;
/** What is taken ahead is handled within about so long. */
const AHEAD_MS = 1_000;
/** How long handlers may take to end at a stop, and how long after they were told to. */
const STOP_GRACE_MS = 5_000;
const STOP_ABORT_MS = 1_000;

/** A message in hand. */
interface Entry {
  readonly taken: Taken;
  readonly takenAt: number;
  /** When its handler began; infinity until then. */
  begunAt: number;
  readonly attempt: CutAttempt;
}

export function createConsumer(options: ConsumerOptions, parts: ConsumerParts): Consumer {
  const { service, carrier, queue, handle, concurrency, leaseMs, handlerLimitMs, retry } = options;
  const { source, clock, random, onEvent } = parts;
  const inHand = new Map<number, Entry>();
  const waiting: Entry[] = [];
  let running = 0;
  let alone = false;
  let paused = false;
  let stopped = false;
  /** How many to hold; grows while they are handled fast. */
  let ahead = concurrency * 2;
  let suspectsAt = 0;
  const ended = { done: [] as Held[], retried: [] as Retried[], dead: [] as Dead[] };
  let flushing: Promise<void> | undefined;
  const loop = createRest(clock);

  const idle = () => paused || stopped;

  function begin(): void {
    while (waiting.length > 0 && !idle() && running < (alone ? 1 : concurrency)) {
      const entry = waiting.shift()!;
      const waitedMs = clock.monotonic() - entry.takenAt;
      if (waitedMs > AHEAD_MS) ahead = Math.max(concurrency, Math.floor(ahead / 2));
      running++;
      void attempt(entry).finally(() => {
        running--;
        void flush();
        begin();
        loop.wake();
      });
    }
  }

  async function attempt(entry: Entry): Promise<void> {
    const { taken } = entry;
    entry.begunAt = clock.monotonic();
    let outcome: Outcome;
    const span = handlingSpan(service, carrier, queue, taken);
    try {
      outcome = (await inSpan(span, () => handle(incoming(taken), entry.attempt))) ?? 'done';
    } catch (error) {
      outcome = { retryAfterMs: retryDelayMs(retry, taken.attempt, random), error: errorText(error) };
    }
    span?.end(faultOf(outcome));
    if (inHand.get(taken.i_message) === entry) note(taken, outcome);
  }

  /** What an attempt has come to is said at the next flush. */
  function note(taken: Taken, outcome: Outcome): void {
    const { i_message, attempt: number, key } = taken;
    const held = { i_message, attempt: number, key };
    if (outcome === 'done') ended.done.push(held);
    else if ('dead' in outcome)
      ended.dead.push({ ...held, cause: outcome.dead, error: outcome.error ?? null });
    else if (number >= retry.maxAttempts)
      ended.dead.push({ ...held, cause: 'attempts_used_up', error: outcome.error });
    else ended.retried.push({ ...held, delayMs: outcome.retryAfterMs, error: outcome.error });
  }

  /** One flush at a time: what ends in one turn, or during a flush, goes together, so that a busy queue is told in batches. */
  function flush(): Promise<void> {
    flushing ??= turnOver()
      .then(flushAll)
      .finally(() => {
        flushing = undefined;
      });
    return flushing;
  }

  async function flushAll(): Promise<void> {
    for (;;) {
      const [done, retried, dead] = [ended.done.splice(0), ended.retried.splice(0), ended.dead.splice(0)];
      if (done.length + retried.length + dead.length === 0) return;
      await say('done', done, source.done);
      await say('retried', retried, source.retry);
      await say('dead', dead, source.die);
      loop.wake();
    }
  }

  async function say<Kind extends Held>(
    outcome: 'done' | 'retried' | 'dead',
    held: readonly Kind[],
    tell: (held: readonly Kind[]) => Promise<readonly number[]>,
  ): Promise<void> {
    if (held.length === 0) return;
    // As long as the leases hold there is nobody else who has them.
    for (const until = clock.monotonic() + leaseMs; ; ) {
      try {
        const mine = new Set(await tell(held));
        for (const one of held) {
          inHand.delete(one.i_message);
          if (!mine.has(one.i_message)) continue;
          const { cause } = one as { cause?: string };
          onEvent({ kind: 'ended', outcome, ...(cause !== undefined && { cause }) });
        }
        if (mine.size < held.length) onEvent({ kind: 'fenced', messages: held.length - mine.size });
        return;
      } catch (error) {
        onEvent({ kind: 'queue_failed', doing: outcome, error });
        if (clock.monotonic() >= until) {
          for (const one of held) inHand.delete(one.i_message);
          return;
        }
        await clock.sleep(POLL_MS);
      }
    }
  }

  /** A message that is not this consumer's any more; its handler, if it runs, hears of it. */
  function drop(i_message: number, why: string): void {
    const entry = inHand.get(i_message);
    if (!entry) return;
    inHand.delete(i_message);
    entry.attempt.abort(new Error(why));
    const at = waiting.indexOf(entry);
    if (at >= 0) waiting.splice(at, 1);
  }

  function accept(messages: readonly Taken[]): void {
    const now = clock.monotonic();
    for (const taken of inOrder(messages)) {
      const entry = { taken, takenAt: now, begunAt: Infinity, attempt: cutAttempt(taken.attempt) };
      drop(taken.i_message, 'it was given out again');
      inHand.set(taken.i_message, entry);
      const expired = taken.expires_at !== null && Date.parse(taken.expires_at) <= clock.now();
      if (expired) note(taken, { dead: 'expired' });
      else if (taken.lost >= MAX_LOSSES) note(taken, { dead: 'process_lost' });
      else waiting.push(entry);
    }
    void flush();
    begin();
  }

  async function giveBackWaiting(): Promise<void> {
    const back = waiting.splice(0).map(({ taken }) => taken);
    if (back.length === 0) return;
    await source
      .giveBack(back)
      .catch((error) => onEvent({ kind: 'queue_failed', doing: 'give back', error }));
    for (const { i_message } of back) inHand.delete(i_message);
  }

  /** @returns whether there may be more to take at once */
  async function takeSome(stopping: AbortSignal): Promise<boolean> {
    if (clock.monotonic() >= suspectsAt) {
      const [suspect] = await source.take(1, true);
      if (!suspect) suspectsAt = clock.monotonic() + SUSPECTS_EVERY_MS;
      else {
        while (inHand.size > 0 && !idle()) await loop.rest(POLL_MS, stopping);
        alone = true;
        accept([suspect]);
        while (inHand.size > 0 && !idle()) await loop.rest(POLL_MS, stopping);
        alone = false;
        return true;
      }
    }
    const room = ahead - waiting.length - running;
    if (room < ahead / 2) return false;
    const taken = await source.take(room, false);
    accept(taken);
    if (taken.length < room) return false;
    ahead = Math.min(Math.max(MAX_IN_HAND, concurrency), ahead * 2);
    return true;
  }

  async function takeUntil(stopping: AbortSignal): Promise<void> {
    while (!stopping.aborted) {
      if (paused) {
        await giveBackWaiting();
        await loop.rest(POLL_MS, stopping);
        continue;
      }
      const more = await takeSome(stopping).catch((error) => {
        if (!stopping.aborted) onEvent({ kind: 'queue_failed', doing: 'take', error });
        return false;
      });
      if (!more) await loop.rest(POLL_MS, stopping);
    }
  }

  /** Whether its handler takes too long: it is told, and the lease is not renewed any more. */
  function isOverdue({ begunAt, attempt }: Entry): boolean {
    if (clock.monotonic() - begunAt < handlerLimitMs) return false;
    attempt.abort(new Error(`the handler of ${queue} did not end within ${handlerLimitMs} ms`));
    return true;
  }

  async function renewUntil(stopping: AbortSignal): Promise<void> {
    for (;;) {
      await clock.sleep(Math.min(leaseMs, handlerLimitMs) / 3, stopping).catch(() => undefined);
      if (stopping.aborted) return;
      const entries = [...inHand.values()].filter((entry) => !isOverdue(entry));
      if (entries.length === 0) continue;
      try {
        const mine = new Set(await source.renew(entries.map(({ taken }) => taken)));
        for (const entry of entries) {
          const { i_message, id } = entry.taken;
          // What has ended meanwhile is not lost: it is not in hand any more.
          if (mine.has(i_message) || inHand.get(i_message) !== entry) continue;
          drop(i_message, `message ${id} is another process's by now`);
        }
      } catch (error) {
        onEvent({ kind: 'queue_failed', doing: 'renew', error });
      }
    }
  }

  async function stop(): Promise<void> {
    stopped = true;
    await giveBackWaiting();
    const until = clock.monotonic() + STOP_GRACE_MS;
    const never = new AbortController().signal;
    while (running > 0 && clock.monotonic() < until) await loop.rest(until - clock.monotonic(), never);
    for (const { attempt } of inHand.values()) attempt.abort(new Error('the program stops'));
    const last = clock.monotonic() + STOP_ABORT_MS;
    while (running > 0 && clock.monotonic() < last) await loop.rest(last - clock.monotonic(), never);
    await flush();
  }

  return {
    queue,
    get inHand() {
      return inHand.size;
    },
    pause: () => {
      if (paused) return;
      paused = true;
      loop.wake();
    },
    resume: () => {
      if (!paused) return;
      paused = false;
      begin();
      loop.wake();
    },
    wake: () => loop.wake(),
    run: async (stopping) => {
      const ending = new AbortController();
      const renewing = renewUntil(ending.signal);
      await takeUntil(stopping);
      await stop();
      ending.abort();
      await renewing;
    },
  };
}

const incoming = ({ published_at, expires_at, headers, ...taken }: Taken): Incoming => ({
  ...{ id: taken.id, topic: taken.topic, version: taken.version, key: taken.key },
  ...{ priority: taken.priority, body: taken.body },
  publishedAt: published_at,
  expiresAt: expires_at,
  headers: headers ?? {},
});

/** What went wrong with an attempt, in a word; undefined where nothing did. */
function faultOf(outcome: Outcome): string | undefined {
  if (outcome === 'done') return undefined;
  return 'dead' in outcome ? outcome.dead : 'retry';
}
