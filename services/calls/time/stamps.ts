/**
 * From the stamps of a call as a switch wrote them to instants.
 *
 * Most switches write the time of the wall clock, without a zone. On the night when clocks are set back an hour
 * comes twice, and the text `02:30:00` means one of two instants. For each row the decision is made in this order:
 *
 *   (a) The known start. Asterisk's uniqueid carries the epoch second in which the channel was created. A start within
 *       KNOWN_START_SLACK_MS of it is the one; a start before it is none.
 *   (b) The row's own arithmetic. The end must come after the start, by the call's duration (to ARITHMETIC_SLACK_MS).
 *       A call that crosses the change, or reaches out of the repeated hour, decides itself.
 *   (c) The order of rows. A switch writes a record when its call ends, so ends do not go back from row to row. If the
 *       first reading of this row's end lies more than ORDER_TOLERANCE_MS before the latest end so far, and the second
 *       does not, the second pass of the hour has begun. After that, a first reading is accepted only
 *       within WRITE_JITTER_MS of the latest end: at night an hour may hold three calls.
 *   (d) Otherwise the first reading, flagged `ambiguous_time`. So in a file with no evidence but its order, the calls of
 *       the first pass are right and flagged (a later step back of the wall clock is still unknown), those of the
 *       second are right and not flagged.
 *
 * An hour that is skipped in spring was on no correct wall clock. A stamp within it is read with the offset before the
 * gap (02:30 becomes the instant that is shown as 03:30) and flagged `nonexistent_time`.
 *
 * For (c) a clock keeps four numbers, and no rows: the latest end so far (an instant); how many rows
 * were read; how many of them were stray (ended more than the tolerance before the latest end, by every reading); and
 * how many strays came in a row. Strays do not move the latest end, but STRAY_RUN of them in a row do: there another
 * file's rows begin, or one row carried a date of the far future. Where more than one row in STRAY_SHARE is a stray the
 * source is not in the order of ends (sorted by account, or newest first) and (c) is not used. So one clock
 * belongs to one reader of one source.
 */

import type { CdrFlag } from '../call_fields.ts';
import type { Rejection } from '../cdr.ts';
import { type DateOrder, readStamp } from './stamp_text.ts';
import { type ZoneRules, zoneRules, zoneSpelling } from './zone_rules.ts';

/** A row's stamps as written; '' where the row has none. */
export interface WrittenTimes {
  readonly start: string;
  readonly connect: string;
  readonly disconnect: string;
  /** The whole call, ringing included, in seconds. */
  readonly durationS: number;
  /** Epoch second of the channel's creation, where the row carries it. */
  readonly knownStartS?: number;
}

/** Instants in milliseconds since 1970 with the fraction written, or the reason for rejecting the row. */
export type ResolvedTimes =
  | {
      readonly kind: 'times';
      readonly startTime: number;
      readonly connectTime: number | null;
      readonly disconnectTime: number | null;
      readonly flags: CdrFlag[];
    }
  | { readonly kind: 'rejected'; readonly rejection: Rejection };

export interface CallClock {
  /** Call it once for each row, in the order of the source: it remembers the order of ends. */
  resolve(times: WrittenTimes): ResolvedTimes;
}

/** A channel is created at the start of its call; forked records start later, and clocks are adjusted by a little. */
const KNOWN_START_SLACK_MS = 5 * 60_000;
/** Durations are rounded, and some switches count from the first ring. Far less than any repeated time (30 min). */
const ARITHMETIC_SLACK_MS = 60_000;
/** How late a switch may write a record after later ones. Less than the shortest repeated time (30 min). */
const ORDER_TOLERANCE_MS = 10 * 60_000;
/** How late a record may come after the clock has stepped back and still be of the first pass. */
const WRITE_JITTER_MS = 60_000;
const STRAY_RUN = 10;
const STRAY_SHARE = 20;
/** Stamps to the second beside stamps to the microsecond may seem out of order by less than this. */
const STAMP_GRAIN_MS = 1000;
/** The largest error of a wall clock that is read in another zone. */
const NEAR_EPOCH_MS = 27 * 3_600_000;
/** The first instant after the valid range, 1970-01-01 to 2099-12-31 in UTC. */
const END_OF_RANGE_MS = Date.UTC(2100, 0, 1);

/** Whether `name` is an IANA time zone in the spelling of the time zone database (`Europe/Berlin`, not `+01:00`). */
export function isTimeZone(name: string): boolean {
  return zoneSpelling(name) === name;
}

/**
 * A clock for one source, whose zone-less stamps were written in `timeZone`.
 * @throws RangeError when `isTimeZone(timeZone)` is false.
 */
export function createCallClock(timeZone: string, dateOrder?: DateOrder): CallClock {
  const rules = zoneRules(timeZone);
  const order: EndOrder = { latestEnd: Number.NEGATIVE_INFINITY, rows: 0, strays: 0, strayRun: 0 };
  return { resolve: (times) => resolveRow(times, rules, dateOrder, order) };
}

/** The instants that a stamp may mean: `second` is set where the wall clock showed it twice. */
interface Reading {
  readonly first: number;
  readonly second: number | null;
  /** When the clock was set back: every first reading lies before, every second at or after. NaN: it was not. */
  readonly setBackAt: number;
  readonly skipped: boolean;
}

interface EndOrder {
  latestEnd: number;
  rows: number;
  strays: number;
  strayRun: number;
}

/** One way to read a row's start and end together. */
interface Span {
  readonly start: number;
  readonly end: number;
}

function resolveRow(
  times: WrittenTimes,
  rules: ZoneRules,
  dateOrder: DateOrder | undefined,
  order: EndOrder,
): ResolvedTimes {
  const start = readTime(times.start, 'start', rules, dateOrder);
  if (start === null)
    return refuse({ code: 'missing_field', reason: 'the call has no start time', field: 'start' });
  if ('code' in start) return refuse(start);
  const mayBeNought = start.first > NEAR_EPOCH_MS;
  const connect = readTime(times.connect, 'connect', rules, dateOrder, mayBeNought);
  if (connect !== null && 'code' in connect) return refuse(connect);
  const disconnect = readTime(times.disconnect, 'disconnect', rules, dateOrder, mayBeNought);
  if (disconnect !== null && 'code' in disconnect) return refuse(disconnect);

  const flags: CdrFlag[] = [];
  if (start.skipped || connect?.skipped || disconnect?.skipped) flags.push('nonexistent_time');

  const durationMs = times.durationS * 1000;
  let spans = spansOf(start, disconnect, durationMs);
  if (spans.length > 1) spans = decideSpan(spans, times, order, (disconnect ?? start).setBackAt);
  const span = spans[0]!;
  const connects = connect === null ? [] : decideConnect(connect, span);
  if (spans.length > 1 || connects.length > 1) flags.push('ambiguous_time');
  noteEnd(order, span.end);

  const connectTime = connects[0] ?? null;
  const disconnectTime = disconnect === null ? null : span.end;
  const latestBeforeEnd = Math.max(span.start, connectTime ?? span.start);
  if (isBefore(connectTime, span.start) || isBefore(disconnectTime, latestBeforeEnd)) {
    flags.push('times_out_of_order');
  }
  return { kind: 'times', startTime: span.start, connectTime, disconnectTime, flags };
}

/**
 * Null: absent.
 * @param mayBeNought whether a time about the epoch's first second means "none": an epoch of 0, as a wall clock shows it
 */
function readTime(
  written: string,
  field: 'start' | 'connect' | 'disconnect',
  rules: ZoneRules,
  dateOrder: DateOrder | undefined,
  mayBeNought = false,
): Reading | Rejection | null {
  if (written === '') return null;
  const stamp = readStamp(written, dateOrder);
  if (stamp.kind === 'absent') return null;
  if (stamp.kind === 'bad') return { code: 'bad_time', reason: `${field}: ${stamp.reason}`, field };
  const reading = stamp.kind === 'instant' ? exactly(stamp.ms) : readWall(stamp.ms, rules);
  if (mayBeNought && Math.abs(reading.first) <= NEAR_EPOCH_MS) return null;
  // Both readings of a repeated time must be storable. They differ in that only at the very edges of the range.
  if (reading.first < 0 || (reading.second ?? reading.first) >= END_OF_RANGE_MS) {
    return { code: 'bad_time', reason: `${field}: ${written.trim()} is outside 1970 to 2099 (UTC)`, field };
  }
  return reading;
}

function readWall(wallMs: number, rules: ZoneRules): Reading {
  const found = rules(wallMs);
  if (typeof found === 'number') return exactly(wallMs - found);
  const repeated = found.before > found.after;
  return {
    first: wallMs - found.before,
    second: repeated ? wallMs - found.after : null,
    setBackAt: repeated ? found.from - found.after : Number.NaN,
    skipped: !repeated,
  };
}

function exactly(ms: number): Reading {
  return { first: ms, second: null, setBackAt: Number.NaN, skipped: false };
}

/** Every way to read start and end, earliest first. Without an end stamp the duration gives the end. */
function spansOf(start: Reading, end: Reading | null, durationMs: number): Span[] {
  const spans: Span[] = [];
  for (const from of [start.first, start.second]) {
    if (from === null) continue;
    if (end === null) {
      spans.push({ start: from, end: from + durationMs });
      continue;
    }
    spans.push({ start: from, end: end.first });
    if (end.second !== null) spans.push({ start: from, end: end.second });
  }
  return spans;
}

/** Rules (a), (b) and (c): the remaining ways to read the row, never none. */
function decideSpan(all: Span[], times: WrittenTimes, order: EndOrder, setBackAt: number): Span[] {
  let spans = all;
  if (times.knownStartS !== undefined) {
    const knownStart = times.knownStartS * 1000;
    spans = narrow(spans, (span) => span.start >= knownStart - KNOWN_START_SLACK_MS);
    spans = narrow(spans, (span) => span.start <= knownStart + KNOWN_START_SLACK_MS);
  }
  const durationMs = times.durationS * 1000;
  spans = narrow(spans, (span) => !isBefore(span.end, span.start));
  spans = narrow(spans, (span) => Math.abs(span.end - span.start - durationMs) <= ARITHMETIC_SLACK_MS);
  if (order.strays * STRAY_SHARE > order.rows) return spans;
  return narrow(spans, ({ end }) => {
    const firstAfterSecondBegan = end < setBackAt && order.latestEnd >= setBackAt;
    return end >= order.latestEnd - (firstAfterSecondBegan ? WRITE_JITTER_MS : ORDER_TOLERANCE_MS);
  });
}

/** A repeated connect time lies between start and end. If both readings do, both remain. */
function decideConnect(connect: Reading, span: Span): number[] {
  if (connect.second === null) return [connect.first];
  let connects = [connect.first, connect.second];
  connects = narrow(connects, (at) => !isBefore(at, span.start));
  return narrow(connects, (at) => !isBefore(span.end, at));
}

/** Those that fit, or all where none does: contradictory evidence is no evidence. */
function narrow<T>(candidates: T[], fits: (candidate: T) => boolean): T[] {
  const fitting = candidates.filter(fits);
  return fitting.length > 0 ? fitting : candidates;
}

function isStray(order: EndOrder, end: number): boolean {
  return end < order.latestEnd - ORDER_TOLERANCE_MS;
}

function noteEnd(order: EndOrder, end: number): void {
  order.rows += 1;
  if (!isStray(order, end)) {
    order.strayRun = 0;
    if (end > order.latestEnd) order.latestEnd = end;
    return;
  }
  order.strays += 1;
  order.strayRun += 1;
  if (order.strayRun >= STRAY_RUN) {
    order.strayRun = 0;
    order.latestEnd = end;
  }
}

function isBefore(at: number | null, than: number): boolean {
  return at !== null && at <= than - STAMP_GRAIN_MS;
}

function refuse(rejection: Rejection): ResolvedTimes {
  return { kind: 'rejected', rejection };
}
