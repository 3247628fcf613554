import { connect } from 'node:net';

const LIMIT_MS = 2_000;
/** Errors of a network for an address where no process accepts connections. */
const ANSWERS_NO = ['ECONNREFUSED', 'ECONNRESET', 'EHOSTUNREACH', 'EHOSTDOWN', 'ENETUNREACH', 'ETIMEDOUT'];

/**
 * Whether a process accepts connections at an address; false where none answers within 2 s.
 * @throws the network's error where this process can't ask (no file descriptor left, for example): then the answer is unknown
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
