import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inTurns } from './turns.ts';

/** Keeps the processor busy for so long. */
function work(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

test('long work is done in order, and other waiting work gets its turn in between', async () => {
  let others = 0;
  const timer = setInterval(() => others++, 0);
  const done: number[] = [];
  await inTurns([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], (item, index) => {
    assert.equal(index, item - 1);
    work(2);
    done.push(item);
  });
  clearInterval(timer);
  assert.deepEqual(done, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  assert.ok(others >= 5, `others had ${others} turns`);
});

test('an error of the work ends it', async () => {
  const done: number[] = [];
  const working = inTurns([1, 2, 3], (item) => {
    if (item === 2) throw new Error('two');
    done.push(item);
  });
  await assert.rejects(working, /two/);
  assert.deepEqual(done, [1]);
});
