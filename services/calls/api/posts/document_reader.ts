/**
 * Reads posted documents: small ones here, large ones on a separate thread, so that none holds up other requests. The first
 * large document starts the thread.
 */
import { Worker } from 'node:worker_threads';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { BYTES_A_TURN, KEYS_A_TURN } from '#platform/lifecycle/turns.ts';
import { within } from '#platform/lifecycle/within.ts';
import { RefusedError } from '#platform/resilience/refused.ts';
import { TooManyKeysError } from '../../formats/freeswitch_post.ts';
import { MAX_ENCODED_BYTES } from '../../formats/json_documents.ts';
import { type PostedDocument, readPostedDocument } from '../../formats/posted_document.ts';
import type { DocumentAnswer, DocumentQuestion } from './document_worker.ts';

export interface DocumentReader {
  /**
   * @param contentType as in the request's header
   * @throws Error whose message is a sentence for the sender; RefusedError when too many large ones wait
   */
  read(body: Buffer, contentType: string): Promise<PostedDocument>;
  close(): Promise<void>;
}

/** Large documents that wait for the thread. */
const MAX_WAITING = 32;
/** A document of MAX_ENCODED_BYTES takes some 50 ms. One that takes this long was made to. */
const DOCUMENT_LIMIT_MS = 10_000;
const WORKER_HEAP_MB = 256;

interface Waiting {
  readonly answered: (document: PostedDocument) => void;
  readonly failed: (error: Error) => void;
}

export function createDocumentReader(): DocumentReader {
  let worker: Worker | undefined;
  let asked = 0;
  const waiting = new Map<number, Waiting>();

  function start(): Worker {
    const started = new Worker(new URL('./document_worker.ts', import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: WORKER_HEAP_MB },
    });
    started.unref();
    started.on('message', ({ id, document, error }: DocumentAnswer) => {
      const question = waiting.get(id);
      if (!question) return;
      waiting.delete(id);
      if (document) question.answered({ ...document, bytes: Buffer.from(document.bytes) });
      else question.failed(new Error(error));
    });
    started.on('error', (error) => giveUp(started, error));
    started.on('exit', () => giveUp(started, new Error('the thread that reads documents has ended')));
    return started;
  }

  /** All documents that wait for a thread fail with it. The next one starts another thread. */
  function giveUp(lost: Worker, error: Error): void {
    if (worker !== lost) return;
    worker = undefined;
    for (const { failed } of waiting.values()) failed(error);
    waiting.clear();
    void lost.terminate();
  }

  function ask(body: Buffer, contentType: string): Promise<PostedDocument> {
    if (waiting.size >= MAX_WAITING) throw new RefusedError('queue_overload', { waitedMs: 0 });
    worker ??= start();
    const current = worker;
    return within(systemClock, DOCUMENT_LIMIT_MS, 'reading the document', (signal) => {
      const { promise, resolve, reject } = Promise.withResolvers<PostedDocument>();
      signal.addEventListener('abort', () => giveUp(current, signal.reason));
      const id = asked++;
      waiting.set(id, { answered: resolve, failed: reject });
      current.postMessage({ id, body, contentType } satisfies DocumentQuestion);
      return promise;
    });
  }

  return {
    read: async (body, contentType) => {
      if (body.length > MAX_ENCODED_BYTES)
        throw new Error(`the document has ${body.length} bytes; at most ${MAX_ENCODED_BYTES} are read`);
      if (body.length > BYTES_A_TURN) return ask(body, contentType);
      try {
        return readPostedDocument(body, contentType, KEYS_A_TURN);
      } catch (error) {
        if (error instanceof TooManyKeysError) return ask(body, contentType);
        throw error;
      }
    },
    close: async () => void (await worker?.terminate()),
  };
}
