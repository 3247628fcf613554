/**
 * Outages of one server as HAProxy processes count them, and which of them are one. HAProxy tells no times of day: `lastchg`
 * is how long ago the state changed, `downtime` how long it was DOWN in all, `chkdown` how often, in whole seconds. No I/O;
 * times are steady milliseconds.
 */
import { type StatsRow, stateOf } from './haproxy_csv.ts';

/** Two figures of whole seconds differ by so much where they mean one instant. */
const PRECISION_MS = 1_000;
/** So long before an outage, as another process may see its beginning, the one before was over. */
const SHORTEST_UP_MS = 4_000;
/** More than a server has outages in the time that they are kept. */
const KEPT = 100;
/** A process that was not to be asked for longer tells of outages that were told. */
const TOLD_FOR_MS = 3_600_000;

/** What one process said last of one server; plain data, kept over restarts of the monitor. */
export interface ServerMemory {
  readonly timesDown: number;
  /** Of the outages that are over. */
  readonly downtimeS: number;
  /** Since when it is DOWN, where that is an outage; left out: it is not. */
  readonly openFrom?: number;
}

/** An outage, or several whose times are not known one by one. */
export interface Span {
  readonly from: number;
  readonly to: number;
  readonly times: number;
  /** How long it was DOWN, all times together. */
  readonly downMs: number;
}

/** As one process saw it. */
export interface SeenSpan extends Span {
  readonly haproxy: string;
}

type Amount = Pick<Span, 'times' | 'downMs'>;

/** One that was told of, and how much of it each process has told. */
export interface ToldSpan extends Span {
  readonly by: Readonly<Record<string, Amount>>;
}

/** A look at one server through one process. */
interface Look {
  readonly row: StatsRow;
  readonly now: number;
  /** When the process was asked before. */
  readonly before: number | undefined;
  /** Whether being DOWN is a fault of the server, by what is known now. */
  readonly isFault: boolean;
  /** Its counters began anew since. */
  readonly restarted: boolean;
}

/**
 * What a process says of a server, compared with what it said before.
 * @param known undefined: it was not asked about it before
 * @returns what to remember, and the outages that ended since, as one span
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
  // A process that has just begun takes every server for UP until it has asked.
  if (state === undefined) return { memory: remember(openFrom), ended: undefined };
  const more = restarted ? row.timesDown - (wasOpen ? 1 : 0) : row.timesDown - known.timesDown;
  const begun = Math.max(0, more);
  const isSame = isDown && begun === 0;
  const memory = remember(isDown && isFault ? (isSame ? openFrom : changedAt) : undefined);
  const times = begun + (wasOpen ? 1 : 0) - (isDown ? 1 : 0);
  if (times <= 0 || !isFault) return { memory, ended: undefined };

  const downMs = Math.max(0, downtimeS - (restarted ? 0 : known.downtimeS)) * 1_000;
  // Of one that began after the last look, the beginning is after it, too.
  const earliest = openFrom ?? (look.before ?? changedAt - downMs) - PRECISION_MS;
  const before = Math.max(earliest + downMs, changedAt - SHORTEST_UP_MS);
  const to = isDown ? Math.min(changedAt, before) : state === 'MAINT' ? now : changedAt;
  if (times > 1) return { memory, ended: { from: earliest, to, times, downMs } };
  if (wasOpen) {
    const end = isDown ? Math.min(to, openFrom + downMs) : to;
    return { memory, ended: { from: openFrom, to: end, times, downMs: Math.max(0, end - openFrom) } };
  }
  // It ended before the one that is open now; when, is not known.
  if (isDown) return { memory, ended: { from: earliest, to, times, downMs } };
  const from = Math.max(earliest, to - downMs);
  return { memory, ended: { from, to, times, downMs: to - from } };
}

const overlap = (one: Span, other: Span): boolean =>
  one.from <= other.to + PRECISION_MS && other.from <= one.to + PRECISION_MS;

/**
 * Puts together what several processes saw of one outage: their spans overlap. Two of one process are two outages, unless
 * another process called the server DOWN all the time between.
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
  // What one process called DOWN all the time was one outage, whatever others have counted in it.
  if (spans.every((span) => span.times === 1 && isExact(span)))
    return { from, to, by, times: 1, downMs: spans.length > 1 ? to - from : most(({ downMs }) => downMs) };
  return { from, to, by, times: most(({ times }) => times), downMs: most(({ downMs }) => downMs) };
}

/** Whether it was DOWN from its beginning to its end. */
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
 * The outages of a server that are to be told, once no process calls it DOWN any more.
 * @param told what was told before
 * @returns the new ones, and what is told now
 */
export function outagesOf(
  spans: readonly SeenSpan[],
  told: readonly ToldSpan[],
  now: number,
): { outages: Span[]; told: ToldSpan[] } {
  const all = told.filter(({ to }) => to > now - TOLD_FOR_MS);
  // Before they are put together: of several that a process counted since it was asked last, some may be told and some not.
  const untold = spans.map((span) => withoutTold(span, all)).filter(({ times }) => times > 0);
  const outages = together(untold).map(unionOf);
  return { outages, told: [...all, ...outages].slice(-KEPT) };
}

/**
 * What of a span was not told before: each process counts all outages, so what others have told it tells once more.
 * @param told noted in place: what of them this process has told now
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

/** What of a told one a process has still to tell. */
function notToldBy(haproxy: string, { times, downMs, by }: ToldSpan): Amount {
  const told = by[haproxy] ?? { times: 0, downMs: 0 };
  return { times: times - told.times, downMs: Math.max(0, downMs - told.downMs) };
}
