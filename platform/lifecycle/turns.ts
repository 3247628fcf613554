/**
 * Long work cut into pieces, so that other work on the event loop gets its turn in between. Work on a body is cut by bytes
 * and keys, which are known before; other work is cut by the clock.
 */
import { setImmediate } from 'node:timers/promises';

/** Some tenths of a millisecond of work each. */
export const BYTES_A_TURN = 64 * 1024;
export const KEYS_A_TURN = 1_000;

export interface Turns {
  /**
   * To be called before a piece of work, and awaited where it returns a promise.
   * @param bytes of the piece, at most BYTES_A_TURN, as its keys are at most KEYS_A_TURN
   */
  take(bytes: number, keys: number): Promise<void> | undefined;
}

/** For the work of one request. */
export function createTurns(): Turns {
  let bytes = 0;
  let keys = 0;
  return {
    take: (moreBytes, moreKeys) => {
      bytes += moreBytes;
      keys += moreKeys;
      if (bytes <= BYTES_A_TURN && keys <= KEYS_A_TURN) return undefined;
      bytes = moreBytes;
      keys = moreKeys;
      return setImmediate();
    },
  };
}

/**
 * How long work cut by the clock runs before other work gets its turn. A request takes some turns of the event loop
 * from its first byte to its answer, and waits so long for each.
 */
const TURN_MS = 0.25;

/** Does `work` for each item in order; every TURN_MS other work gets its turn. Short work never waits. */
export async function inTurns<Item>(
  items: Iterable<Item>,
  work: (item: Item, index: number) => void,
): Promise<void> {
  let until = performance.now() + TURN_MS;
  let index = 0;
  for (const item of items) {
    if (performance.now() >= until) {
      await setImmediate();
      until = performance.now() + TURN_MS;
    }
    work(item, index++);
  }
}
