/**
 * Values and counters in Redis, for all processes. Redis that is dead, frozen or far away costs the requests of a moment
 * COMMAND_LIMIT_MS at most, and all later ones nothing: they fail at once, until a probe succeeds. A probe goes out each second,
 * also while Redis answers, so that a silence is mostly found by a probe and not by a request.
 *
 * A value's end is an instant of Redis' own clock, which each probe reads. A time to live that is counted from the arrival would begin
 * anew for a command that lay in a frozen Redis, and keep a value alive that no longer holds.
 */
import type { Clock } from '#platform/lifecycle/clock.ts';
import { CacheAwayError, type CacheStore, VALUE_LIMIT } from './cache.ts';
import { openRedisConnection, type RedisConnection } from './redis_connection.ts';

/** Between two probes. */
export const PROBE_MS = 1_000;

/** INCR alone would make a counter that never ends if the window ended just before it. */
const INCREMENT = `local count = redis.call('INCR', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  left = tonumber(ARGV[1])
end
return {count, left}`;

export interface RedisStoreOptions {
  readonly url: string;
  /** What every name begins with: installations that share a Redis have one each. */
  readonly prefix: string;
  readonly clock: Clock;
  /** Told when Redis is away, with the reason, and when it is back. */
  readonly onChange: (isUp: boolean, reason?: Error) => void;
}

/** Starts, whether Redis answers or not. */
export async function startRedisStore({
  url,
  prefix,
  clock,
  onChange,
}: RedisStoreOptions): Promise<CacheStore> {
  const stopping = new AbortController();
  let connection: RedisConnection | undefined;
  /** Redis' clock less the monotonic one here. */
  let offsetMs = 0;
  let wasUp: boolean | undefined;

  function tell(isUp: boolean, reason?: Error): void {
    if (wasUp === isUp || stopping.signal.aborted) return;
    wasUp = isUp;
    onChange(isUp, reason);
  }

  function lost(error: Error): void {
    connection = undefined;
    tell(false, error);
  }

  /** Rather too early than too late: as if Redis had read its clock when its answer came. */
  async function readClock(on: RedisConnection): Promise<void> {
    const [seconds, micros] = (await on.send(['TIME'])) as [string, string];
    offsetMs = Number(seconds) * 1_000 + Number(micros) / 1_000 - clock.monotonic();
  }

  async function probe(): Promise<void> {
    let opened = connection;
    try {
      opened ??= await openRedisConnection(url, clock, lost);
      await readClock(opened);
      if (stopping.signal.aborted) return opened.close();
      connection = opened;
      tell(true);
    } catch (error) {
      opened?.close();
      lost(error as Error);
    }
  }

  async function keepProbing(): Promise<void> {
    while (!stopping.signal.aborted) {
      await clock.sleep(PROBE_MS, stopping.signal).catch(() => undefined);
      if (!stopping.signal.aborted) await probe();
    }
  }

  await probe();
  const probing = keepProbing();

  /** The answers, of one connection. */
  async function ask(...commands: string[][]): Promise<unknown[]> {
    if (!connection) throw new CacheAwayError('Redis is away');
    const on = connection;
    try {
      return await Promise.all(commands.map((words) => on.send(words)));
    } catch (error) {
      throw new CacheAwayError('Redis has not answered', { cause: error });
    }
  }
  const valueKey = (name: string) => `${prefix}:v:${name}`;
  const counterKey = (name: string) => `${prefix}:n:${name}`;

  return {
    isShared: true,
    get isUp() {
      return connection !== undefined;
    },
    async get(name) {
      // In this order: a value that comes in between has a longer time to live than is said.
      const [left, value] = await ask(['PTTL', valueKey(name)], ['GET', valueKey(name)]);
      const leftMs = Number(left);
      return typeof value === 'string' && leftMs > 0 ? { value, leftMs } : undefined;
    },
    async set(name, value, ttlMs) {
      if (value.length > VALUE_LIMIT) return void (await ask(['DEL', valueKey(name)]));
      const end = Math.floor(clock.monotonic() + offsetMs + ttlMs);
      await ask(['SET', valueKey(name), value, 'PXAT', String(end)]);
    },
    async delete(name) {
      await ask(['DEL', valueKey(name)]);
    },
    async increment(name, windowMs) {
      const [answer] = await ask(['EVAL', INCREMENT, '1', counterKey(name), String(windowMs)]);
      const [count, left] = answer as [number, number];
      return { count, leftMs: Math.max(1, left) };
    },
    async stop() {
      stopping.abort(new Error('stopping'));
      connection?.close();
      connection = undefined;
      await probing;
    },
  };
}
