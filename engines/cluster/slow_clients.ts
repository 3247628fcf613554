/**
 * Cuts clients of the tier's doors that read none of their answer. Each such client keeps a connection to PostgreSQL, and a
 * bouncer has only 70 of these: with some hundred such clients, no other client is answered.
 *
 * A client is judged by the bytes that its program has read from its socket, however long the whole answer takes. TCP's
 * acknowledgements say too little: the window of a client that reads 1 kB/s stays closed for a minute, like the window of a
 * client that reads nothing (so HAProxy's `tcp-ut`, which counts a closed window, would cut both). The kernel knows the bytes
 * read by clients on this machine, and all clients of a local tier are on it.
 */
import { run } from '#engines/processes.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { command } from './haproxy.ts';
import type { Haproxy, Layout } from './layout.ts';

export const LOOK_MS = 500;
/** A client that has read nothing for so long is cut at the next look. */
export const STALLED_MS = 3_000;
/** A look that comes later than this was delayed by a busy machine, which may have delayed clients, too. */
const LATE_MS = 1_000;
const ASK_LIMIT_MS = 5_000;
/** With more clients than these, the question does not name each one. */
const NAMED_AT_MOST = 200;
/** The number of sessions that one command ends. */
const ENDED_AT_ONCE = 50;
const SHOWN = 3;

/** A client of a door, by its address: "127.0.0.1:41000". */
interface ClientSocket {
  readonly client: string;
  /** Received bytes that its program has not read. */
  readonly unread: number;
  /** Bytes that its program has read. */
  readonly taken: number;
}

/** The stalled clients, from one look to the next. */
interface StallJudge {
  /**
   * @param waiting clients with more bytes waiting at the door than their sockets accept
   * @param now monotonic milliseconds
   * @returns the clients that have read nothing for STALLED_MS
   */
  look(waiting: readonly ClientSocket[], now: number): string[];
}

export function createStallJudge(): StallJudge {
  let known = new Map<string, { readonly taken: number; readonly since: number }>();
  let lookedAt = Number.NEGATIVE_INFINITY;
  return {
    look(waiting, now) {
      const isLate = now - lookedAt > LOOK_MS + LATE_MS;
      lookedAt = now;
      const before = known;
      known = new Map();
      const stalled: string[] = [];
      for (const { client, unread, taken } of waiting) {
        // With no unread bytes the client waits for the door.
        if (unread === 0) continue;
        const last = before.get(client);
        const since = last?.taken === taken && !isLate ? last.since : now;
        known.set(client, { taken, since });
        if (now - since >= STALLED_MS) stalled.push(client);
      }
      return stalled;
    },
  };
}

export interface SlowClientOptions {
  readonly layout: Layout;
  readonly clock: Clock;
  /** Called for clients that were cut, and once with the reason when looking fails. */
  readonly report: (part: string, what: 'clients cut' | 'clients not watched', detail: string) => void;
}

/** Watches the doors until the signal. */
export async function watchSlowClients(options: SlowClientOptions, stopping: AbortSignal): Promise<void> {
  const { layout, clock, report } = options;
  const judge = createStallJudge();
  /**
   * Clients whose sessions have been ended. HAProxy frees the bouncer at once, and the client when it has read the bytes in
   * the kernel, or after tcp-ut.
   */
  let ended = new Set<string>();
  let fault = '';
  while (!stopping.aborted) {
    try {
      const stalled = new Set(judge.look(await waitingClients(layout), clock.monotonic()));
      const due = new Set([...stalled].filter((client) => !ended.has(client)));
      ended = stalled;
      if (due.size > 0) await Promise.all(layout.haproxies.map((haproxy) => cut(haproxy, due, report)));
      fault = '';
    } catch (error) {
      const words = (error as Error).message;
      if (words !== fault) report('doors', 'clients not watched', words);
      fault = words;
    }
    await clock.sleep(LOOK_MS, stopping).catch(() => undefined);
  }
}

/** The clients of the doors with more bytes waiting than their sockets accept. */
async function waitingClients({ writes, reads }: Layout): Promise<ClientSocket[]> {
  const isDoor = (side: 'sport' | 'dport') => `( ${side} = :${writes.port} or ${side} = :${reads.port} )`;
  const atDoor = parseSockets(await sockets([isDoor('sport')], false));
  const waiting = new Set(atDoor.filter(({ unsent }) => unsent > 0).map(({ peer }) => peer));
  if (waiting.size === 0) return [];
  const ports = [...waiting].map((client) => `sport = :${client.slice(client.lastIndexOf(':') + 1)}`);
  const only = waiting.size <= NAMED_AT_MOST ? [`( ${ports.join(' or ')} )`] : [];
  return parseSockets(await sockets([isDoor('dport'), ...only], true))
    .filter(({ local }) => waiting.has(local))
    .map(({ local, unread, received }) => ({ client: local, unread, taken: received - unread }));
}

/** The output of ss(8) about established connections, one a line. */
async function sockets(filters: readonly string[], withFigures: boolean): Promise<string> {
  const options = withFigures ? '-tnHOi' : '-tnHO';
  const words = ['-4', options, 'state', 'established', filters.join(' and ')];
  return (await run('ss', words, { timeout: ASK_LIMIT_MS })).stdout;
}

interface Socket {
  readonly local: string;
  readonly peer: string;
  /** Recv-Q: bytes that its program has not read. */
  readonly unread: number;
  /** Send-Q: bytes that the other end has not acknowledged. */
  readonly unsent: number;
  /** bytes_received of its figures; 0 where they are missing. */
  readonly received: number;
}

/** @param text of `ss -tnHO state established`: Recv-Q, Send-Q, address, peer's address, figures */
export const parseSockets = (text: string): Socket[] =>
  text.split('\n').flatMap((line) => {
    const [unread, unsent, local, peer] = line.trim().split(/\s+/);
    if (peer === undefined) return [];
    const received = Number(/\bbytes_received:(\d+)/.exec(line)?.[1] ?? 0);
    return [{ local: local!, peer, unread: Number(unread), unsent: Number(unsent), received }];
  });

/** Ends the sessions of these clients at one HAProxy process, as far as they are its own. */
async function cut(
  haproxy: Haproxy,
  clients: ReadonlySet<string>,
  report: SlowClientOptions['report'],
): Promise<void> {
  // A frozen or stopped HAProxy is the watchdog's task.
  const shown = await command(haproxy, 'show sess').catch(() => '');
  const found = parseSessions(shown).filter(({ client }) => clients.has(client));
  for (let at = 0; at < found.length; at += ENDED_AT_ONCE) {
    const some = found.slice(at, at + ENDED_AT_ONCE);
    await command(haproxy, some.map(({ session }) => `shutdown session ${session}`).join('; ')).catch(
      () => undefined,
    );
  }
  if (found.length === 0) return;
  const first = found.slice(0, SHOWN).map(({ client, door }) => `${client} (${door})`);
  const rest = found.length > SHOWN ? ` and ${found.length - SHOWN} more` : '';
  report(
    haproxy.name,
    'clients cut',
    `they read nothing of their answers for ${STALLED_MS / 1_000} s: ${first.join(', ')}${rest}`,
  );
}

interface DoorSession {
  readonly session: string;
  readonly client: string;
  readonly door: string;
}

/** The clients' sessions in the answer to HAProxy's `show sess`. */
export const parseSessions = (text: string): DoorSession[] =>
  [...text.matchAll(/^(0x[0-9a-f]+): proto=\S+ src=(\S+) fe=(reads|writes) /gm)].map((match) => ({
    session: match[1]!,
    client: match[2]!,
    door: match[3]!,
  }));
