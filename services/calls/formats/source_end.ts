/**
 * What a source held when it ended, in a few bytes: by it a file is recognised that has grown since, whatever its name,
 * its inode and its packing are by now.
 *
 * A hash of all bytes would cost an import a tenth of its rate, and one that reads on from a place does not see them. So the
 * fingerprint is of the length and of the first and the last kilobytes: rows bear times, so two files of one length whose
 * last fifty rows are the same are the same file, or one that was mended further above.
 */
import { hash } from 'node:crypto';

export interface SourceEnd {
  /** How many bytes it held, unpacked. */
  readonly bytes: number;
  /** SHA-256 of its first bytes, in hexadecimal: by it few ends need a closer look. */
  readonly head: string;
  /** SHA-256 in hexadecimal. */
  readonly fingerprint: string;
}

/** What a source was seen to end with before. */
export interface EarlierEnd extends SourceEnd {
  /** The rows that were given only because it ended, by offset in the source, with the hash of their bytes. */
  readonly rows: readonly { readonly offset: number; readonly hash: string }[];
}

/** What becomes of the provisional rows of an end. */
export interface Replacement {
  readonly end: EarlierEnd;
  /**
   * `all`: the source has gone on, and rows take their place.
   * `aside`: their calls stay, and stay provisional; the source has ended there again.
   * `whole`: the one row is whole, and its call stays.
   */
  readonly what: 'all' | 'aside' | 'whole';
  /** Of the batch's first row from there on. */
  readonly place: number;
}

/** More than any header: files of one switch begin alike. */
export const HEAD_BYTES = 8 * 1024;
export const LAST_BYTES = 16 * 1024;

export interface SourcePrint {
  /** How many bytes have come. */
  readonly bytes: number;
  /** @param chunk is not kept, but for the last ones */
  add(chunk: Buffer): void;
  /** What the source holds if it ends here. */
  end(): SourceEnd;
}

/** What stands before a place in a source: enough of it to go on from there. */
export interface Before {
  /** How many bytes stand before the place. */
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

/** How many bytes the `head` is made of, of a source of so many. */
export const headLength = (bytes: number): number => Math.min(bytes, HEAD_BYTES);

/** The `head` of a source that begins so. @param length as headLength gives it */
export const headOf = (begin: Buffer, length: number): string => hash('sha256', begin.subarray(0, length));
