/**
 * One connection to Redis, on which no command waits for longer than COMMAND_LIMIT_MS: the first that does ends the connection, and
 * with it all that wait. Nothing is queued while there is no connection, and nothing is sent twice.
 */
import { createClient } from '@redis/client';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { TimeoutError, within } from '#platform/lifecycle/within.ts';

export const COMMAND_LIMIT_MS = 50;
/** TCP, TLS, AUTH and SELECT together. */
const CONNECT_LIMIT_MS = 500;
/** Commands that wait at once. */
const WAITING_LIMIT = 10_000;

export interface RedisConnection {
  /** @throws Error at once when Redis refuses the command, and when the connection is lost */
  send(words: string[]): Promise<unknown>;
  /** Ends it; what waits fails. */
  close(): void;
}

interface Waiter {
  readonly since: number;
  readonly fail: (error: Error) => void;
}

/**
 * @param url redis: or rediss:, with user and password in it
 * @param onLost called once, when it ends otherwise than by `close`
 * @throws Error when it is not ready in time
 */
export async function openRedisConnection(
  url: string,
  clock: Clock,
  onLost: (error: Error) => void,
): Promise<RedisConnection> {
  const client = createClient({
    url,
    name: 'trunkline',
    disableOfflineQueue: true,
    commandsQueueMaxLength: WAITING_LIMIT,
    maintNotifications: 'disabled',
    socket: { reconnectStrategy: false, connectTimeout: CONNECT_LIMIT_MS },
  });
  /** In the order in which they were sent: the first has waited for longest. */
  const waiting = new Set<Waiter>();
  let cancelLimit: (() => void) | undefined;
  let ended: Error | undefined;

  function end(error: Error): void {
    if (ended) return;
    ended = error;
    cancelLimit?.();
    client.destroy();
    for (const { fail } of waiting) fail(error);
    waiting.clear();
  }

  function lose(error: Error): void {
    if (ended) return;
    end(error);
    onLost(error);
  }

  function watch(): void {
    const [oldest] = waiting;
    if (!oldest || cancelLimit) return;
    const leftMs = Math.max(0, oldest.since + COMMAND_LIMIT_MS - clock.monotonic());
    // An answer that came while this process was busy is read before its time is judged.
    cancelLimit = clock.after(leftMs, () => setImmediate(judge));
  }

  function judge(): void {
    cancelLimit = undefined;
    const [oldest] = waiting;
    if (oldest && clock.monotonic() - oldest.since >= COMMAND_LIMIT_MS)
      lose(new TimeoutError('an answer of Redis', COMMAND_LIMIT_MS));
    else watch();
  }

  client.on('error', lose);
  try {
    await within(clock, CONNECT_LIMIT_MS, 'connecting to Redis', () => client.connect());
  } catch (error) {
    end(error as Error);
    throw error;
  }

  return {
    close: () => end(new Error('the connection to Redis was closed')),
    send(words) {
      if (ended) return Promise.reject(ended);
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      const waiter = { since: clock.monotonic(), fail: reject };
      waiting.add(waiter);
      watch();
      const answered = () => waiting.delete(waiter);
      client.sendCommand(words).finally(answered).then(resolve, reject);
      return promise;
    },
  };
}

/** Redis' answer to PING, on a connection of its own. @throws Error if there is none */
export async function pingRedis(url: string, clock: Clock): Promise<void> {
  const connection = await openRedisConnection(url, clock, () => undefined);
  try {
    await connection.send(['PING']);
  } finally {
    connection.close();
  }
}
