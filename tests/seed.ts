/** Seeds of property tests. */
import { randomInt } from 'node:crypto';
import type { TestContext } from 'node:test';

const SEEDS = 2 ** 31;

/** A seed for fast-check, printed with the test, so that a run can be done again whatever came of it. */
export function printedSeed(t: TestContext): number {
  const seed = randomInt(SEEDS);
  t.diagnostic(`seed ${seed}`);
  return seed;
}
