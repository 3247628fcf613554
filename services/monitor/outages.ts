/**
 * Finds changes between two polls by HAProxy's counters: a server that was DOWN and is UP again, a HAProxy that was
 * restarted (its counters fell), and another leader. No I/O; times are steady milliseconds.
 */
import { isServer, type StatsRow, stateOf } from './haproxy_csv.ts';
import {
  compareServer,
  outagesOf,
  type SeenSpan,
  type ServerMemory,
  type Span,
  type ToldSpan,
} from './outage_spans.ts';
import { LEADER_PROXY, REPLICAS_PROXY } from './rule_measures.ts';
import type { ServerOutage } from './server_watch.ts';

/** The last figures of one HAProxy process; plain data, kept over restarts of the monitor. */
interface ProcessMemory {
  readonly sessionsTotal: number;
  /** When it was read; absent in the state of an earlier version. */
  readonly at?: number;
  readonly servers: Record<string, ServerMemory>;
}

export interface OutageBook {
  readonly processes: Record<string, ProcessMemory>;
  /** By proxy/server: outages that have ended for one process, while another one still calls the server DOWN. */
  readonly ended: Record<string, SeenSpan[]>;
  /** By proxy/server: outages that were reported. */
  readonly told: Record<string, ToldSpan[]>;
  leader?: string;
}

export const emptyOutageBook = (): OutageBook => ({ processes: {}, ended: {}, told: {} });

export type Happening =
  | {
      readonly kind: 'short_outage';
      readonly proxy: string;
      readonly server: string;
      /** From the first to the last, if there were several. */
      readonly span: Span;
      /** An alert reports the first of several outages; this reports that there were more. */
      readonly isAlerted: boolean;
    }
  | ({ readonly kind: 'server_restarted' } & ServerOutage)
  | { readonly kind: 'haproxy_restarted'; readonly haproxy: string }
  | { readonly kind: 'leader_changed'; readonly from: string; readonly to: string };

export interface HaproxyView {
  readonly haproxy: string;
  readonly rows: readonly StatsRow[];
}

const nameOf = (row: StatsRow): string => `${row.proxy}/${row.server}`;

/**
 * Compares the figures with those of the poll before.
 * @param book changed in place
 * @param views the HAProxy processes that answered
 * @param wasDown servers (proxy/server) that were known to be DOWN before this poll: the alert reports their recovery
 */
export function compareViews(
  book: OutageBook,
  views: readonly HaproxyView[],
  now: number,
  wasDown: ReadonlySet<string>,
): Happening[] {
  const happenings: Happening[] = [];
  if (views.length === 0) return happenings;
  const leaders = { before: book.leader, now: leaderOf(views) };
  for (const { haproxy, rows } of views) {
    const before = book.processes[haproxy];
    const sessionsTotal = rows
      .filter((row) => row.server === 'FRONTEND')
      .reduce((sum, row) => sum + row.sessionsTotal, 0);
    const restarted = before !== undefined && sessionsTotal < before.sessionsTotal;
    if (restarted) happenings.push({ kind: 'haproxy_restarted', haproxy });
    const servers: Record<string, ServerMemory> = {};
    for (const row of rows.filter(isServer)) {
      const name = nameOf(row);
      const known = before?.servers[name];
      // For a node that is seen for the first time, the leader at the time when it went DOWN is unknown.
      const isFault = known ? isOutage(row, leaders) : isPool(row);
      const { memory, ended } = compareServer(known, { row, now, before: before?.at, isFault, restarted });
      servers[name] = memory;
      if (ended) book.ended[name] = [...(book.ended[name] ?? []), { ...ended, haproxy }].slice(-SPANS_KEPT);
    }
    book.processes[haproxy] = { sessionsTotal, at: now, servers };
  }
  const downNow = new Set(
    views.flatMap(({ rows }) => rows.filter((row) => stateOf(row) === 'DOWN').map(nameOf)),
  );
  for (const [name, spans] of Object.entries(book.ended)) {
    if (downNow.has(name)) continue;
    delete book.ended[name];
    const { outages, told } = outagesOf(spans, book.told[name] ?? [], now);
    book.told[name] = told;
    const [proxy = '', server = ''] = name.split('/');
    const isAlerted = wasDown.has(name);
    const tell = (span: Span) => happenings.push({ kind: 'short_outage', proxy, server, span, isAlerted });
    if (!isAlerted) for (const span of outages) tell(span);
    else if (outages.reduce((sum, { times }) => sum + times, 0) > 1) tell(sumOf(outages));
  }
  return happenings;
}

/** Limit for a process whose server goes DOWN and UP while another process calls it DOWN all the time. */
const SPANS_KEPT = 100;

const sumOf = (spans: readonly Span[]): Span => ({
  from: Math.min(...spans.map(({ from }) => from)),
  to: Math.max(...spans.map(({ to }) => to)),
  times: spans.reduce((sum, { times }) => sum + times, 0),
  downMs: spans.reduce((sum, { downMs }) => sum + downMs, 0),
});

/** In the other proxies a server may be DOWN by design: all but one in `leader`, and that one in `replicas`. */
export const isPool = (row: StatsRow): boolean => row.proxy !== LEADER_PROXY && row.proxy !== REPLICAS_PROXY;

/**
 * Whether it was a fault that this server was DOWN. In `leader` all nodes but one are DOWN by design. In `replicas` the
 * leader is DOWN by design: so a node counts there only while another node led all the time.
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
 * Whether the leader has changed since the last call. Called only while writes are served: the message of the end of an outage
 * names the leader after it.
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
