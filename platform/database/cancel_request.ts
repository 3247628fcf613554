/** Asking PostgreSQL to give up a statement that is running. */
import { connect } from 'node:net';

/** Whom to ask, and which connection is meant: what pg's client knows of itself. */
export interface CancelTarget {
  readonly host: string;
  readonly port: number;
  readonly processID: number;
  readonly secretKey: number;
}

const CANCEL_REQUEST_CODE = 80877102;

/**
 * Sends a CancelRequest on a connection of its own, as the protocol wants it; PgBouncer passes it on. The server does
 * not say whether it found anything to cancel, so this never fails; it resolves when the server has closed the
 * connection, which it does after the deed: a statement that starts later is not hit.
 * Behind a balancer the request may reach another server, which ignores it: the caller needs a deadline in any case.
 * @param limitMs gives up waiting after so long
 */
export function sendCancelRequest(target: CancelTarget, limitMs: number): Promise<void> {
  const message = Buffer.alloc(16);
  message.writeInt32BE(16, 0);
  message.writeInt32BE(CANCEL_REQUEST_CODE, 4);
  message.writeInt32BE(target.processID, 8);
  message.writeInt32BE(target.secretKey, 12);
  return new Promise((resolve) => {
    const socket = target.host.startsWith('/')
      ? connect(`${target.host}/.s.PGSQL.${target.port}`)
      : connect(target.port, target.host);
    socket.setTimeout(limitMs, () => socket.destroy());
    socket.on('error', () => undefined); // 'close' follows
    socket.on('close', () => resolve());
    socket.resume(); // else the server's closing is never read
    socket.write(message);
  });
}
