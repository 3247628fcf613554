/**
 * The supervisor's control interface: HTTP on a UNIX socket in the data folder. A drill in another process uses it to keep a
 * part down (hold), to let it start again (release), and to find the processes; the monitor reads the nodes' free space.
 */

import { rm } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { join } from 'node:path';
import { identify, type ProcessIdentity } from '#engines/processes.ts';
import type { NodeSpace } from './space.ts';
import type { SpaceSupervisor } from './space_supervisor.ts';
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

/** @returns the step that closes the interface */
export async function openControl(
  socket: string,
  supervisor: Supervisor,
  space: SpaceSupervisor,
): Promise<() => Promise<void>> {
  await rm(socket, { force: true });
  const server = createServer((incoming, answer) => {
    const [, action = '', part = '', holder = ''] = (incoming.url ?? '').split('/');
    try {
      if (action === 'hold') supervisor.hold(part, identify(Number(holder)));
      else if (action === 'release') supervisor.release(part);
      else if (action === 'allow-hand-over') space.allowHandOver();
      else if (action !== 'parts' && action !== 'space') throw new Error(`nothing is called ${action}`);
      const parts = [...supervisor.parts()].map(([name, entry]) => [name, shown(entry)]);
      answer.end(JSON.stringify(action === 'space' ? space.nodes : Object.fromEntries(parts)));
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

interface Answers {
  readonly parts: Record<string, PartProcess>;
  readonly hold: unknown;
  readonly release: unknown;
  readonly space: readonly NodeSpace[];
  readonly 'allow-hand-over': unknown;
}

/** Asks a running supervisor; @throws Error when none listens. */
export function askControl<A extends keyof Answers>(
  socket: string,
  action: A,
  part = '',
): Promise<Answers[A]> {
  return new Promise((answered, failed) => {
    const asking = request(
      { socketPath: socket, path: `/${action}/${part}/${process.pid}`, timeout: REQUEST_LIMIT_MS },
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
