import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createSplitter } from './wire_messages.ts';

interface Message {
  readonly type: number;
  readonly body: Buffer;
}

const message = fc.record(
  {
    type: fc.integer({ min: 0x31, max: 0x7a }),
    body: fc.oneof(
      fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
      fc.integer({ min: 1_000, max: 9_000 }).map((size) => Buffer.alloc(size, size)),
    ),
  },
  { noNullPrototype: true },
);

function encode({ type, body }: Message): Buffer {
  const header = Buffer.alloc(5);
  header[0] = type;
  header.writeInt32BE(4 + body.length, 1);
  return Buffer.concat([header, body]);
}

/** Cuts bytes into chunks of the given sizes, over and over. */
function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length]!;
    // Memory of its own, as a socket gives it, with neighbours that must not be read.
    const room = Buffer.alloc(size + 16, 0xee);
    const chunk = room.subarray(8, 8 + Math.min(size, bytes.length - at));
    bytes.copy(chunk, 0, at, at + size);
    chunks.push(chunk);
    at += size;
  }
  return chunks;
}

const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 13, max: 5_000 })), {
  minLength: 1,
  maxLength: 6,
});

test('messages come out whole and in order, wherever the network cut them', () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 12 }), sizes, (messages, chunkSizes) => {
      const seen: Message[] = [];
      const split = createSplitter((type, view, start, end) => {
        assert.equal(view.getUint8(start), type);
        const body = Buffer.from(view.buffer, view.byteOffset + start + 5, end - start - 5);
        seen.push({ type, body: Buffer.from(body) });
        return true;
      });
      for (const chunk of cut(Buffer.concat(messages.map(encode)), chunkSizes)) {
        assert.equal(split(chunk), undefined);
      }
      assert.deepEqual(seen, messages);
    }),
  );
});

test('what lies behind the last wanted message is given back, byte for byte', () => {
  fc.assert(
    fc.property(fc.array(message, { minLength: 1 }), fc.nat(), sizes, (messages, pick, chunkSizes) => {
      const lastWanted = pick % messages.length;
      let count = 0;
      const split = createSplitter(() => count++ < lastWanted);
      const chunks = cut(Buffer.concat(messages.map(encode)), chunkSizes);
      let rest: Buffer | undefined;
      let given = 0;
      while (rest === undefined && given < chunks.length) rest = split(chunks[given++]!);
      assert.ok(rest);
      const left = Buffer.concat([rest, ...chunks.slice(given)]);
      assert.deepEqual(left, Buffer.concat(messages.slice(lastWanted + 1).map(encode)));
    }),
  );
});

test('memory given for one message is not used again for the next', () => {
  const views: Buffer[] = [];
  const split = createSplitter((_type, view, start, end) => {
    views.push(Buffer.from(view.buffer, view.byteOffset + start, end - start));
    return true;
  });
  const messages = [65, 66, 67].map((type) => encode({ type, body: Buffer.alloc(100, type) }));
  for (const chunk of cut(Buffer.concat(messages), [7])) split(chunk);
  assert.deepEqual(views, messages);
});
