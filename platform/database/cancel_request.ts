/** Having PostgreSQL give up what a connection runs. */
import { connect } from 'node:net';
import type { ClientBase } from 'pg';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { type CancelTarget, cancelTarget, destroyConnection } from './pg_internals.ts';

/** How long a cancelled statement may take to end before its connection is destroyed. */
export const CANCEL_LIMIT_MS = {
  /** Of a session that is cut off: its request is abandoned after CANCEL_GRACE_MS (guard.ts), and this has to end before. */
  session: 500,
  /** Of rows that are not wanted any more: those that are on their way, megabytes of them, are read first. */
  rows: 1_000,
} as const;

export interface Cancelling {
  /** Resolves when the request has done what it does: one that is still on its way would hit the next statement. */
  readonly sent: Promise<void>;
  /** To be called when the statement has ended: its connection is left alone. */
  ended(): void;
}

/**
 * Asks the server to end the statement that `client` runs. Where that does not end it within `limitMs`, as on a server that
 * is frozen or behind a balancer that leads the request elsewhere, the connection is destroyed.
 * @param reason what the client's 'error' then tells
 */
export function cancelStatement(
  client: ClientBase,
  clock: Clock,
  limitMs: number,
  reason?: Error,
): Cancelling {
  const sent = sendCancelRequest(cancelTarget(client), limitMs);
  return { sent, ended: clock.after(limitMs, () => destroyConnection(client, reason)) };
}

const CANCEL_REQUEST_CODE = 80877102;

/**
 * Sends a CancelRequest on a connection of its own, as the protocol wants it; PgBouncer passes it on. The server does
 * not say whether it found anything to cancel, so this never fails; it resolves when the server has closed the
 * connection, which it does after the deed: a statement that starts later is not hit.
 * @param limitMs gives up waiting after so long
 */
function sendCancelRequest(target: CancelTarget, limitMs: number): Promise<void> {
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
