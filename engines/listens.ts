import { connect } from 'node:net';

const LIMIT_MS = 2_000;
/** What a network says of an address where nobody takes connections. */
const ANSWERS_NO = ['ECONNREFUSED', 'ECONNRESET', 'EHOSTUNREACH', 'EHOSTDOWN', 'ENETUNREACH', 'ETIMEDOUT'];

/**
 * Whether somebody takes connections at an address; no, where nobody answers within 2 s.
 * @throws the network's error where this process can't ask (it has no file descriptor left, say): then it is not known
 */
export function listens(host: string, port: number): Promise<boolean> {
  return new Promise((answer, unknown) => {
    const socket = connect({ host, port, timeout: LIMIT_MS });
    const done = (yes: boolean) => {
      socket.destroy();
      answer(yes);
    };
    socket.once('connect', () => done(true));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (ANSWERS_NO.includes(error.code ?? '')) done(false);
      else unknown(error);
    });
    socket.once('timeout', () => done(false));
  });
}
