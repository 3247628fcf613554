import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '#platform/lifecycle/fake_clock.ts';
import type { EndedSpan } from './span.ts';
import {
  BATCH_SPANS,
  BUFFER_LIMIT,
  createSpanBuffer,
  EXPORT_EVERY_MS,
  EXPORT_LIMIT_MS,
} from './span_buffer.ts';

const span: EndedSpan = {
  ...{ traceId: '1'.repeat(32), spanId: '2'.repeat(16), service: 'test', parent: undefined, links: [] },
  ...{ name: 'a span', kind: 'internal', startedAt: 1, endedAt: 2, attributes: {}, error: undefined },
};

/** A buffer before a receiver that takes spans, fails, or never answers. */
function buffered() {
  const clock = createFakeClock();
  const sent: number[] = [];
  const dropped: Record<string, number> = {};
  const receiver = { state: 'takes' as 'takes' | 'fails' | 'frozen', exported: 0 };
  const buffer = createSpanBuffer({
    clock,
    send: (spans) => {
      sent.push(spans.length);
      if (receiver.state === 'frozen') return new Promise(() => undefined);
      return receiver.state === 'fails' ? Promise.reject(new Error('refused')) : Promise.resolve();
    },
    onExported: (spans) => {
      receiver.exported += spans.length;
    },
    onDropped: (spans, reason) => {
      dropped[reason] = (dropped[reason] ?? 0) + spans.length;
    },
  });
  const add = (count: number) => {
    for (let n = 0; n < count; n++) buffer.add(span);
  };
  return { clock, sent, dropped, receiver, buffer, add };
}

test('few spans go together after a while, a full batch at once', async () => {
  const { clock, sent, add, buffer, receiver } = buffered();
  add(3);
  await clock.advance(EXPORT_EVERY_MS - 1);
  assert.deepEqual(sent, []);
  await clock.advance(1);
  assert.deepEqual(sent, [3]);
  add(2 * BATCH_SPANS + 5);
  await clock.flush();
  assert.deepEqual(sent, [3, BATCH_SPANS, BATCH_SPANS]);
  await clock.advance(EXPORT_EVERY_MS);
  assert.deepEqual(sent, [3, BATCH_SPANS, BATCH_SPANS, 5]);
  await buffer.close(1_000);
  assert.equal(receiver.exported, 2 * BATCH_SPANS + 8);
  assert.equal(clock.pendingTimers, 0);
});

test('a frozen receiver costs spans, counted, and no more memory than the limit', async () => {
  const { clock, sent, dropped, receiver, add, buffer } = buffered();
  receiver.state = 'frozen';
  add(10 * BUFFER_LIMIT);
  await clock.flush();
  assert.deepEqual(sent, [BATCH_SPANS], 'one batch is under way');
  assert.deepEqual({ ...dropped }, { buffer_full: 9 * BUFFER_LIMIT });
  await clock.advance(2 * EXPORT_LIMIT_MS);
  assert.equal(dropped.export_failed, BATCH_SPANS, 'a batch without an answer is given up');
  receiver.state = 'takes';
  await clock.advance(2 * EXPORT_LIMIT_MS);
  const { export_failed: failed = 0 } = dropped;
  assert.equal(receiver.exported, BUFFER_LIMIT - failed, 'it goes on with what waits');
  await buffer.close(1_000);
});

test('spans that the receiver refuses are dropped and counted', async () => {
  const { clock, dropped, receiver, add, buffer } = buffered();
  receiver.state = 'fails';
  add(7);
  await clock.advance(EXPORT_EVERY_MS);
  assert.deepEqual(dropped, { export_failed: 7 });
  await buffer.close(1_000);
  assert.equal(clock.pendingTimers, 0);
});

test('at a stop the last spans are sent; what a frozen receiver leaves is dropped within the limit', async () => {
  const quick = buffered();
  quick.add(3);
  await quick.buffer.close(1_000);
  assert.equal(quick.receiver.exported, 3);
  quick.add(1);
  assert.deepEqual(quick.dropped, { stopped: 1 }, 'what comes later');

  const frozen = buffered();
  frozen.receiver.state = 'frozen';
  frozen.add(BATCH_SPANS + 3);
  const closing = frozen.buffer.close(1_000);
  await frozen.clock.advance(1_000);
  await closing;
  assert.deepEqual(frozen.dropped, { stopped: BATCH_SPANS + 3 });
});
