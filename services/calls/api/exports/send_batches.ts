/** A file as it leaves: batch by batch, each sent while the next one is read. */
import type { ServerResponse } from 'node:http';
import { type ByteOutput, createOutput, freeMemory } from '#platform/database/byte_output.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { RefusedError } from '#platform/resilience/refused.ts';
import type { Place } from '../../store/calls.ts';

export interface Batch {
  readonly out: ByteOutput;
  /** Where the next one begins; undefined: there is none. */
  readonly next: Place | undefined;
}

/** Before it is known how much a batch takes. */
const FIRST_CAPACITY_BYTES = 64 * 1024;

export const batchMemory = (): ByteOutput => createOutput(FIRST_CAPACITY_BYTES);

/**
 * Sends all batches and ends the answer. A batch is read while the one before it is sent, and none further ahead, so that a
 * slow reader makes the export wait. The memory of two batches is used in turn: V8 would count that of each new one as
 * garbage, and go through its whole heap every dozen batches.
 *
 * Where the client has hung up, it ends: that is no fault.
 * @param readNext writes a batch into memory that is free again
 * @throws what `readNext` rejects with
 */
export async function sendBatches(
  raw: ServerResponse,
  first: Batch,
  readNext: (after: Place, out: ByteOutput) => Promise<Batch>,
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
 * Reads again what was not read since its turn did not come in time: who has a part of the file would rather wait for the
 * rest than begin anew. The ticket says when its client has gone, which is another refusal.
 * @param patienceMs after so long it is not tried again
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
