/**
 * PostgreSQL's messages, version 3 of its protocol: a letter, a length that counts itself, a body. Here: the bytes that
 * ask for rows, and the cutting of what comes back into messages.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
import { prepareValue } from '../pg_internals.ts';

/** The letter and the length. */
export const HEADER_BYTES = 5;

/** What a message is, by its letter. */
export const MESSAGE = {
  parseComplete: 0x31,
  bindComplete: 0x32,
  closeComplete: 0x33,
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

/** How a value is sent, as the protocol numbers it. */
export const RESULT_FORMAT = { text: 0, binary: 1 } as const;
export type ResultFormat = (typeof RESULT_FORMAT)[keyof typeof RESULT_FORMAT];

/** A statement to be run, and how much of it the server knows. */
export interface Execution {
  readonly sql: string;
  readonly parameters: readonly unknown[];
  /** Of each column (see RowQuery); none: all are text. */
  readonly formats?: readonly ResultFormat[] | undefined;
  /** Empty: it has none. PgBouncer in transaction mode may run the next statement on another server. */
  readonly name: string;
  /** The server has it under its name: its text is not sent. */
  readonly parsed: boolean;
  /** Its columns are known: they are not asked for. */
  readonly described: boolean;
}

/**
 * Statements in one piece, so that they leave in one system call: for each Parse, Bind, Describe and Execute, as far as
 * they are needed, and one Sync for all of them. So they are one transaction, and none is run behind one that fails.
 * @param forget names of statements that the server is to forget before
 */
export function encodeStatements(executions: readonly Execution[], forget: readonly string[]): Buffer {
  const pieces: Buffer[] = [];
  for (const name of forget) pieces.push(encodeClose(name));
  for (const { sql, parameters, formats, name, parsed, described } of executions) {
    if (!parsed) pieces.push(encodeParse(name, sql));
    pieces.push(encodeBind(name, parameters, formats));
    if (!described) pieces.push(DESCRIBE);
    pieces.push(EXECUTE);
  }
  pieces.push(SYNC);
  return Buffer.concat(pieces);
}

function encodeParse(name: string, sql: string): Buffer {
  const length = 4 + name.length + 1 + Buffer.byteLength(sql) + 1 + 2;
  const out = Buffer.allocUnsafe(1 + length);
  let at = out.writeUInt8(0x50 /* P */, 0);
  at = out.writeInt32BE(length, at);
  at = writeCString(out, name, at);
  at = writeCString(out, sql, at);
  out.writeInt16BE(0, at); // the server tells the parameters' types
  return out;
}

function encodeBind(
  name: string,
  parameters: readonly unknown[],
  formats: readonly ResultFormat[] = [],
): Buffer {
  const values = parameters.map(prepareValue);
  let length = 4 + 1 + name.length + 1 + 2 + 2 + 2 + 2 * formats.length;
  for (const value of values) length += 2 + 4 + (value === null ? 0 : Buffer.byteLength(value));
  const out = Buffer.allocUnsafe(1 + length);
  let at = out.writeUInt8(0x42 /* B */, 0);
  at = out.writeInt32BE(length, at);
  at = writeCString(out, '', at); // the portal
  at = writeCString(out, name, at);
  at = out.writeUInt16BE(values.length, at);
  for (const value of values) {
    const { binary, text } = RESULT_FORMAT;
    at = out.writeUInt16BE(Buffer.isBuffer(value) ? binary : text, at);
  }
  at = out.writeUInt16BE(values.length, at);
  for (const value of values) {
    if (value === null) {
      at = out.writeInt32BE(-1, at);
      continue;
    }
    const size = typeof value === 'string' ? out.write(value, at + 4) : value.copy(out, at + 4);
    at = out.writeInt32BE(size, at) + size;
  }
  at = out.writeUInt16BE(formats.length, at);
  for (const format of formats) at = out.writeUInt16BE(format, at);
  return out;
}

function encodeClose(name: string): Buffer {
  const length = 4 + 1 + name.length + 1;
  const out = Buffer.allocUnsafe(1 + length);
  let at = out.writeUInt8(0x43 /* C */, 0);
  at = out.writeInt32BE(length, at);
  at = out.writeUInt8(0x53 /* S: a statement */, at);
  writeCString(out, name, at);
  return out;
}

function writeCString(out: Buffer, text: string, at: number): number {
  return out.writeUInt8(0, at + out.write(text, at));
}

const DESCRIBE = Buffer.from([0x44, 0, 0, 0, 6, 0x50, 0]); // the portal ''
const EXECUTE = Buffer.from([0x45, 0, 0, 0, 9, 0, 0, 0, 0, 0]); // the portal '', all rows
const SYNC = Buffer.from([0x53, 0, 0, 0, 4]);

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
