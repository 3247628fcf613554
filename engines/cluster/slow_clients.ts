/**
 * Cuts clients of the tier's doors that take nothing of what they asked for. Each keeps a connection to PostgreSQL, of which
 * there are 70 a bouncer: some hundred such clients, and nobody else is answered.
 *
 * A client is judged by what its program has taken from its socket, whatever the time that all of it takes. What TCP
 * acknowledges says too little: the window of a client that reads 1 kB/s stays closed for a minute, as that of one that
 * reads nothing (so HAProxy's `tcp-ut`, which counts a closed window, would cut both). The kernel tells it of the clients on
 * this machine, as all of a local tier are.
 */
import { run } from '#engines/processes.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { command } from './haproxy.ts';
import type { Haproxy, Layout } from './layout.ts';

export const LOOK_MS = 500;
/** A client that has taken nothing for so long is cut at the next look. */
export const STALLED_MS = 3_000;
/** A look that comes later than this was held up by a machine that is too busy: clients may have been, too. */
const LATE_MS = 1_000;
const ASK_LIMIT_MS = 5_000;
/** More clients than these are not named one by one in the question. */
const NAMED_AT_MOST = 200;
/** Sessions that one command ends. */
const ENDED_AT_ONCE = 50;
const SHOWN = 3;

/** A client of a door, by its address: "127.0.0.1:41000". */
interface ClientSocket {
  readonly client: string;
  /** Bytes that have come, and that its program has not taken. */
  readonly unread: number;
  /** Bytes that its program has taken. */
  readonly taken: number;
}

/** Which clients are stalled, from one look to the next. */
interface StallJudge {
  /**
   * @param waiting clients for which more is waiting at the door than their sockets take
   * @param now monotonic milliseconds
   * @returns those that have taken nothing for STALLED_MS
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
        // Where nothing is unread it waits, not the door.
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
  /** Told of clients that were cut, and why looking fails, once. */
  readonly report: (part: string, what: 'clients cut' | 'clients not watched', detail: string) => void;
}

/** Looks after the doors until the signal. */
export async function watchSlowClients(options: SlowClientOptions, stopping: AbortSignal): Promise<void> {
  const { layout, clock, report } = options;
  const judge = createStallJudge();
  /**
   * Whose sessions have been ended. HAProxy lets go of the bouncer at once, and of the client when it has taken what lies in
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

/** The clients of the doors for which more is waiting than their sockets take. */
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

/** What ss(8) tells of established connections, one a line. */
async function sockets(filters: readonly string[], withFigures: boolean): Promise<string> {
  const options = withFigures ? '-tnHOi' : '-tnHO';
  const words = ['-4', options, 'state', 'established', filters.join(' and ')];
  return (await run('ss', words, { timeout: ASK_LIMIT_MS })).stdout;
}

interface Socket {
  readonly local: string;
  readonly peer: string;
  /** Recv-Q: bytes that its program has not taken. */
  readonly unread: number;
  /** Send-Q: bytes that the other end has not acknowledged. */
  readonly unsent: number;
  /** bytes_received of its figures; 0 where they are not there. */
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

/** Ends the sessions of these clients at one HAProxy process, where they are its. */
async function cut(
  haproxy: Haproxy,
  clients: ReadonlySet<string>,
  report: SlowClientOptions['report'],
): Promise<void> {
  // One that is frozen, or down, is the watchdog's.
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
    `they took nothing for ${STALLED_MS / 1_000} s of what they had asked for: ${first.join(', ')}${rest}`,
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
