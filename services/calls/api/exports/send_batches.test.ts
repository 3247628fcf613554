import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RefusedError } from '#platform/resilience/refused.ts';
import { readPatiently } from './send_batches.ts';

/** Reads that are refused for so many times, each after 30 s. */
function refusedReads(times: number, refusal: RefusedError['refusal']) {
  let now = 0;
  let reads = 0;
  const read = () => {
    reads++;
    if (reads > times) return Promise.resolve('rows');
    now += 30_000;
    return Promise.reject(new RefusedError(refusal, { waitedMs: 30_000 }));
  };
  const outcome = readPatiently({ monotonic: () => now }, 60_000, read);
  return outcome.then(
    (rows) => ({ rows, reads }),
    (error: Error) => ({ rows: error.message, reads }),
  );
}

test('a batch whose turn has not come in time is read again, for so long; what was refused otherwise is not', async () => {
  assert.deepEqual(await refusedReads(0, 'deadline'), { rows: 'rows', reads: 1 });
  assert.deepEqual(await refusedReads(1, 'deadline'), { rows: 'rows', reads: 2 });
  assert.deepEqual(await refusedReads(9, 'deadline'), { rows: 'refused: deadline', reads: 2 });
  for (const refusal of ['client_gone', 'queue_overload', 'shutting_down'] as const)
    assert.deepEqual(await refusedReads(1, refusal), { rows: `refused: ${refusal}`, reads: 1 });
});
