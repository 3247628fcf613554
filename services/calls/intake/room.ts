/**
 * Room on the disks of PostgreSQL's primary. What takes in files waits while one of them is nearly full, and goes on by
 * itself: a file can wait, while a full disk ends every write, posts of calls that nobody tells a second time among them.
 *
 * A disk of which nobody tells holds nothing up.
 */
import type { Clock } from '#platform/lifecycle/clock.ts';
import { within } from '#platform/lifecycle/within.ts';

/** A disk is looked at no more often. */
const LOOK_MS = 1_000;
/** For the first look; nothing is taken in before it. */
const FIRST_LOOK_LIMIT_MS = 5_000;
/** What was seen so long ago says nothing any more. */
const STALE_MS = 15_000;
/** How much emptier a disk must be before it goes on, so that it is not to and fro with every batch. */
const BACK_PERCENT = 1;

/** A file system of the primary's data or write-ahead log. */
export interface PrimaryDisk {
  readonly node: string;
  readonly path: string;
  /** Without what is reserved for root, as df counts. */
  readonly sizeBytes: number;
  /** What those who are not root can still write. */
  readonly freeBytes: number;
}

export interface RoomNeeds {
  /** The disks of the primary, as they are now; none, or rejected: nobody tells. */
  readonly read: () => Promise<readonly PrimaryDisk[]>;
  /** From this use of one of them on there is no room. */
  readonly pausePercent: number;
  readonly clock: Clock;
}

export interface Room {
  /** Why nothing more is taken in, in words; '' while there is room, or nobody tells. Asking has it looked at again soon. */
  readonly shortage: string;
  /**
   * Resolves once there is room.
   * @param onWait told why, where it has to be waited for
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
    // A look that takes longer goes on; until it ends, nobody knows of a shortage.
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
