/** A back-up's chunks give back what was put in, and nothing else. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { printedSeed } from '#tests/seed.ts';
import { BackupFileError, CHUNK_BYTES, openChunks, type Sealing, sealChunks } from './chunks.ts';

const SEALED_CHUNK_BYTES = CHUNK_BYTES + 16;
const sealings: Record<string, Sealing> = {
  'with a key': { secret: randomBytes(32), salt: randomBytes(16), header: Buffer.from('header') },
  'without one': { secret: undefined, salt: randomBytes(16), header: Buffer.from('header') },
};

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function all(bytes: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of bytes) parts.push(part);
  return Buffer.concat(parts);
}

const open = (bytes: Buffer, sealing: Sealing, size = 50_000) =>
  all(openChunks(pieces(bytes, size), sealing));

for (const [name, sealing] of Object.entries(sealings)) {
  test(`chunks ${name} give back what was closed, of any length and in any pieces`, async (t) => {
    const lengths = fc.oneof(
      fc.constantFrom(0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES),
      fc.nat(3 * CHUNK_BYTES),
    );
    const property = fc.asyncProperty(
      lengths,
      fc.integer({ min: 1_000, max: 200_000 }),
      async (length, size) => {
        const bytes = randomBytes(length);
        const sealed = await all(sealChunks(pieces(bytes, size), sealing));
        assert.ok((await open(sealed, sealing, size)).equals(bytes));
      },
    );
    await fc.assert(property, { seed: printedSeed(t), numRuns: 40 });
  });

  test(`chunks ${name} that were cut, changed, swapped or lengthened are refused`, async (t) => {
    const bytes = randomBytes(3 * CHUNK_BYTES + 1_000);
    const sealed = await all(sealChunks(pieces(bytes, CHUNK_BYTES), sealing));
    const refused = (changed: Buffer) => assert.rejects(open(changed, sealing), BackupFileError);
    for (const cut of [0, 1, SEALED_CHUNK_BYTES, 2 * SEALED_CHUNK_BYTES, sealed.length - 1])
      await refused(sealed.subarray(0, cut));
    await refused(Buffer.concat([sealed, Buffer.alloc(1)]));
    const [first, second] = [0, 1].map((n) =>
      sealed.subarray(n * SEALED_CHUNK_BYTES, (n + 1) * SEALED_CHUNK_BYTES),
    );
    await refused(Buffer.concat([second!, first!, sealed.subarray(2 * SEALED_CHUNK_BYTES)]));
    await refused(sealed.subarray(SEALED_CHUNK_BYTES));
    const property = fc.asyncProperty(
      fc.nat(sealed.length - 1),
      fc.integer({ min: 1, max: 255 }),
      async (at, by) => {
        const changed = Buffer.from(sealed);
        changed[at] = changed[at]! ^ by;
        await refused(changed);
      },
    );
    await fc.assert(property, { seed: printedSeed(t), numRuns: 60 });
  });
}

test('a header that was changed opens nothing', async () => {
  for (const sealing of Object.values(sealings)) {
    const sealed = await all(sealChunks(pieces(randomBytes(10), 10), sealing));
    await assert.rejects(open(sealed, { ...sealing, header: Buffer.from('Header') }), BackupFileError);
  }
});
