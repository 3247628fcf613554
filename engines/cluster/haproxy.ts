/**
 * HAProxy's admin socket. It answers even when the statistics page does not (all connections taken), and accepts
 * commands: drain a server, make it ready again.
 */
import { connect } from 'node:net';
import { TimeoutError } from '#platform/lifecycle/within.ts';
import type { Haproxy } from './layout.ts';

const COMMAND_LIMIT_MS = 3_000;

/** One HAProxy process's view of a server (or of the sums of a proxy: FRONTEND, BACKEND). */
export interface ServerRow {
  readonly proxy: string;
  readonly server: string;
  /** UP, DOWN, DRAIN, MAINT; "UP 1/3", "DOWN 1/2" while checks disagree. */
  readonly status: string;
  readonly sessions: number;
  /** Checks failed, times marked DOWN, seconds since the last change. */
  readonly checksFailed: number;
  readonly timesDown: number;
  readonly lastChangeS: number;
  /** Result of the last check: L7OK, L4CON, L7TOUT …, with "*" before it during the next check. */
  readonly check: string;
  readonly connectErrors: number;
}

/** Statistics take some 500 characters for each server. */
const ANSWER_LIMIT_CHARACTERS = 4 * 1024 * 1024;

/** Sends a command of HAProxy's Runtime API. @throws TimeoutError when it is not answered within `limitMs` */
export function command(haproxy: Haproxy, text: string, limitMs = COMMAND_LIMIT_MS): Promise<string> {
  return new Promise((answered, failed) => {
    const socket = connect(haproxy.socket);
    let answer = '';
    socket.setEncoding('utf8');
    socket.setTimeout(limitMs, () => {
      socket.destroy(new TimeoutError(`"${text}" to ${haproxy.name}`, limitMs));
    });
    socket.once('connect', () => socket.write(`${text}\n`));
    socket.on('data', (chunk: string) => {
      answer += chunk;
      if (answer.length > ANSWER_LIMIT_CHARACTERS)
        socket.destroy(new Error(`the answer of ${haproxy.name} to "${text}" has no end`));
    });
    socket.once('end', () => answered(answer));
    socket.once('error', failed);
  });
}

/** The process that serves now; a reload starts another one. */
export async function workerPid(haproxy: Haproxy): Promise<number> {
  return Number(/^Pid: (\d+)$/m.exec(await command(haproxy, 'show info'))?.[1]);
}

/**
 * All servers and proxies of one HAProxy process.
 * @param options an object, since `map` would pass the index of the process as a bare number
 */
export const statistics = async (
  haproxy: Haproxy,
  { limitMs = COMMAND_LIMIT_MS }: { readonly limitMs?: number } = {},
): Promise<ServerRow[]> => parseStatistics(await command(haproxy, 'show stat', limitMs));

/** HAProxy's CSV: the first line, after "# ", names the columns. */
export function parseStatistics(csv: string): ServerRow[] {
  const [head = '', ...lines] = csv.trim().split('\n');
  const columns = head.replace(/^# /, '').split(',');
  return lines.map((line) => {
    const fields = line.split(',');
    const text = (name: string) => fields[columns.indexOf(name)] ?? '';
    const number = (name: string) => Number(text(name) || 0);
    return {
      proxy: text('pxname'),
      server: text('svname'),
      status: text('status'),
      sessions: number('scur'),
      checksFailed: number('chkfail'),
      timesDown: number('chkdown'),
      lastChangeS: number('lastchg'),
      check: text('check_status'),
      connectErrors: number('econ'),
    };
  });
}

/** Closes a server for new connections (`drain`), or opens it again (`ready`). */
export async function setServer(
  haproxy: Haproxy,
  proxy: string,
  server: string,
  state: 'drain' | 'ready',
): Promise<void> {
  const answer = await command(haproxy, `set server ${proxy}/${server} state ${state}`);
  if (answer.trim() !== '') throw new Error(`${haproxy.name}: ${answer.trim()}`);
}

export const isUp = (row: ServerRow): boolean => row.status.startsWith('UP') || row.status === 'no check';
