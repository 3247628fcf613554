/**
 * The reasons for not announcing an alert: an announced alert is its cause, or has the same meaning; its part flaps; or its cause
 * may still be coming. For the last one Alertmanager has `group_wait`, which holds back every alert for half a minute. Here only
 * possible consequences wait: for the time in which the monitor sees the beginning of a cause, and then for the time that a
 * cause which has begun needs until it is announced.
 */
import type { Alert, AlertBook, Silence } from './alert_book.ts';
import { windowOf } from './measure.ts';
import type { Cause, Rule } from './rule.ts';
import type { Labels } from './samples.ts';

/** If a flapping part stays in one state for this time, this state is announced. */
export const FLAP_TOLD_AFTER_MS = 30_000;
/** A consequence that outlives its cause by this time is announced after all. */
export const CONSEQUENCE_GRACE_MS = 30_000;
/** How long ended alerts are remembered: the grace, and the longest window of the rules for services. */
export const ENDED_KEPT_MS = CONSEQUENCE_GRACE_MS + 120_000;
/** How long after the end of its cause a consequence may be seen; for a rate or a share, until the next poll of the service. */
const SEEN_LATER_MS = 5_000;
const RATE_SEEN_LATER_MS = 15_000;
/** How long before the beginning of its cause a consequence may be seen: a door is tested every 2 s, in 1.75 s at most. */
export const CAUSE_SEEN_LATER_MS = 4_000;

/** Whether an alert is not announced because its part flaps: then it does not hold back other alerts either. */
export const isHeldBack = (book: AlertBook, alert: Alert, now: number): boolean =>
  book.flapping[alert.key] !== undefined && !alert.announced && now - alert.since < FLAP_TOLD_AFTER_MS;

/** Key of the alert that is the cause of an alert of this rule, or has the same meaning; undefined if it is announced. */
export const excuseOf = (book: AlertBook, rule: Rule, of: Beginning, now: number): string | undefined =>
  causeOf(book, rule, of, now) ?? saidBy(book, rule, of, now);

/** The part and the beginning of an alert. */
type Beginning = Pick<Alert, 'labels' | 'since'>;

/** An alert that has not begun yet: its `for` is not over, or its part has not been silent for long enough. */
export type Coming = Pick<Alert, 'rule' | 'severity' | 'labels' | 'since'>;

/** Whether an alert of this rule may turn out to be a consequence, so that it waits. */
export function mayHaveCause(
  book: AlertBook,
  { causedBy = [] }: Rule,
  { labels, since }: Beginning,
  coming: readonly Coming[],
  now: number,
): boolean {
  if (causedBy.length === 0) return false;
  const seenBy = since + CAUSE_SEEN_LATER_MS;
  if (now < seenBy) return true;
  const names = causedBy.map(nameOf);
  return coming.some(
    (one) =>
      names.includes(one.rule) &&
      // A cause that comes and goes must not hold it back for ever.
      one.since <= seenBy &&
      agree(one.labels, labels) &&
      !silencedBy(book, one),
  );
}

/** The rule that is the cause. */
export const nameOf = (cause: Cause): string =>
  typeof cause === 'string' ? cause : 'ofAll' in cause ? cause.ofAll : cause.rule;

/** Key of an alert that was announced, holds or ended a moment ago, and has the same meaning for people. */
function saidBy(book: AlertBook, rule: Rule, { labels, since }: Beginning, now: number): string | undefined {
  const ended = Object.keys(book.ended).flatMap((key) => book.history.find((past) => past.key === key) ?? []);
  const told = [...Object.values(book.active), ...ended].filter(({ announced }) => announced);
  const same = (rule.saidBy ?? []).filter(({ of }) => agree(of, labels));
  const holds = ({ state, key }: Alert) =>
    state === 'firing' ||
    // HAProxy and the test through the door see the same end seconds apart.
    (now - book.ended[key]! < CONSEQUENCE_GRACE_MS && book.ended[key]! >= since);
  return told.find((other) =>
    same.some(
      ({ by, where, withinS }) =>
        by === other.rule &&
        agree(where, other.labels) &&
        (withinS === undefined ? holds(other) : now - other.since <= withinS * 1_000),
    ),
  )?.key;
}

/** Whether an announced outage continues as another alert with the same meaning, which is not announced: its recovery waits. */
export const goesOn = (
  { active }: AlertBook,
  rules: ReadonlyMap<string, Rule>,
  { key, rule, resolvedAt = 0 }: Alert,
  now: number,
): boolean =>
  now - resolvedAt < CONSEQUENCE_GRACE_MS &&
  Object.values(active).some(
    (other) =>
      other.cause === key &&
      rules.get(other.rule)?.saidBy?.some(({ by, withinS }) => by === rule && withinS === undefined),
  );

/** Key of an alert that fires, or ended a moment ago, and is the cause of this one. */
function causeOf(
  book: AlertBook,
  { causedBy = [], measure }: Rule,
  { labels, since }: Beginning,
  now: number,
): string | undefined {
  const known = causedBy.filter(
    (cause) => typeof cause === 'string' || !('ofAll' in cause) || book.ofAll[cause.ofAll] !== undefined,
  );
  if (known.length === 0) return undefined;
  const isCause = (past: Alert | undefined) =>
    past !== undefined &&
    known.some(
      (cause) =>
        nameOf(cause) === past.rule &&
        (typeof cause === 'string' || !('withinS' in cause) || now - past.since <= cause.withinS * 1_000),
    ) &&
    agree(past.labels, labels) &&
    !isHeldBack(book, past, past.resolvedAt ?? now) &&
    // A silenced alert that was not announced is no cause.
    (past.announced || !silencedBy(book, past));
  const active = Object.values(book.active).find((one) => one.state === 'firing' && isCause(one));
  // A figure over a window still contains the cause for the length of the window.
  const windowMs = windowOf(measure) * 1_000;
  const seenLaterMs = windowMs > 0 ? RATE_SEEN_LATER_MS : SEEN_LATER_MS;
  return (
    active?.key ??
    // An alert that begins after the end of this one has another cause.
    Object.keys(book.ended).find(
      (key) =>
        now - book.ended[key]! < CONSEQUENCE_GRACE_MS + windowMs &&
        book.ended[key]! >= since - seenLaterMs &&
        isCause(book.history.find((past) => past.key === key)),
    )
  );
}

/** Whether labels that both have are equal: a service that is DOWN explains only its own alerts. */
export const agree = (one: Labels, other: Labels): boolean =>
  Object.entries(one).every(([label, value]) => (other[label] ?? value) === value);

/** The silence that holds back an alert. */
export function silencedBy(
  book: AlertBook,
  { rule, severity, labels }: Pick<Alert, 'rule' | 'severity' | 'labels'>,
): Silence | undefined {
  const all: Labels = { ...labels, rule, severity };
  return book.silences.find(({ match }) =>
    Object.entries(match).every(([label, value]) => all[label] === value),
  );
}
