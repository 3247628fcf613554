/**
 * The supervisor's door: HTTP on a UNIX socket in the data folder, by which a drill in another process asks that a
 * part stay down (hold) or come up again (release), and finds the processes.
 */

import { rm } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { join } from 'node:path';
import type { ProcessIdentity } from '#engines/processes.ts';
import type { RunningPart, Supervisor } from './supervisor.ts';

const REQUEST_LIMIT_MS = 5_000;

export const controlSocket = (runFolder: string): string => join(runFolder, 'control.sock');

export interface PartProcess {
  readonly process: ProcessIdentity | null;
  readonly since: number;
  readonly restarts: number;
  readonly held: boolean;
}

const shown = (part: RunningPart): PartProcess => {
  return { process: part.process ?? null, since: part.since, restarts: part.restarts, held: part.held };
};

/** @returns the step that closes the door */
export async function openControl(socket: string, supervisor: Supervisor): Promise<() => Promise<void>> {
  await rm(socket, { force: true });
  const server = createServer((incoming, answer) => {
    const [, action = '', part = ''] = (incoming.url ?? '').split('/');
    try {
      if (action === 'hold') supervisor.hold(part);
      else if (action === 'release') supervisor.release(part);
      else if (action !== 'parts') throw new Error(`nothing is called ${action}`);
      const parts = [...supervisor.parts()].map(([name, entry]) => [name, shown(entry)]);
      answer.end(JSON.stringify(Object.fromEntries(parts)));
    } catch (error) {
      answer.writeHead(400).end(error instanceof Error ? error.message : String(error));
    }
  });
  await new Promise<void>((listening, failed) => {
    server.once('error', failed);
    server.listen(socket, listening);
  });
  return () => new Promise((closed) => server.close(() => closed()));
}

/** Asks a running supervisor; @throws Error when none listens. */
export function askControl(
  socket: string,
  action: 'parts' | 'hold' | 'release',
  part = '',
): Promise<Record<string, PartProcess>> {
  return new Promise((answered, failed) => {
    const asking = request(
      { socketPath: socket, path: `/${action}/${part}`, timeout: REQUEST_LIMIT_MS },
      (answer) => {
        let text = '';
        answer.setEncoding('utf8');
        answer.on('data', (chunk: string) => {
          text += chunk;
        });
        answer.once('end', () => {
          if (answer.statusCode === 200) answered(JSON.parse(text));
          else failed(new Error(text));
        });
      },
    );
    asking.once('timeout', () => asking.destroy(new Error('the supervisor does not answer')));
    asking.once('error', failed);
    asking.end();
  });
}
