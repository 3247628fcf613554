/**
 * What HAProxy's counters tell about the time between two polls: a server that was DOWN and is UP again, a HAProxy that was
 * restarted (its counters fell); and another leader. No I/O; times are steady milliseconds.
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

/** What one HAProxy process said last; plain data, kept over restarts of the monitor. */
interface ProcessMemory {
  readonly sessionsTotal: number;
  /** When it was asked; a version before did not keep that. */
  readonly at?: number;
  readonly servers: Record<string, ServerMemory>;
}

export interface OutageBook {
  readonly processes: Record<string, ProcessMemory>;
  /** By proxy/server: outages that one process calls over, while another one calls the server DOWN. */
  readonly ended: Record<string, SeenSpan[]>;
  /** By proxy/server: those that were told of. */
  readonly told: Record<string, ToldSpan[]>;
  leader?: string;
}

export const emptyOutageBook = (): OutageBook => ({ processes: {}, ended: {}, told: {} });

export type Happening =
  | {
      readonly kind: 'short_outage';
      readonly proxy: string;
      readonly server: string;
      /** Between the first and the last of several. */
      readonly span: Span;
      /** An alert tells of the first of several; this, that there were more. */
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
      // Of a node that is seen for the first time nobody knows who led when it went DOWN.
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

/** A process whose server goes DOWN and UP while another one calls it DOWN all the time. */
const SPANS_KEPT = 100;

const sumOf = (spans: readonly Span[]): Span => ({
  from: Math.min(...spans.map(({ from }) => from)),
  to: Math.max(...spans.map(({ to }) => to)),
  times: spans.reduce((sum, { times }) => sum + times, 0),
  downMs: spans.reduce((sum, { downMs }) => sum + downMs, 0),
});

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
