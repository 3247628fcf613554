/**
 * What HAProxy's counters tell about the time between two polls: a server that was DOWN and is UP again (`chkdown`
 * rose), a HAProxy that was restarted (its counters fell); and another leader. No I/O; times are steady milliseconds.
 */
import { isServer, type StatsRow, stateOf } from './haproxy_csv.ts';
import { LEADER_PROXY, REPLICAS_PROXY } from './rule_measures.ts';

/** Two HAProxy processes see the ends of one outage within so long of each other. */
const SAME_OUTAGE_MS = 15_000;

interface ServerCounters {
  readonly timesDown: number;
  readonly downtimeS: number;
}

/** What one HAProxy process said last; plain data, kept over restarts of the monitor. */
interface ProcessMemory {
  readonly sessionsTotal: number;
  readonly servers: Record<string, ServerCounters>;
}

export interface OutageBook {
  readonly processes: Record<string, ProcessMemory>;
  /** When the last outage of each server ended, as far as it is known. */
  readonly endedAt: Record<string, number>;
  leader?: string;
}

export const emptyOutageBook = (): OutageBook => ({ processes: {}, endedAt: {} });

export type Happening =
  | {
      readonly kind: 'short_outage';
      readonly proxy: string;
      readonly server: string;
      readonly times: number;
      readonly seconds: number;
    }
  | { readonly kind: 'haproxy_restarted'; readonly haproxy: string }
  | { readonly kind: 'leader_changed'; readonly from: string; readonly to: string };

export interface HaproxyView {
  readonly haproxy: string;
  readonly rows: readonly StatsRow[];
}

const nameOf = (row: StatsRow): string => `${row.proxy}/${row.server}`;

/**
 * Compares with what was said before.
 * @param book changed in place
 * @param views the HAProxy processes that answered
 * @param wasDown servers (proxy/server) that were known to be DOWN before this poll: their recovery is told by the alert
 */
export function compareViews(
  book: OutageBook,
  views: readonly HaproxyView[],
  now: number,
  wasDown: ReadonlySet<string>,
): Happening[] {
  const happenings: Happening[] = [];
  const outages = new Map<string, Happening & { kind: 'short_outage' }>();
  const downNow = new Set(
    views.flatMap(({ rows }) => rows.filter((row) => stateOf(row) === 'DOWN').map(nameOf)),
  );
  const leaders = { before: book.leader, now: leaderOf(views) };
  for (const { haproxy, rows } of views) {
    const before = book.processes[haproxy];
    const after = memoryOf(rows);
    book.processes[haproxy] = after;
    if (!before) continue;
    // One that is DOWN now keeps its count until it is UP: its alert may not have begun by then (`for:`).
    for (const row of rows.filter((row) => downNow.has(nameOf(row)) && isOutage(row, leaders))) {
      const base = before.servers[nameOf(row)];
      if (base) after.servers[nameOf(row)] = base;
    }
    const restarted = after.sessionsTotal < before.sessionsTotal;
    if (restarted) happenings.push({ kind: 'haproxy_restarted', haproxy });
    for (const row of rows.filter(isServer)) {
      const name = nameOf(row);
      const base = restarted ? undefined : before.servers[name];
      const times = row.timesDown - (base?.timesDown ?? 0);
      if (times <= 0 || (!restarted && !base) || !isOutage(row, leaders)) continue;
      if (downNow.has(name) || wasDown.has(name)) continue;
      const endedAt = now - row.lastChangeS * 1_000;
      if (Math.abs(endedAt - (book.endedAt[name] ?? Number.NEGATIVE_INFINITY)) < SAME_OUTAGE_MS) continue;
      const seconds = row.downtimeS - (base?.downtimeS ?? 0);
      const known = outages.get(name);
      outages.set(name, {
        kind: 'short_outage',
        proxy: row.proxy,
        server: row.server,
        times: Math.max(times, known?.times ?? 0),
        seconds: Math.max(seconds, known?.seconds ?? 0),
      });
    }
  }
  for (const name of outages.keys()) book.endedAt[name] = now;
  for (const name of wasDown) if (!downNow.has(name)) book.endedAt[name] = now;
  happenings.push(...outages.values());
  return happenings;
}

function memoryOf(rows: readonly StatsRow[]): ProcessMemory {
  const servers = rows.filter(isServer).map((row) => {
    return [nameOf(row), { timesDown: row.timesDown, downtimeS: row.downtimeS }] as const;
  });
  const frontends = rows.filter((row) => row.server === 'FRONTEND');
  return {
    sessionsTotal: frontends.reduce((sum, row) => sum + row.sessionsTotal, 0),
    servers: Object.fromEntries(servers),
  };
}

/** In the others a server is DOWN by design: all but one in `leader`, and that one in `replicas`. */
export const isPool = (row: StatsRow): boolean => row.proxy !== LEADER_PROXY && row.proxy !== REPLICAS_PROXY;

/**
 * Whether having been DOWN is a fault of this server. In `leader` all nodes but one are DOWN by design. In `replicas` the
 * leader is: so a node counts there only while another one led all the time.
 */
function isOutage(row: StatsRow, leaders: { before: string | undefined; now: string | undefined }): boolean {
  if (isPool(row)) return true;
  if (row.proxy === LEADER_PROXY) return false;
  return leaders.now !== undefined && leaders.before === leaders.now && row.server !== leaders.now;
}

/** The node that is UP in `leader`; undefined while there is none, or processes disagree. */
export function leaderOf(views: readonly HaproxyView[]): string | undefined {
  const up = new Set(
    views.flatMap(({ rows }) =>
      rows
        .filter((row) => row.proxy === LEADER_PROXY && isServer(row) && stateOf(row) === 'UP')
        .map((row) => row.server),
    ),
  );
  return up.size === 1 ? [...up][0] : undefined;
}

/**
 * Whether another node leads than when this was asked last. Asked only while writes are served: who leads after an outage is
 * part of what is said at its end.
 * @param book changed in place
 */
export function compareLeaders(
  book: OutageBook,
  views: readonly HaproxyView[],
): (Happening & { kind: 'leader_changed' }) | undefined {
  const to = leaderOf(views);
  if (to === undefined) return undefined;
  const from = book.leader;
  book.leader = to;
  return from === undefined || from === to ? undefined : { kind: 'leader_changed', from, to };
}
