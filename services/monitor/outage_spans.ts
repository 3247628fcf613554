/**
 * Outages of one server as HAProxy processes count them, and which of them are the same outage. HAProxy has no times of day:
 * `lastchg` is the seconds since the last change of state, `downtime` the total seconds DOWN, `chkdown` the number of outages.
 * No I/O; times are steady milliseconds.
 */
import { type StatsRow, stateOf } from './haproxy_csv.ts';

/** Two figures of whole seconds for the same instant may differ by this much. */
const PRECISION_MS = 1_000;
/** The shortest time between two outages, as processes may see the beginning of the later one at different times. */
const SHORTEST_UP_MS = 4_000;
/** More outages than a server has in the time for which they are kept. */
const KEPT = 100;
/** How long reported outages are remembered. A process that was unreachable for longer repeats them. */
const TOLD_FOR_MS = 3_600_000;

/** The last figures of one process for one server; plain data, kept over restarts of the monitor. */
export interface ServerMemory {
  readonly timesDown: number;
  /** Total of the outages that are over. */
  readonly downtimeS: number;
  /** The beginning of the present outage; absent without one. */
  readonly openFrom?: number;
}

/** An outage, or several outages whose single times are unknown. */
export interface Span {
  readonly from: number;
  readonly to: number;
  readonly times: number;
  /** The total time DOWN. */
  readonly downMs: number;
}

/** An outage as one process saw it. */
export interface SeenSpan extends Span {
  readonly haproxy: string;
}

type Amount = Pick<Span, 'times' | 'downMs'>;

/** A reported outage, and the part of it that each process has counted. */
export interface ToldSpan extends Span {
  readonly by: Readonly<Record<string, Amount>>;
}

/** One server at one poll of one process. */
interface Look {
  readonly row: StatsRow;
  readonly now: number;
  /** When the process was read before. */
  readonly before: number | undefined;
  /** Whether it is a fault if the server is DOWN, as known now. */
  readonly isFault: boolean;
  /** Whether its counters began at zero since then. */
  readonly restarted: boolean;
}

/**
 * Compares the figures of a process for a server with those before.
 * @param known undefined: the server was not read before
 * @returns the figures to remember, and the outages that ended since then, as one span
 */
export function compareServer(
  known: ServerMemory | undefined,
  look: Look,
): { memory: ServerMemory; ended: Span | undefined } {
  const { row, now, isFault, restarted } = look;
  const state = stateOf(row);
  const isDown = state === 'DOWN';
  const changedAt = now - row.lastChangeS * 1_000;
  const isStopped = isDown || state === 'MAINT';
  const downtimeS = row.downtimeS - (isStopped ? row.lastChangeS : 0);
  const counters = { timesDown: row.timesDown, downtimeS };
  const remember = (openFrom: number | undefined): ServerMemory =>
    openFrom === undefined ? counters : { ...counters, openFrom };

  if (!known) return { memory: remember(isDown && isFault ? changedAt : undefined), ended: undefined };
  const { openFrom } = known;
  const wasOpen = openFrom !== undefined;
  // A process that has just started calls every server UP until its first check.
  if (state === undefined) return { memory: remember(openFrom), ended: undefined };
  const more = restarted ? row.timesDown - (wasOpen ? 1 : 0) : row.timesDown - known.timesDown;
  const begun = Math.max(0, more);
  const isSame = isDown && begun === 0;
  const memory = remember(isDown && isFault ? (isSame ? openFrom : changedAt) : undefined);
  const times = begun + (wasOpen ? 1 : 0) - (isDown ? 1 : 0);
  if (times <= 0 || !isFault) return { memory, ended: undefined };

  const downMs = Math.max(0, downtimeS - (restarted ? 0 : known.downtimeS)) * 1_000;
  // An outage that is not open began after the last read.
  const earliest = openFrom ?? (look.before ?? changedAt - downMs) - PRECISION_MS;
  const before = Math.max(earliest + downMs, changedAt - SHORTEST_UP_MS);
  const to = isDown ? Math.min(changedAt, before) : state === 'MAINT' ? now : changedAt;
  if (times > 1) return { memory, ended: { from: earliest, to, times, downMs } };
  if (wasOpen) {
    const end = isDown ? Math.min(to, openFrom + downMs) : to;
    return { memory, ended: { from: openFrom, to: end, times, downMs: Math.max(0, end - openFrom) } };
  }
  // It ended before the present outage began; the exact time is unknown.
  if (isDown) return { memory, ended: { from: earliest, to, times, downMs } };
  const from = Math.max(earliest, to - downMs);
  return { memory, ended: { from, to, times, downMs: to - from } };
}

const overlap = (one: Span, other: Span): boolean =>
  one.from <= other.to + PRECISION_MS && other.from <= one.to + PRECISION_MS;

/**
 * Groups the spans of several processes that are the same outage: they overlap. Two spans of one process are two outages, unless
 * another process called the server DOWN all the time between them.
 */
function together(spans: readonly SeenSpan[]): SeenSpan[][] {
  const groups: SeenSpan[][] = [];
  for (const span of spans.toSorted((a, b) => a.from - b.from)) {
    const same = groups.find((group) =>
      group.some((other) => other.haproxy !== span.haproxy && overlap(other, span)),
    );
    if (same) same.push(span);
    else groups.push([span]);
  }
  return groups;
}

function unionOf(spans: readonly SeenSpan[]): ToldSpan {
  const from = Math.min(...spans.map((span) => span.from));
  const to = Math.max(...spans.map((span) => span.to));
  const by = addUp(spans.map((span) => [span.haproxy, span]));
  const most = (of: (amount: Amount) => number) => Math.max(...Object.values(by).map(of));
  // If one process called the server DOWN all the time, it was one outage, however many other processes have counted.
  if (spans.every((span) => span.times === 1 && isExact(span)))
    return { from, to, by, times: 1, downMs: spans.length > 1 ? to - from : most(({ downMs }) => downMs) };
  return { from, to, by, times: most(({ times }) => times), downMs: most(({ downMs }) => downMs) };
}

/** Whether the server was DOWN from the beginning to the end of the span. */
const isExact = ({ from, to, downMs }: Span): boolean => to - from - downMs <= 2 * PRECISION_MS;

function addUp(amounts: readonly (readonly [haproxy: string, Amount])[]): Record<string, Amount> {
  const sums: Record<string, Amount> = {};
  for (const [name, { times, downMs }] of amounts) {
    const { times: before, downMs: downBefore } = sums[name] ?? { times: 0, downMs: 0 };
    sums[name] = { times: before + times, downMs: downBefore + downMs };
  }
  return sums;
}

/**
 * The outages of a server to report, as soon as no process calls it DOWN any more.
 * @param told the outages that were reported before
 * @returns the new outages, and all reported ones
 */
export function outagesOf(
  spans: readonly SeenSpan[],
  told: readonly ToldSpan[],
  now: number,
): { outages: Span[]; told: ToldSpan[] } {
  const all = told.filter(({ to }) => to > now - TOLD_FOR_MS);
  // Before the grouping, since some of the outages that a process counted since its last read may be reported, and others not.
  const untold = spans.map((span) => withoutTold(span, all)).filter(({ times }) => times > 0);
  const outages = together(untold).map(unionOf);
  return { outages, told: [...all, ...outages].slice(-KEPT) };
}

/**
 * The part of a span that was not reported before. Each process counts all outages, so it repeats those of other processes.
 * @param told changed in place: the parts that this process has counted now
 */
function withoutTold(span: SeenSpan, told: ToldSpan[]): SeenSpan {
  let { from, times, downMs } = span;
  for (const [index, before] of told.entries()) {
    const left = overlap(before, span) ? notToldBy(span.haproxy, before) : { times: 0, downMs: 0 };
    const again = { times: Math.min(times, left.times), downMs: Math.min(downMs, left.downMs) };
    if (again.times <= 0) continue;
    times -= again.times;
    downMs -= again.downMs;
    from = Math.min(span.to, Math.max(from, before.to));
    told[index] = { ...before, by: addUp([...Object.entries(before.by), [span.haproxy, again]]) };
  }
  return { ...span, from, times, downMs };
}

/** The part of a reported outage that a process has not counted yet. */
function notToldBy(haproxy: string, { times, downMs, by }: ToldSpan): Amount {
  const told = by[haproxy] ?? { times: 0, downMs: 0 };
  return { times: times - told.times, downMs: Math.max(0, downMs - told.downMs) };
}
