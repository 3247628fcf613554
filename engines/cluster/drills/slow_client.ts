/** A client of PostgreSQL that reads its answer slowly, or not at all, for drills and tests of its effect on others. */
import { connect, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import pg from 'pg';

const PIECE_BYTES = 1024;
const PIECE_EVERY_MS = 1_000;
/**
 * With many such clients, one may find all connections held until others are cut, twice 20 s at the longest. That limit is a
 * promise to readers, and judged at readers; this client is the fault itself, and waits longer.
 */
const CONNECT_LIMIT_MS = 60_000;
/**
 * 100 MB: more than all sockets on the way hold. The answer has few rows: PostgreSQL makes the whole series before it sends the
 * first row, and long series for a hundred clients would take the processors from the watched clients.
 */
export const BIG_SELECT = "SELECT repeat('x', 100000) AS text FROM generate_series(1, 1000)";

interface SlowClient {
  /** Bytes that it has read since it became slow. */
  readonly taken: number;
  /** Monotonic: when its connection was lost; undefined: the connection lasts. */
  readonly lostAt: number | undefined;
  close(): void;
}

/**
 * Connects as any client, asks for 100 MB, and reads a kilobyte a second of it, or nothing.
 * @throws Error when it can't connect
 */
export async function startSlowClient(url: string, takes: 'nothing' | '1 kB/s'): Promise<SlowClient> {
  const slow = { isSlow: false, taken: 0, lostAt: undefined as number | undefined };
  const stream = slowStream(slow, takes);
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: CONNECT_LIMIT_MS,
    application_name: 'trunkline-slow',
    stream: () => stream as unknown as Socket,
  });
  client.on('error', () => {});
  await client.connect();
  slow.isSlow = true;
  client.query(BIG_SELECT).catch(() => undefined);
  return {
    get taken() {
      return slow.taken;
    },
    get lostAt() {
      return slow.lostAt;
    },
    close: () => stream.destroy(),
  };
}

/** A socket that, once it is slow, reads no more from the kernel than it passes on. */
function slowStream(
  slow: { isSlow: boolean; taken: number; lostAt: number | undefined },
  takes: 'nothing' | '1 kB/s',
): Duplex {
  let socket: Socket | undefined;
  let timer: NodeJS.Timeout | undefined;
  const stream: Duplex = new Duplex({
    read: () => undefined,
    write: (chunk, _encoding, done) => void socket!.write(chunk, done),
    destroy: (_error, done) => {
      clearTimeout(timer);
      socket?.destroy();
      done(null);
    },
  });
  const take = (count: number, buffer: Uint8Array): boolean => {
    if (slow.isSlow) slow.taken += count;
    else stream.push(Buffer.from(buffer.subarray(0, count)));
    if (!slow.isSlow) return true;
    if (takes === '1 kB/s') timer = setTimeout(() => socket!.resume(), PIECE_EVERY_MS);
    return false;
  };
  return Object.assign(stream, {
    connect: (port: number, host: string) => {
      socket = connect({ port, host, onread: { buffer: Buffer.alloc(PIECE_BYTES), callback: take } });
      socket.once('connect', () => stream.emit('connect'));
      socket.on('error', (error) => stream.destroy(error));
      socket.once('close', () => {
        slow.lostAt ??= performance.now();
        stream.destroy();
      });
      return stream;
    },
    setNoDelay: () => stream,
    setKeepAlive: () => stream,
    ref: () => stream,
    unref: () => stream,
  });
}
