import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from './fake_clock.ts';
import { runJob } from './job.ts';

test('a job runs at once, then every interval with a little jitter, and a failed round is retried', async () => {
  const clock = createFakeClock();
  const stop = new AbortController();
  const [rounds, failures]: [number[], string[]] = [[], []];
  const runOnce = async () => {
    rounds.push(clock.monotonic());
    if (rounds.length === 2) throw new Error('the second fails');
  };
  const onFailure = (job: string, error: unknown) => failures.push(`${job}: ${(error as Error).message}`);
  const running = runJob(
    { name: 'tidy', everyMs: 1_000, runOnce },
    { clock, random: () => 0.5, onFailure },
    stop.signal,
  );
  await clock.advance(3_200);
  const [first] = rounds;
  assert.deepEqual(
    rounds.map((at) => at - first!),
    [0, 1_050, 2_100, 3_150],
  );
  assert.deepEqual(failures, ['tidy: the second fails']);
  stop.abort();
  await running;
  assert.equal(clock.pendingTimers, 0);
});

test('a round that the stop cuts off is no failure', async () => {
  const clock = createFakeClock();
  const stop = new AbortController();
  const runOnce = (stopping: AbortSignal) =>
    new Promise<void>((_, reject) => stopping.addEventListener('abort', () => reject(new Error('stopped'))));
  const onFailure = () => assert.fail('a stopped round was reported');
  const running = runJob(
    { name: 'long', everyMs: 1_000, runOnce },
    { clock, random: () => 0, onFailure },
    stop.signal,
  );
  await clock.flush();
  stop.abort();
  await running;
});
