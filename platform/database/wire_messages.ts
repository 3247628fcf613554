/**
 * PostgreSQL's messages, version 3 of its protocol: a letter, a length that counts itself, a body. Here: the bytes that
 * ask for rows, and the cutting of what comes back into messages.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
import pg from 'pg';

/** The letter and the length. */
export const HEADER_BYTES = 5;

/** What a message is, by its letter. */
export const MESSAGE = {
  parseComplete: 0x31,
  bindComplete: 0x32,
  notification: 0x41,
  commandComplete: 0x43,
  dataRow: 0x44,
  error: 0x45,
  copyInResponse: 0x47,
  copyOutResponse: 0x48,
  emptyQuery: 0x49,
  notice: 0x4e,
  parameterStatus: 0x53,
  rowDescription: 0x54,
  readyForQuery: 0x5a,
  copyDone: 0x63,
  copyData: 0x64,
  noData: 0x6e,
} as const;

/** pg's own: what client.query() makes of a JavaScript value. Its types leave it out. */
const { prepareValue } = (
  pg as unknown as { utils: { prepareValue: (value: unknown) => string | Buffer | null } }
).utils;

/**
 * Parse, Bind, Describe, Execute and Sync in one piece, so that they leave in one system call. The statement and the
 * portal have no name: PgBouncer in transaction mode may run the next statement on another server.
 */
export function encodeQuery(sql: string, parameters: readonly unknown[]): Buffer {
  const values = parameters.map(prepareValue);
  const sqlBytes = Buffer.byteLength(sql);
  const sizes = values.map((value) => (value === null ? 0 : Buffer.byteLength(value)));
  const parseLength = 4 + 1 + sqlBytes + 1 + 2;
  const bindLength =
    4 + 1 + 1 + 2 + 2 * values.length + 2 + sizes.reduce((sum, size) => sum + 4 + size, 0) + 2;
  const out = Buffer.allocUnsafe(1 + parseLength + 1 + bindLength + DESCRIBE_EXECUTE_SYNC.length);

  let at = out.writeUInt8(0x50 /* P: Parse */, 0);
  at = out.writeInt32BE(parseLength, at);
  at = out.writeUInt8(0, at);
  at += out.write(sql, at);
  at = out.writeUInt8(0, at);
  at = out.writeInt16BE(0, at); // the server tells the parameters' types

  at = out.writeUInt8(0x42 /* B: Bind */, at);
  at = out.writeInt32BE(bindLength, at);
  at = out.writeInt16BE(0, at); // two empty names: portal, statement
  at = out.writeUInt16BE(values.length, at);
  for (const value of values) at = out.writeInt16BE(typeof value === 'object' && value ? 1 : 0, at); // Buffer: binary
  at = out.writeUInt16BE(values.length, at);
  for (const [i, value] of values.entries()) {
    at = out.writeInt32BE(value === null ? -1 : sizes[i]!, at);
    if (typeof value === 'string') at += out.write(value, at);
    else if (value !== null) at += value.copy(out, at);
  }
  at = out.writeInt16BE(0, at); // every column as text
  DESCRIBE_EXECUTE_SYNC.copy(out, at);
  return out;
}

const DESCRIBE_EXECUTE_SYNC = Buffer.from([
  ...[0x44, 0, 0, 0, 6, 0x50, 0], // Describe the portal ''
  ...[0x45, 0, 0, 0, 9, 0, 0, 0, 0, 0], // Execute the portal '', all rows
  ...[0x53, 0, 0, 0, 4], // Sync
]);

/** A whole message lies in `view` from `start` (its letter) to `end`. Answers false to be given no more. */
export type OnMessage = (type: number, view: DataView<ArrayBuffer>, start: number, end: number) => boolean;

/**
 * Cuts a stream of bytes into messages, wherever the network has cut it.
 * The returned function takes the next chunk and gives back the bytes behind the message that `onMessage` ended with.
 * Views stay as they are: a chunk is never written to, and a message that came in pieces is joined in memory of its own.
 */
export function createSplitter(onMessage: OnMessage): (chunk: Buffer) => Buffer | undefined {
  let piece = Buffer.alloc(0); // a message's beginning
  let have = 0;

  /** Moves bytes into `piece` until it is a whole message; returns how many, or -1 when the chunk is used up. */
  function join(chunk: Buffer): number {
    let at = 0;
    for (;;) {
      const need = have < HEADER_BYTES ? HEADER_BYTES : 1 + piece.readUInt32BE(1);
      if (have >= HEADER_BYTES && have >= need) return at;
      const take = Math.min(need - have, chunk.length - at);
      if (take === 0) return -1;
      if (piece.length < have + take) {
        // Twice as much each time: a row of megabytes comes in hundreds of chunks.
        const larger = Buffer.allocUnsafeSlow(Math.max(2 * piece.length, have + take, 1024));
        piece.copy(larger, 0, 0, have);
        piece = larger;
      }
      chunk.copy(piece, have, at, at + take);
      have += take;
      at += take;
    }
  }

  return (chunk) => {
    let at = 0;
    if (have > 0) {
      at = join(chunk);
      if (at < 0) return undefined;
      const whole = viewOf(piece);
      const end = have;
      piece = Buffer.alloc(0);
      have = 0;
      if (!onMessage(whole.getUint8(0), whole, 0, end)) return chunk.subarray(at);
    }
    const view = viewOf(chunk);
    const { length } = chunk;
    while (at + HEADER_BYTES <= length) {
      const end = at + 1 + view.getUint32(at + 1);
      if (end > length) break;
      const more = onMessage(view.getUint8(at), view, at, end);
      at = end;
      if (!more) return chunk.subarray(at);
    }
    if (at < length) join(chunk.subarray(at));
    return undefined;
  };
}

function viewOf(bytes: Buffer): DataView<ArrayBuffer> {
  return new DataView(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length);
}
