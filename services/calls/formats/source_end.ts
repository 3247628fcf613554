/**
 * A fingerprint of a source at its end, in a few bytes. It recognises a file that has grown since, whatever the name, the
 * inode and the packing of the file are by now.
 *
 * A hash of all bytes would cost an import a tenth of its rate, and a reader that resumes does not see all bytes. So the
 * fingerprint is of the length and of the first and the last kilobytes. Rows hold times, so two files of one length with
 * the same last fifty rows are the same file, or one that was mended further above.
 */
import { hash } from 'node:crypto';

export interface SourceEnd {
  /** How many bytes it held, unpacked. */
  readonly bytes: number;
  /** SHA-256 of its first bytes, in hexadecimal. It leaves few ends that need a closer look. */
  readonly head: string;
  /** SHA-256 in hexadecimal. */
  readonly fingerprint: string;
}

/** An earlier end of a source. */
export interface EarlierEnd extends SourceEnd {
  /** The rows that were given only because the source ended, by offset in the source, with the hash of their bytes. */
  readonly rows: readonly { readonly offset: number; readonly hash: string }[];
}

/** What happens to the provisional rows of an end. */
export interface Replacement {
  readonly end: EarlierEnd;
  /**
   * `all`: the source has gone on, and later rows replace them.
   * `rejected`: their calls stay, and stay provisional. The source has ended there again.
   * `whole`: the one row is whole, and its call stays.
   */
  readonly what: 'all' | 'rejected' | 'whole';
  /** Of the batch's first row from there on. */
  readonly place: number;
}

/** More than any header: files of one switch begin alike. */
export const HEAD_BYTES = 8 * 1024;
export const LAST_BYTES = 16 * 1024;

export interface SourcePrint {
  /** The number of bytes so far. */
  readonly bytes: number;
  /** @param chunk is not kept, except for the last ones */
  add(chunk: Buffer): void;
  /** The end, if the source ends here. */
  end(): SourceEnd;
}

/** The source before a place in it: enough of it to go on from there. */
export interface Before {
  /** The number of bytes before the place. */
  readonly offset: number;
  /** The first HEAD_BYTES of the source, what follows the place among them; or all that is there. */
  readonly head: Buffer;
  /** The last LAST_BYTES before the place, or all. */
  readonly last: Buffer;
}

export function createSourcePrint(before?: Before): SourcePrint {
  let bytes = before?.offset ?? 0;
  const head = Buffer.alloc(HEAD_BYTES);
  before?.head.copy(head);
  let last: Buffer[] = before ? [before.last] : [];
  let lastBytes = before?.last.length ?? 0;

  return {
    get bytes() {
      return bytes;
    },
    add(chunk) {
      if (bytes < HEAD_BYTES) chunk.copy(head, bytes);
      bytes += chunk.length;
      last.push(chunk);
      lastBytes += chunk.length;
      while (lastBytes - last[0]!.length >= LAST_BYTES) lastBytes -= last.shift()!.length;
      // Of a pipe that gives a few bytes at a time there would be many.
      if (last.length > 64) last = [Buffer.concat(last)];
    },
    end() {
      const end = Buffer.concat(last).subarray(-LAST_BYTES);
      const begin = head.subarray(0, headLength(bytes));
      const all = Buffer.concat([Buffer.from(`${bytes} `), begin, end]);
      return { bytes, head: headOf(begin, begin.length), fingerprint: hash('sha256', all) };
    },
  };
}

/** The number of bytes in the `head` of a source of this length. */
export const headLength = (bytes: number): number => Math.min(bytes, HEAD_BYTES);

/** The `head` of a source that begins so. @param length as headLength gives it */
export const headOf = (begin: Buffer, length: number): string => hash('sha256', begin.subarray(0, length));
