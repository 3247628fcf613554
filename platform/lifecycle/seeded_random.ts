/** Repeatable randomness: for samples, simulations and tests that take a generator in place of Math.random. */

/**
 * mulberry32, by Tommy Ettinger (public domain): from 0 up to, not including, 1; the same numbers for the same seed on
 * every machine. Not for values that must be unguessable.
 */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
