/** Back-ups that a running program makes by itself: at a time of day or at intervals, of which the newest are kept. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#platform/lifecycle/clock.ts';
import type { Lifetime } from '#platform/lifecycle/lifetime.ts';
import type { Logger } from '#platform/telemetry/logger.ts';
import { closePool, createPool } from '../pool.ts';
import { backupName, listBackups, writeWholeFile } from './backup_files.ts';
import { type BackedUpService, takeBackup } from './take.ts';

/** By the clock on this machine's wall; or so long after the one before. */
export type BackupTimes =
  | { readonly kind: 'daily'; readonly hour: number; readonly minute: number }
  | { readonly kind: 'every'; readonly ms: number };

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const UNITS: Readonly<Record<string, number>> = { m: MINUTE_MS, h: HOUR_MS, d: 24 * HOUR_MS };
/** A failed one is tried again after so long. */
export const BACKUP_RETRY_MS = 10 * MINUTE_MS;
/** The wall clock may be set, so it is looked at so often. */
const LOOK_MS = 30_000;
/** So long a back-up that is cut off by a stop may take to put itself away. */
const STOP_LIMIT_MS = 30_000;

/** Reads `03:15`, `30m`, `6h`, `1d`; undefined: it is none of these. */
export function readBackupTimes(text: string): BackupTimes | undefined {
  const [, hour, minute] = /^([01]\d|2[0-3]):([0-5]\d)$/.exec(text) ?? [];
  if (hour) return { kind: 'daily', hour: Number(hour), minute: Number(minute) };
  const [, count, unit] = /^([1-9]\d{0,3})([mhd])$/.exec(text) ?? [];
  return count ? { kind: 'every', ms: Number(count) * UNITS[unit!]! } : undefined;
}

/** Such as `each day at 03:15`. */
export function backupTimesText(times: BackupTimes): string {
  if (times.kind === 'every') {
    const [unit, ms] = Object.entries(UNITS).findLast(([, ms]) => times.ms % ms === 0)!;
    return `every ${times.ms / ms} ${unit === 'm' ? 'min' : unit}`;
  }
  const two = (n: number) => String(n).padStart(2, '0');
  return `each day at ${two(times.hour)}:${two(times.minute)}`;
}

/**
 * When the next one is due, wall-clock milliseconds since 1970; not after `now`: at once. One that was missed, since nothing ran
 * then, is due at once.
 * @param newest when the newest one was begun; undefined: there is none
 */
export function nextBackup(times: BackupTimes, newest: number | undefined, now: number): number {
  if (newest === undefined) return now;
  // One that is dated ahead says nothing: the clock has been set.
  if (times.kind === 'every') return Math.min(newest, now) + times.ms;
  const last = new Date(now);
  last.setHours(times.hour, times.minute, 0, 0);
  if (last.getTime() > now) last.setDate(last.getDate() - 1);
  if (newest < last.getTime()) return now;
  const next = new Date(last);
  next.setDate(next.getDate() + 1);
  return next.getTime();
}

export interface ScheduledBackups {
  readonly url: string;
  readonly services: readonly BackedUpService[];
  readonly folder: string;
  readonly times: BackupTimes;
  /** How many are left in the folder; others that are there are removed once a new one is whole. */
  readonly keep: number;
  /** Version of the program. */
  readonly program: string;
  readonly secret: Buffer | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Makes back-ups until the lifetime ends. One that fails is logged and tried again; nothing else depends on it. */
export function startScheduledBackups(needs: ScheduledBackups, lifetime: Lifetime): void {
  const running = run(needs, lifetime.stopping);
  lifetime.onStop('scheduled back-ups', () => running, STOP_LIMIT_MS);
}

async function run(needs: ScheduledBackups, stopping: AbortSignal): Promise<void> {
  const { clock, folder, times, logger } = needs;
  const sleep = (ms: number) => clock.sleep(ms, stopping).catch(() => undefined);
  while (!stopping.aborted) {
    try {
      const newest = (await listBackups(folder))[0]?.at;
      const wait = nextBackup(times, newest, clock.now()) - clock.now();
      if (wait > 0) {
        await sleep(Math.min(wait, LOOK_MS));
        continue;
      }
      await makeBackup(needs, stopping);
    } catch (error) {
      if (stopping.aborted) return;
      logger.error({ err: error, folder }, 'the back-up failed; it is tried again in 10 minutes');
      await sleep(BACKUP_RETRY_MS);
    }
  }
}

/** Makes one now, and removes those that are too many. */
export async function makeBackup(needs: ScheduledBackups, signal: AbortSignal): Promise<void> {
  const { url, services, folder, keep, program, secret, clock, logger } = needs;
  const began = clock.monotonic();
  const now = clock.now();
  const file = join(folder, backupName(now));
  const onIdleError = () => undefined;
  const pool = createPool({ url, applicationName: 'trunkline-backup', size: 1, onIdleError });
  try {
    const progress = { table: '', rows: 0, share: 0 };
    const taken = await takeBackup(pool, services, { program, secret, progress, signal }, (bytes) =>
      writeWholeFile(file, bytes, now, () => undefined),
    );
    const seconds = (clock.monotonic() - began) / 1_000;
    logger.info({ file, rows: taken.rows, bytes: taken.bytes, seconds }, 'a back-up was made');
  } finally {
    await closePool(pool);
  }
  for (const { path } of (await listBackups(folder)).slice(keep)) {
    await rm(path, { force: true });
    logger.info({ file: path }, 'an old back-up was removed');
  }
}
