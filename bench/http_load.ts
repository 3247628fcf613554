/**
 * A load generator: some connections, on each one request after the other. It reads no more of an answer than its status
 * and length, into one buffer, so that it takes little of the machine that it measures.
 *
 *   node bench/http_load.ts <port> <connections> <seconds> <paths, one a line> [key]      prints LoadResult as JSON
 */
import { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';

export interface LoadResult {
  readonly answers: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of one answer, headers and all. */
  readonly bytes: number;
}

const HEADERS_END = Buffer.from('\r\n\r\n');
/** Enough to hold the headers whole wherever an answer begins. */
const READ_BYTES = 256 * 1024;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [port, connections, seconds, paths, key] = process.argv.slice(2);
  const result = await load(Number(port), Number(connections), Number(seconds), paths!.split('\n'), key);
  process.stdout.write(JSON.stringify(result));
}

async function load(
  port: number,
  connections: number,
  seconds: number,
  paths: readonly string[],
  key: string | undefined,
): Promise<LoadResult> {
  const times: number[] = [];
  let bytes = 0;
  let next = 0;
  const began = performance.now();
  const end = began + seconds * 1000;
  const headers = `Host: 127.0.0.1\r\n${key ? `Authorization: Bearer ${key}\r\n` : ''}`;
  const requests = paths.map((path) => Buffer.from(`GET ${path} HTTP/1.1\r\n${headers}\r\n`));
  const run = () =>
    new Promise<void>((done, failed) => {
      let left = 0; // of the answer that is being read
      let asked = 0;
      const ask = () => {
        asked = performance.now();
        if (asked > end) return void socket.destroy();
        socket.write(requests[next++ % requests.length]!);
      };
      const socket: Socket = new Socket({
        onread: {
          buffer: Buffer.allocUnsafe(READ_BYTES),
          callback(length: number, memory: Uint8Array) {
            bytes += length;
            if (left === 0) {
              const chunk = Buffer.from(memory.buffer, memory.byteOffset, length);
              const headersEnd = chunk.indexOf(HEADERS_END);
              const headers = chunk.toString('latin1', 0, headersEnd);
              const size = Number(/content-length: (\d+)/i.exec(headers)?.[1]);
              if (!headers.startsWith('HTTP/1.1 200') || !(size > 0)) {
                socket.destroy(new Error(`answer: ${headers.slice(0, 200)}`));
                return false;
              }
              left = headersEnd + HEADERS_END.length + size;
            }
            left -= length;
            if (left === 0) {
              times.push(performance.now() - asked);
              ask();
            }
            return true;
          },
        },
      });
      socket.on('connect', ask);
      socket.on('error', failed);
      socket.on('close', () => done());
      socket.setNoDelay(true);
      socket.connect(port, '127.0.0.1');
    });
  await Promise.all(Array.from({ length: connections }, run));
  const took = (performance.now() - began) / 1000;
  times.sort((a, b) => a - b);
  const at = (share: number) => Number((times[Math.floor(times.length * share)] ?? 0).toFixed(2));
  return {
    answers: times.length,
    perSecond: Math.round(times.length / took),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    bytes: Math.round(bytes / times.length),
  };
}
