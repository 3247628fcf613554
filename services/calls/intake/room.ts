/**
 * Free space on the disks of PostgreSQL's primary. Imports of files wait while a disk is nearly full, and go on without
 * help: a file can wait, but a full disk stops every write, also those of posted calls that are sent only once.
 *
 * A disk of unknown state holds up no import.
 */
import type { Clock } from '#platform/lifecycle/clock.ts';
import { within } from '#platform/lifecycle/within.ts';

/** The shortest time between two checks of a disk. */
const LOOK_MS = 1_000;
/** The limit for the first check, before which no import begins. */
const FIRST_LOOK_LIMIT_MS = 5_000;
/** An older result is not used any more. */
const STALE_MS = 15_000;
/** How much emptier a disk must be before imports go on, so that they do not stop and start with every batch. */
const BACK_PERCENT = 1;

/** A file system of the primary's data or write-ahead log. */
export interface PrimaryDisk {
  readonly node: string;
  readonly path: string;
  /** Without the space that is reserved for root, as df counts. */
  readonly sizeBytes: number;
  /** The space that processes other than root can still write. */
  readonly freeBytes: number;
}

export interface RoomNeeds {
  /** The disks of the primary now. None, or rejected: their state is unknown. */
  readonly read: () => Promise<readonly PrimaryDisk[]>;
  /** From this use of one of them on, imports wait. */
  readonly pausePercent: number;
  readonly clock: Clock;
}

export interface Room {
  /** Why imports wait, for people; '' while there is space, or its state is unknown. A call also starts a new check soon. */
  readonly shortage: string;
  /**
   * Resolves once there is room.
   * @param onWait gets the reason, if there is a wait
   * @throws the signal's reason
   */
  wait(signal: AbortSignal, onWait?: (shortage: string) => void): Promise<void>;
}

export function createRoom({ read, pausePercent, clock }: RoomNeeds): Room {
  let shortage = '';
  let knownAt = Number.NEGATIVE_INFINITY;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let looking: Promise<void> | undefined;

  async function look(): Promise<void> {
    const disks = await read().catch(() => []);
    lookedAt = clock.monotonic();
    if (disks.length === 0) return;
    knownAt = lookedAt;
    const isBack = shortage !== '';
    const limit = isBack ? pausePercent - BACK_PERCENT : pausePercent;
    const full = disks.find((disk) => usedPercent(disk) >= limit);
    shortage = full
      ? `${full.node}: ${Math.floor(usedPercent(full))} % of ${full.path} is used, a disk of PostgreSQL; ` +
        `files wait until it is less than ${pausePercent - BACK_PERCENT} % (DISK_PAUSE_PERCENT)`
      : '';
  }

  function renew(): Promise<void> | undefined {
    if (!looking && clock.monotonic() - lookedAt >= LOOK_MS)
      looking = look().finally(() => {
        looking = undefined;
      });
    return looking;
  }

  async function firstLook(): Promise<void> {
    // A longer check goes on. Until it ends, no shortage is known.
    await within(clock, FIRST_LOOK_LIMIT_MS, 'a look at the disks', renew).catch(() => undefined);
  }

  const now = (): string => {
    void renew();
    return clock.monotonic() - knownAt < STALE_MS ? shortage : '';
  };

  return {
    get shortage() {
      return now();
    },
    async wait(signal, onWait = () => undefined) {
      signal.throwIfAborted();
      if (lookedAt === Number.NEGATIVE_INFINITY) await firstLook();
      let told = '';
      for (let why = now(); why !== ''; why = now()) {
        if (told === '') onWait(why);
        told = why;
        await clock.sleep(LOOK_MS, signal);
      }
    },
  };
}

const usedPercent = ({ sizeBytes, freeBytes }: PrimaryDisk): number =>
  sizeBytes > 0 ? 100 * (1 - freeBytes / sizeBytes) : 0;
