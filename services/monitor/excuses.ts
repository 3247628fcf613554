/**
 * Why an alert is not told: another one that is told makes it a consequence, or says the same; or its part flaps; or its cause
 * may still be coming. Alertmanager waits for that with `group_wait`, which holds back every alert for half a minute; here only
 * what can be a consequence waits, for as long as the monitor takes to see the beginning of a cause, and then for as long as one
 * that has begun needs until it is told.
 */
import type { Alert, AlertBook, Silence } from './alert_book.ts';
import { windowOf } from './measure.ts';
import type { Cause, Rule } from './rule.ts';
import type { Labels } from './samples.ts';

/** A flapping part that stays in one state for so long is told of with that state. */
export const FLAP_TOLD_AFTER_MS = 30_000;
/** A consequence that outlives its cause by so long is announced after all. */
export const CONSEQUENCE_GRACE_MS = 30_000;
/** So long is remembered what has ended: the grace, and the longest window by which services are judged. */
export const ENDED_KEPT_MS = CONSEQUENCE_GRACE_MS + 120_000;
/** A consequence may be seen so long after its cause has ended; by a rate or a share, at the next poll of the service. */
const SEEN_LATER_MS = 5_000;
const RATE_SEEN_LATER_MS = 15_000;
/** And so long before it has begun: a door is asked every 2 s, and a question has 1.75 s. */
export const CAUSE_SEEN_LATER_MS = 4_000;

/** Whether nothing is said of an alert because its part flaps: then it excuses nobody either. */
export const isHeldBack = (book: AlertBook, alert: Alert, now: number): boolean =>
  book.flapping[alert.key] !== undefined && !alert.announced && now - alert.since < FLAP_TOLD_AFTER_MS;

/** Key of the alert that makes one of this rule a consequence, or says the same; undefined where it is to be told. */
export const excuseOf = (book: AlertBook, rule: Rule, of: Beginning, now: number): string | undefined =>
  causeOf(book, rule, of, now) ?? saidBy(book, rule, of, now);

/** Which part, and since when it holds. */
type Beginning = Pick<Alert, 'labels' | 'since'>;

/** An alert that is not there yet: its `for` is not over, or its part has not been silent for long enough. */
export type Coming = Pick<Alert, 'rule' | 'severity' | 'labels' | 'since'>;

/** Whether one of this rule may turn out to be a consequence, so that it waits. */
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
      // One that comes and goes must not hold it back for ever.
      one.since <= seenBy &&
      agree(one.labels, labels) &&
      !silencedBy(book, one),
  );
}

/** The rule that is the cause. */
export const nameOf = (cause: Cause): string =>
  typeof cause === 'string' ? cause : 'ofAll' in cause ? cause.ofAll : cause.rule;

/** Key of an alert that was told, holds or ended a moment ago, and says the same to people. */
function saidBy(book: AlertBook, rule: Rule, { labels, since }: Beginning, now: number): string | undefined {
  const ended = Object.keys(book.ended).flatMap((key) => book.history.find((past) => past.key === key) ?? []);
  const told = [...Object.values(book.active), ...ended].filter(({ announced }) => announced);
  const same = (rule.saidBy ?? []).filter(({ of }) => agree(of, labels));
  const holds = ({ state, key }: Alert) =>
    state === 'firing' ||
    // HAProxy and who asks through the door see one end seconds apart.
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

/** Whether an outage that was told goes on for one that says the same, and is not told besides: its recovery waits. */
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

/** Key of an alert that fires, or ended a moment ago, and that makes this one a consequence. */
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
    // Silenced, it was told to nobody.
    (past.announced || !silencedBy(book, past));
  const active = Object.values(book.active).find((one) => one.state === 'firing' && isCause(one));
  // What is measured over some time remembers the cause for as long.
  const windowMs = windowOf(measure) * 1_000;
  const seenLaterMs = windowMs > 0 ? RATE_SEEN_LATER_MS : SEEN_LATER_MS;
  return (
    active?.key ??
    // What begins after its end is another's.
    Object.keys(book.ended).find(
      (key) =>
        now - book.ended[key]! < CONSEQUENCE_GRACE_MS + windowMs &&
        book.ended[key]! >= since - seenLaterMs &&
        isCause(book.history.find((past) => past.key === key)),
    )
  );
}

/** Whether labels that both have are equal: a service that is DOWN excuses itself alone. */
export const agree = (one: Labels, other: Labels): boolean =>
  Object.entries(one).every(([label, value]) => (other[label] ?? value) === value);

/** The silence that an alert is under. */
export function silencedBy(
  book: AlertBook,
  { rule, severity, labels }: Pick<Alert, 'rule' | 'severity' | 'labels'>,
): Silence | undefined {
  const all: Labels = { ...labels, rule, severity };
  return book.silences.find(({ match }) =>
    Object.entries(match).every(([label, value]) => all[label] === value),
  );
}
