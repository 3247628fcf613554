/** Reads one HAProxy's statistics: its page, or its UNIX socket if the page does not answer (HAProxy at maxconn). */
import { connect } from 'node:net';
import { askOutside } from '#platform/http/outside.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { within } from '#platform/lifecycle/within.ts';
import { splitCredentials } from './credentials.ts';
import { parseStats, type StatsRow } from './haproxy_csv.ts';

export const PAGE_TIMEOUT_MS = 2_000;
export const SOCKET_TIMEOUT_MS = 2_000;
/** Time limit of a glance between two polls: a process that does not answer it is polled at once. */
const GLANCE_TIMEOUT_MS = 1_000;
/** Some 500 bytes a server. */
const STATS_LIMIT_BYTES = 4 * 1024 * 1024;

/** A HAProxy process to watch, by its page, its socket, or both. */
export interface HaproxySource {
  readonly name: string;
  /** The URL of the statistics page, such as http://127.0.0.1:8404/stats */
  readonly pageUrl: string | undefined;
  /** The path of the UNIX socket. */
  readonly socket: string | undefined;
}

export interface HaproxyReading {
  readonly source: HaproxySource;
  /** undefined: it did not answer. */
  readonly rows: readonly StatsRow[] | undefined;
  /** false: the page did not answer, whether or not the socket did; true if there is no page to read. */
  readonly pageAnswered: boolean;
  /** The fault, '' without one. */
  readonly fault: string;
}

/** Never rejects. */
export async function readHaproxy(source: HaproxySource, clock: Clock): Promise<HaproxyReading> {
  const faults: string[] = [];
  if (source.pageUrl !== undefined) {
    try {
      const url = `${source.pageUrl};csv`;
      const csv = await within(clock, PAGE_TIMEOUT_MS, 'reading the statistics page', (signal) =>
        page(url, signal),
      );
      return { source, rows: parseStats(csv), pageAnswered: true, fault: '' };
    } catch (error) {
      faults.push(words(error));
    }
  }
  const pageAnswered = source.pageUrl === undefined;
  if (source.socket !== undefined) {
    const path = source.socket;
    try {
      const csv = await within(clock, SOCKET_TIMEOUT_MS, 'reading the socket', (signal) =>
        showStat(path, signal),
      );
      return { source, rows: parseStats(csv), pageAnswered, fault: faults.join('; ') };
    } catch (error) {
      faults.push(words(error));
    }
  }
  return { source, rows: undefined, pageAnswered: false, fault: faults.join('; ') };
}

/** The rows of a process that answers within a moment, by its page or socket; undefined otherwise. Never rejects. */
export async function glanceAtHaproxy(
  { pageUrl, socket }: HaproxySource,
  clock: Clock,
): Promise<readonly StatsRow[] | undefined> {
  const read = (signal: AbortSignal) =>
    socket === undefined ? page(`${pageUrl};csv`, signal) : showStat(socket, signal);
  return within(clock, GLANCE_TIMEOUT_MS, 'reading HAProxy', read).then(parseStats, () => undefined);
}

const words = (error: unknown): string => {
  const { message, cause } = error as Error;
  return cause instanceof Error ? `${message}: ${cause.message}` : message;
};

async function page(address: string, signal: AbortSignal): Promise<string> {
  const { url, headers } = splitCredentials(address);
  // A new connection each time: an open one would still answer when HAProxy accepts no new ones.
  const answer = await askOutside(url, {
    signal,
    headers: { ...headers, connection: 'close' },
    limitBytes: STATS_LIMIT_BYTES,
    longer: 'refuse',
  });
  if (!answer.ok) throw new Error(`the statistics page answers ${answer.status}`);
  return answer.text;
}

/** `show stat` of the Runtime API; HAProxy closes after its answer. */
function showStat(path: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let answer = '';
    const giveUp = () => socket.destroy(signal.reason as Error);
    signal.addEventListener('abort', giveUp, { once: true });
    socket.setEncoding('utf8');
    socket.once('connect', () => socket.write('show stat\n'));
    socket.on('data', (chunk: string) => {
      answer += chunk;
      if (answer.length > STATS_LIMIT_BYTES)
        socket.destroy(new Error(`the socket says more than ${STATS_LIMIT_BYTES} bytes`));
    });
    socket.once('end', () => resolve(answer));
    socket.once('error', reject);
    socket.once('close', () => signal.removeEventListener('abort', giveUp));
  });
}
