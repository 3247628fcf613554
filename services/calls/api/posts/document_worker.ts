/** The thread on which large documents are read; see document_reader.ts. */
import { parentPort } from 'node:worker_threads';
import { type PostedDocument, readPostedDocument } from '../../formats/posted_document.ts';

export interface DocumentQuestion {
  readonly id: number;
  readonly body: Uint8Array;
  readonly contentType: string;
}

export interface DocumentAnswer {
  readonly id: number;
  readonly document?: PostedDocument;
  readonly error?: string;
}

parentPort?.on('message', ({ id, body, contentType }: DocumentQuestion) => {
  let answer: DocumentAnswer;
  try {
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    answer = { id, document: readPostedDocument(bytes, contentType) };
  } catch (error) {
    answer = { id, error: (error as Error).message };
  }
  parentPort!.postMessage(answer);
});
