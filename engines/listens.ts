import { connect } from 'node:net';

const LIMIT_MS = 2_000;

/** Whether somebody takes connections at an address; no, where that is not known within 2 s. */
export function listens(host: string, port: number): Promise<boolean> {
  return new Promise((answer) => {
    const socket = connect({ host, port, timeout: LIMIT_MS });
    const done = (yes: boolean) => {
      socket.destroy();
      answer(yes);
    };
    socket.once('connect', () => done(true));
    socket.once('error', () => done(false));
    socket.once('timeout', () => done(false));
  });
}
