/** Sends a file batch by batch; each is sent while the next one is read. */
import type { ServerResponse } from 'node:http';
import { type ByteOutput, createOutput, freeMemory } from '#platform/database/byte_output.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { RefusedError } from '#platform/resilience/refused.ts';
import type { KeysetPosition } from '../../store/calls.ts';

export interface Batch {
  readonly out: ByteOutput;
  /** Where the next batch begins. Undefined: there is none. */
  readonly next: KeysetPosition | undefined;
}

/** Before the size of a batch is known. */
const FIRST_CAPACITY_BYTES = 64 * 1024;

export const batchMemory = (): ByteOutput => createOutput(FIRST_CAPACITY_BYTES);

/**
 * Sends all batches and ends the answer. A batch is read while the one before it is sent, and none further ahead, so that a
 * slow reader makes the export wait. Two batches use two blocks of memory in turn: V8 would count new blocks as garbage,
 * and collect its whole heap every dozen batches.
 *
 * If the client has hung up, the export ends without an error.
 * @param readNext writes a batch into memory that is free again
 * @throws the errors of `readNext`
 */
export async function sendBatches(
  raw: ServerResponse,
  first: Batch,
  readNext: (after: KeysetPosition, out: ByteOutput) => Promise<Batch>,
): Promise<void> {
  let batch = first;
  let spare = batchMemory();
  for (;;) {
    const reading = batch.next && readNext(batch.next, spare);
    reading?.catch(() => undefined); // told below, once this batch is sent
    const sent = await write(raw, batch.out.bytes.subarray(0, batch.out.at));
    if (!sent) return;
    if (!reading) break;
    spare = batch.out;
    batch = await reading;
  }
  raw.end();
  freeMemory(batch.out.bytes);
  freeMemory(spare.bytes);
}

/**
 * Repeats a read whose turn did not come in time: a client with a part of the file would rather wait for the rest than start
 * again. If the client has gone, the context gives another refusal.
 * @param patienceMs after this time there is no further try
 */
export async function readPatiently<T>(
  clock: Pick<Clock, 'monotonic'>,
  patienceMs: number,
  read: () => Promise<T>,
): Promise<T> {
  const giveUpAt = clock.monotonic() + patienceMs;
  for (;;) {
    try {
      return await read();
    } catch (error) {
      const isUnread = error instanceof RefusedError && error.refusal === 'deadline';
      if (!isUnread || clock.monotonic() >= giveUpAt) throw error;
    }
  }
}

/** Resolves when the bytes have left the process; with false where they can't, since the client has hung up. */
function write(raw: ServerResponse, bytes: Buffer): Promise<boolean> {
  if (raw.destroyed) return Promise.resolve(false);
  return new Promise((sent) => {
    const onClose = () => sent(false);
    raw.once('close', onClose); // what is written to a lost connection may be dropped without a word
    raw.write(bytes, (error) => {
      raw.off('close', onClose);
      sent(!error);
    });
  });
}
