import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { Readable } from 'node:stream';
import { test } from 'node:test';
import type { FastifyReply } from 'fastify';
import { createFakeClock } from '#platform/lifecycle/fake_clock.ts';
import { createEventStreams, STALLED_MS } from './event_stream.ts';

const INTERVAL_MS = 1_000;

function setUp() {
  const clock = createFakeClock();
  const stop = new AbortController();
  let made = 0;
  let now: object = { n: 0 };
  const streams = createEventStreams({
    intervalMs: INTERVAL_MS,
    current: () => {
      made++;
      return now;
    },
    clock,
    stopping: stop.signal,
  });
  const open = (mayStill?: () => boolean) => {
    const raw = Object.assign(new EventEmitter(), { closed: false });
    let readable!: Readable;
    const reply = {
      raw,
      type: () => reply,
      header: () => reply,
      send: (stream: Readable) => {
        readable = stream;
        return reply;
      },
    };
    streams.open(reply as unknown as FastifyReply, mayStill);
    return { raw, readable };
  };
  /** The events that a reader has read. */
  const read = (readable: Readable) => {
    const texts: string[] = [];
    readable.on('data', (bytes) => texts.push(String(bytes)));
    return texts;
  };
  return {
    ...{ clock, stop, streams, open, read },
    tell: (value: object) => {
      now = value;
    },
    get made() {
      return made;
    },
  };
}

test('the current value comes at once, and each new value once; its text is made once for all readers', async () => {
  const { clock, open, read, tell, ...rest } = setUp();
  const all = Array.from({ length: 50 }, () => read(open().readable));
  await clock.flush();
  for (const texts of all) assert.deepEqual(texts, ['data: {"n":0}\n\n']);
  tell({ n: 1 });
  await clock.advance(INTERVAL_MS);
  await clock.advance(INTERVAL_MS);
  for (const texts of all) assert.deepEqual(texts.slice(1), ['data: {"n":1}\n\n']);
  const late = read(open().readable);
  await clock.flush();
  assert.deepEqual(late, ['data: {"n":1}\n\n']);
  const { made } = Object.assign(rest);
  assert.ok(made <= 4, `made ${made} times`);
});

test('a stream ends if its reader reads nothing for a minute; a slow reader stays', async () => {
  const { clock, open, tell, streams } = setUp();
  const stalled = open();
  const slow = open();
  const ended: string[] = [];
  stalled.readable.on('close', () => ended.push('stalled')).on('error', () => undefined);
  slow.readable.on('close', () => ended.push('slow'));
  for (let second = 0; second < STALLED_MS / 1_000 + 60; second++) {
    tell({ n: second, much: 'x'.repeat(20_000) });
    await clock.advance(INTERVAL_MS);
    if (second % 30 === 0) slow.readable.read();
    assert.ok(stalled.readable.readableLength < 100_000, 'nothing is put by for it');
  }
  assert.deepEqual(ended, ['stalled']);
  assert.equal(streams.size, 1);
});

test('a stream ends when its reader loses the right to it or hangs up, or the service stops; none is left over', async () => {
  const { clock, open, read, streams, stop } = setUp();
  let may = true;
  const revoked = open(() => may);
  const gone = open();
  const last = open();
  const ended: string[] = [];
  revoked.readable.on('end', () => ended.push('revoked'));
  last.readable.on('end', () => ended.push('last'));
  for (const { readable } of [revoked, last]) read(readable);
  may = false;
  await clock.advance(INTERVAL_MS);
  assert.deepEqual(ended, ['revoked']);
  gone.raw.emit('close');
  assert.equal(streams.size, 1);
  stop.abort(new Error('stopping'));
  await clock.flush();
  await clock.flush();
  assert.deepEqual(ended, ['revoked', 'last']);
  assert.equal(streams.size, 0);
  assert.equal(clock.pendingTimers, 0);
});
