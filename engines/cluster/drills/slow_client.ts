/** A client of PostgreSQL that takes its answer slowly, or not at all, for drills and tests of what that does to others. */
import { connect, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import pg from 'pg';

const PIECE_BYTES = 1024;
const PIECE_EVERY_MS = 1_000;
/**
 * One of many may find all connections held until others are cut, twice 20 s at the longest. That is promised to readers, and judged
 * of them; this client is the fault itself, and waits for longer.
 */
const CONNECT_LIMIT_MS = 60_000;
/**
 * 100 MB: more than all sockets on the way hold. Of few rows: PostgreSQL makes the whole series before it sends the first, and a
 * hundred clients that ask for long ones take the processors from whoever is watched.
 */
export const BIG_SELECT = "SELECT repeat('x', 100000) AS text FROM generate_series(1, 1000)";

interface SlowClient {
  /** Bytes that it has taken since it became slow. */
  readonly taken: number;
  /** Monotonic: when its connection was lost; undefined: it lasts. */
  readonly lostAt: number | undefined;
  close(): void;
}

/**
 * Connects as any client, asks for 100 MB, and takes a kilobyte a second of it, or nothing.
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

/** A socket that, once it is slow, reads no more from the kernel than it hands on. */
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
