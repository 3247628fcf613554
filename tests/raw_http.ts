/** Requests byte by byte: what no client library would send. */
import { connect } from 'node:net';

export interface RawAnswer {
  readonly status: number;
  /** By their names in small letters. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

const LIMIT_MS = 20_000;

/**
 * Sends the bytes and reads until the server closes.
 * @returns undefined where it closed without an answer
 */
export function sendRaw(url: string, bytes: string | Buffer): Promise<RawAnswer | undefined> {
  const { hostname, port } = new URL(url);
  return new Promise((answered, failed) => {
    const chunks: Buffer[] = [];
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    const limit = setTimeout(() => socket.destroy(new Error('no answer came to an end')), LIMIT_MS);
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // What is refused before it was read whole: the answer has come.
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') failed(error);
    });
    socket.on('close', () => {
      clearTimeout(limit);
      answered(readAnswer(Buffer.concat(chunks)));
    });
  });
}

/** The last answer of those that came, of which each but the last may be `100 Continue`. */
function readAnswer(bytes: Buffer): RawAnswer | undefined {
  const text = bytes.toString('latin1').replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, '');
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const [first = '', ...lines] = text.slice(0, end).split('\r\n');
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
    }),
  );
  const body = Buffer.from(text.slice(end + 4), 'latin1').toString();
  return { status: Number(first.split(' ')[1]), headers, body };
}

/** A request that asks for its connection to be closed. */
export function requestBytes(
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
  body?: Buffer,
): Buffer {
  const all = {
    host: 'test',
    connection: 'close',
    ...(body && { 'content-length': String(body.length) }),
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([
    Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`, 'latin1'),
    body ?? Buffer.alloc(0),
  ]);
}
