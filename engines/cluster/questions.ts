/** The health question for each kind of part: the least that only a process which does not hang can answer. */
import { connect } from 'node:net';
import { AMQP_HEADER } from '#engines/broker_node.ts';
import type { Address, Layout } from './layout.ts';
import type { WatchedPart } from './watchdog.ts';

/** PostgreSQL's SSLRequest: any server of the protocol answers it with one byte, before a log-in. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/**
 * Asks a part. Resolves with its first bytes, whatever they are.
 * @throws Error when it refuses the connection or closes it without an answer; the signal's reason when that is aborted
 */
export function ask(layout: Layout, part: WatchedPart, signal: AbortSignal): Promise<void> {
  if (part.kind === 'haproxy') {
    const { socket } = layout.haproxies.find(({ name }) => name === part.name)!;
    return firstBytes({ path: socket }, 'show info\n', signal);
  }
  if (part.kind === 'etcd') {
    const { host, port } = layout.etcds.find(({ name }) => name === part.name)!;
    return firstBytes({ host, port }, `GET /health HTTP/1.0\r\nHost: ${host}\r\n\r\n`, signal);
  }
  if (part.kind === 'broker') {
    const { host, port } = layout.brokers.find(({ name }) => name === part.name)!;
    return askBroker({ host, port }, signal);
  }
  const { host, port } = layout.bouncers.find(({ name }) => name === part.name)!;
  return firstBytes({ host, port }, SSL_REQUEST, signal);
}

/** @throws as `ask` does */
export const askBroker = ({ host, port }: Address, signal: AbortSignal): Promise<void> =>
  firstBytes({ host, port }, AMQP_HEADER, signal);

function firstBytes(
  address: { readonly path: string } | { readonly host: string; readonly port: number },
  question: string | Buffer,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((answered, failed) => {
    const socket = connect(address);
    const giveUp = () => socket.destroy(signal.reason as Error);
    signal.addEventListener('abort', giveUp, { once: true });
    socket.once('connect', () => socket.write(question));
    socket.once('data', () => {
      answered();
      socket.destroy();
    });
    socket.once('error', failed);
    socket.once('close', () => {
      signal.removeEventListener('abort', giveUp);
      failed(new Error('the connection was closed without an answer'));
    });
  });
}
