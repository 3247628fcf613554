/**
 * Finds hanging parts: they run and accept connections, but answer nothing. HAProxy, bouncers, etcd and RabbitMQ are asked every few
 * seconds; a part that leaves three questions in a row unanswered is killed, and the supervisor restarts it. HAProxy has
 * the shortest limit: its clients hang with it, and no other part can lead them around it. etcd has the same limit:
 * after some 10 s without it Patroni goes over to its failsafe mode.
 *
 * - PostgreSQL nodes and their Patronis are never asked here: Patroni alone decides which of them must go.
 * - One part of a kind at a time: the next part waits until the previous one answers again.
 * - A part that hangs again gets ever more time before it is killed again.
 * - When this process itself had no processor time, an unanswered question proves nothing.
 * - A part that a drill holds is left alone.
 */
import type { Clock } from '#platform/lifecycle/clock.ts';
import { TimeoutError, within } from '#platform/lifecycle/within.ts';

/** The time limit of an answer for each kind, and the time from one question to the next. */
export const QUESTION_LIMIT_MS = { haproxy: 2_000, bouncer: 5_000, etcd: 2_000, broker: 5_000 } as const;
type WatchedKind = keyof typeof QUESTION_LIMIT_MS;
/** Unanswered questions in a row until a part counts as hung. */
export const UNANSWERED_TO_RESTART = 3;
/** The least time from one killing of a part to the next; it doubles each time. */
const BACKOFF_FIRST_MS = 60_000;
const BACKOFF_MAX_MS = 960_000;
/** A part that answered for so long is healthy: its next restart counts as the first again. */
const WELL_AFTER_MS = 600_000;
/** A timer that comes later than this was delayed by a busy machine. */
const LATE_MS = 1_000;

export interface WatchedPart {
  readonly name: string;
  readonly kind: WatchedKind;
}

export interface WatchdogOptions {
  readonly parts: readonly WatchedPart[];
  readonly clock: Clock;
  /** Resolves when the part answered anything; its signal is aborted after its kind's QUESTION_LIMIT_MS. */
  readonly ask: (part: WatchedPart, signal: AbortSignal) => Promise<void>;
  /** Whether the part runs and no drill holds it. */
  readonly isWatched: (name: string) => boolean;
  /** Kills the part's processes; the supervisor restarts them. */
  readonly restart: (name: string) => void;
  readonly report: (name: string, detail: string) => void;
}

interface Watched {
  readonly part: WatchedPart;
  unanswered: number;
  /** It was killed and has not answered since. */
  awaited: boolean;
  restarts: number;
  notBefore: number;
  answeredSince: number | undefined;
}

/** Asks until the signal, each kind at its own pace; resolves then. */
export async function watchParts(options: WatchdogOptions, stopping: AbortSignal): Promise<void> {
  const kinds = new Set(options.parts.map(({ kind }) => kind));
  await Promise.all([...kinds].map((kind) => watchKind(options, kind, stopping)));
}

async function watchKind(options: WatchdogOptions, kind: WatchedKind, stopping: AbortSignal): Promise<void> {
  const { clock } = options;
  const ofKind = options.parts.filter((part) => part.kind === kind);
  const watched = ofKind.map(
    (part): Watched => ({
      part,
      unanswered: 0,
      awaited: false,
      restarts: 0,
      notBefore: 0,
      answeredSince: undefined,
    }),
  );
  while (!stopping.aborted) {
    const next = clock.monotonic() + QUESTION_LIMIT_MS[kind];
    await askAll(options, kind, watched);
    await clock.sleep(Math.max(0, next - clock.monotonic()), stopping).catch(() => undefined);
  }
}

/** One round of questions to the parts of a kind, all at once, and their consequences. */
async function askAll(
  options: WatchdogOptions,
  kind: WatchedKind,
  watched: readonly Watched[],
): Promise<void> {
  const { clock } = options;
  const limitMs = QUESTION_LIMIT_MS[kind];
  const asked = watched.filter(({ part }) => options.isWatched(part.name));
  const startedAt = clock.monotonic();
  const answers = await Promise.all(asked.map(({ part }) => isAnswered(options, part)));
  const isLate = clock.monotonic() - startedAt > limitMs + LATE_MS;
  for (const [index, one] of asked.entries()) note(one, answers[index]!, isLate, clock);
  // A part that is not asked is being started, or held: its earlier unanswered questions no longer count.
  for (const one of watched) if (!asked.includes(one)) one.unanswered = 0;
  for (const one of asked) {
    const isOtherAwaited = watched.some((other) => other !== one && other.awaited);
    if (one.unanswered < UNANSWERED_TO_RESTART || isOtherAwaited || clock.monotonic() < one.notBefore)
      continue;
    const seconds = (one.unanswered * limitMs) / 1000;
    options.report(one.part.name, `it answered nothing for ${seconds} s: it is killed and restarted`);
    one.unanswered = 0;
    one.awaited = true;
    one.notBefore = clock.monotonic() + Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** one.restarts);
    one.restarts++;
    options.restart(one.part.name);
  }
}

function note(one: Watched, isAnswered: boolean, isLate: boolean, clock: Clock): void {
  if (isAnswered) {
    one.unanswered = 0;
    one.awaited = false;
    one.answeredSince ??= clock.monotonic();
    if (clock.monotonic() - one.answeredSince > WELL_AFTER_MS) one.restarts = 0;
  } else if (!isLate) {
    one.unanswered++;
    one.answeredSince = undefined;
  }
}

async function isAnswered({ clock, ask }: WatchdogOptions, part: WatchedPart): Promise<boolean> {
  try {
    await within(clock, QUESTION_LIMIT_MS[part.kind], `asking ${part.name}`, (signal) => ask(part, signal));
    return true;
  } catch (error) {
    // A refusal comes from the kernel: the part does not run, and the supervisor knows that.
    return !(error instanceof TimeoutError);
  }
}
