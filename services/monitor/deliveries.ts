/**
 * Delivers notices, each channel on its own and in order, and retries with backoff if a channel fails. Undelivered notices
 * are part of the state file, so a restart delivers them: at least once. Each attempt is recorded before it is made.
 * After a kill, a recorded attempt may have succeeded. The notice is sent once more with the same id, by which PagerDuty, the
 * webhook and mailboxes recognize a repeat. Slack can't, so the message says that it may be a repeat.
 */
import type { Clock } from '#platform/lifecycle/clock.ts';
import { TimeoutError, within } from '#platform/lifecycle/within.ts';
import { backoffMs } from '#platform/resilience/retry.ts';
import type { Logger } from '#platform/telemetry/logger.ts';
import { type Channel, DeliveryError } from './channels/channel.ts';
import type { Notice } from './notice.ts';
import { SEVERITIES } from './words.ts';

/** One attempt, from the first byte to the answer. */
export const SEND_TIMEOUT_MS = 10_000;
export const SEND_BACKOFF_BASE_MS = 1_000;
export const SEND_BACKOFF_MAX_MS = 120_000;
/** A channel may ask to wait, but not for ever. */
const RETRY_AFTER_LIMIT_MS = 600_000;
/** Maximum of notices that wait for one channel; beyond it the oldest are given up. */
export const QUEUE_LIMIT = 500;

/** Anchor in docs/RUNBOOK.md for a message that was refused for good. */
const GIVEN_UP = 'messagerefused';

/** A notice on its way through one channel; plain data. */
export interface Delivery {
  readonly id: string;
  readonly channel: string;
  readonly notice: Notice;
  /** Number of attempts, the running one included. */
  attempts: number;
}

export interface DeliveriesNeeds {
  /** The queue, shared with the state that is saved; changed in place. */
  readonly queue: Delivery[];
  readonly channels: readonly Channel[];
  readonly clock: Clock;
  /** From 0 up to 1. */
  readonly random: () => number;
  readonly logger: Logger;
  /** Writes the queue to disk; never rejects: an alert is sent even if the disk is full. */
  readonly save: () => Promise<void>;
}

export interface Deliveries {
  /** Puts a notice into the queues of the channels that accept it. The caller saves. @returns the deliveries' ids */
  add(notice: Notice): string[];
  /** Sends notices until the signal; resolves when all channels have stopped. */
  run(signal: AbortSignal): Promise<void>;
  /** Waits for the end of a delivery; rejects if it fails or has not ended within `ms`. */
  outcome(id: string, ms: number): Promise<void>;
  /** Failed attempts in a row, by channel. */
  readonly failures: ReadonlyMap<string, number>;
  /** Deliveries by channel and outcome since the start. */
  readonly counts: ReadonlyMap<string, { delivered: number; failed: number; given_up: number }>;
}

export function createDeliveries(needs: DeliveriesNeeds): Deliveries {
  const { queue, channels, clock, random, logger, save } = needs;
  const failures = new Map(channels.map(({ name }) => [name, 0]));
  const counts = new Map(channels.map(({ name }) => [name, { delivered: 0, failed: 0, given_up: 0 }]));
  const lastFaults = new Map<string, string>();
  const wakers = new Map<string, () => void>();
  const watchers = new Map<string, (error: Error | undefined) => void>();
  /** Deliveries with an attempt of an earlier process, whose result is unknown. */
  const uncertain = new Set(queue.filter(({ attempts }) => attempts > 0).map(({ id }) => id));

  const remove = (delivery: Delivery) => {
    const place = queue.indexOf(delivery);
    if (place >= 0) queue.splice(place, 1);
  };

  const add = (notice: Notice): string[] => put(notice, channels);

  function put(notice: Notice, among: readonly Channel[]): string[] {
    const rank = SEVERITIES.indexOf(notice.severity);
    const taking = among.filter(
      (channel) =>
        channel.takes(notice) && (notice.kind === 'test' || rank >= SEVERITIES.indexOf(channel.from)),
    );
    const added = taking.flatMap((channel) => {
      const single = !channel.perAlert || notice.keys.length < 2;
      const notices = single
        ? [notice]
        : notice.keys.map((key, index) => {
            const { messages, ...rest } = notice;
            return { ...rest, keys: [key], message: messages?.[index] ?? notice.message };
          });
      return notices.map((one, index) => ({
        id: `${notice.id}-${channel.name}${single ? '' : `-${index + 1}`}`,
        channel: channel.name,
        notice: one,
        attempts: 0,
      }));
    });
    queue.push(...added);
    for (const { name } of taking) {
      giveUpOldest(name);
      wakers.get(name)?.();
    }
    return added.map(({ id }) => id);
  }

  function giveUpOldest(channel: string): void {
    const waiting = queue.filter((delivery) => delivery.channel === channel);
    for (const delivery of waiting.slice(0, Math.max(0, waiting.length - QUEUE_LIMIT))) {
      giveUp(delivery, new Error(`more than ${QUEUE_LIMIT} wait for ${channel}`));
    }
  }

  /** Gives up a message that a channel would never accept, and reports this by the other channels. */
  function refused(delivery: Delivery, error: Error): void {
    giveUp(delivery, error);
    const { channel, notice } = delivery;
    if (notice.runbook === GIVEN_UP) return;
    put(
      {
        id: `${delivery.id}-refused`,
        kind: 'notice',
        severity: notice.severity,
        title: 'Monitor Alert',
        message: `${channel} refused for good: ${notice.message}`,
        details: [`It ${error.message}`],
        at: notice.at,
        keys: [],
        runbook: GIVEN_UP,
      },
      channels.filter(({ name }) => name !== channel),
    );
  }

  function giveUp(delivery: Delivery, error: Error): void {
    remove(delivery);
    counts.get(delivery.channel)!.given_up++;
    watchers.get(delivery.id)?.(error);
    logger.error({ delivery: delivery.id, err: error }, `given up: ${delivery.notice.message}`);
  }

  async function runChannel(channel: Channel, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const delivery = queue.find((one) => one.channel === channel.name);
      if (!delivery) await moreWork(channel.name);
      else await attempt(channel, delivery, signal);
    }
  }

  const moreWork = (channel: string) => new Promise<void>((resolve) => void wakers.set(channel, resolve));

  async function attempt(channel: Channel, delivery: Delivery, signal: AbortSignal): Promise<void> {
    delivery.attempts++;
    await save();
    const count = counts.get(channel.name)!;
    try {
      await sendWithin(channel, delivery, signal);
      remove(delivery);
      count.delivered++;
      failures.set(channel.name, 0);
      lastFaults.delete(channel.name);
      watchers.get(delivery.id)?.(undefined);
      await save();
    } catch (error) {
      // While stopping, the result of the attempt is unknown; the next start repeats it.
      if (signal.aborted) return;
      count.failed++;
      failures.set(channel.name, failures.get(channel.name)! + 1);
      lastFaults.set(channel.name, (error as Error).message);
      watchers.get(delivery.id)?.(error as Error);
      if (error instanceof DeliveryError && error.permanent) {
        refused(delivery, error);
        await save();
        return;
      }
      // There was no answer, so the message may have arrived.
      if (!(error instanceof DeliveryError)) uncertain.add(delivery.id);
      const pauseMs = pauseAfter(delivery.attempts, error);
      logger.warn(
        { delivery: delivery.id, attempt: delivery.attempts, pause_ms: Math.round(pauseMs), err: error },
        `${channel.name} did not take an alert`,
      );
      await clock.sleep(pauseMs, signal).catch(() => undefined);
    }
  }

  function pauseAfter(attempts: number, error: unknown): number {
    const asked = error instanceof DeliveryError ? (error.retryAfterMs ?? 0) : 0;
    const backoff = backoffMs(attempts, {
      baseMs: SEND_BACKOFF_BASE_MS,
      maxMs: SEND_BACKOFF_MAX_MS,
      random,
    });
    return Math.max(Math.min(asked, RETRY_AFTER_LIMIT_MS), backoff);
  }

  async function sendWithin(channel: Channel, delivery: Delivery, signal: AbortSignal): Promise<void> {
    const { id, notice } = delivery;
    const send = (cut: AbortSignal) =>
      channel.send({ id, notice, mayRepeat: uncertain.has(id), signal: cut });
    await within(clock, SEND_TIMEOUT_MS, `sending by ${channel.name}`, send, signal);
    uncertain.delete(id);
  }

  return {
    add,
    run: async (signal) => {
      for (const delivery of [...queue]) {
        if (failures.has(delivery.channel)) continue;
        remove(delivery);
        const { channel, notice } = delivery;
        logger.error(
          { delivery: delivery.id },
          `given up, ${channel} is not set any more: ${notice.message}`,
        );
      }
      const wakeAll = () => {
        for (const wake of wakers.values()) wake();
      };
      signal.addEventListener('abort', wakeAll, { once: true });
      await Promise.all(channels.map((channel) => runChannel(channel, signal)));
    },
    outcome: async (id, ms) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      watchers.set(id, (error) => (error ? reject(error) : resolve()));
      try {
        await within(clock, ms, 'delivering it', () => promise);
      } catch (error) {
        const channel = queue.find((delivery) => delivery.id === id)?.channel ?? '';
        const fault = lastFaults.get(channel);
        if (!(error instanceof TimeoutError) || fault === undefined) throw error;
        throw new Error(`${error.message}; what waits before it: ${fault}`);
      } finally {
        watchers.delete(id);
      }
    },
    failures,
    counts,
  };
}
