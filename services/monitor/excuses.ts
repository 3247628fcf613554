/** Why an alert is not told: another one that is told makes it a consequence, or says the same; or its part flaps. */
import type { Alert, AlertBook, Silence } from './alert_book.ts';
import type { Cause, Rule } from './rule.ts';
import type { Labels } from './samples.ts';

/** A flapping part that stays in one state for so long is told of with that state. */
export const FLAP_TOLD_AFTER_MS = 30_000;
/** A consequence may be seen so long after its cause has ended. */
const SEEN_LATER_MS = 5_000;

/** Whether nothing is said of an alert because its part flaps: then it excuses nobody either. */
export const isHeldBack = (book: AlertBook, alert: Alert, now: number): boolean =>
  book.flapping[alert.key] !== undefined && !alert.announced && now - alert.since < FLAP_TOLD_AFTER_MS;

/** Key of the alert that makes one of this rule a consequence, or says the same; undefined where it is to be told. */
export const excuseOf = (book: AlertBook, rule: Rule, of: Beginning, now: number): string | undefined =>
  causeOf(book, rule.causedBy ?? [], of, now) ?? saidBy(book, rule, of.labels, now);

/** Which part, and since when it holds. */
type Beginning = Pick<Alert, 'labels' | 'since'>;

/** Key of an alert that was told, holds or ended a moment ago, and says the same to people. */
function saidBy(book: AlertBook, rule: Rule, labels: Labels, now: number): string | undefined {
  const ended = Object.keys(book.ended).flatMap((key) => book.history.find((past) => past.key === key) ?? []);
  const told = [...Object.values(book.active), ...ended].filter(({ announced }) => announced);
  const same = (rule.saidBy ?? []).filter(({ of }) => agree(of, labels));
  return told.find((other) =>
    same.some(
      ({ by, where, withinS }) =>
        by === other.rule &&
        agree(where, other.labels) &&
        (withinS === undefined ? other.state === 'firing' : now - other.since <= withinS * 1_000),
    ),
  )?.key;
}

/** Key of an alert that fires, or ended a moment ago, and that these causes and labels make a cause. */
function causeOf(
  book: AlertBook,
  causes: readonly Cause[],
  { labels, since }: Beginning,
  now: number,
): string | undefined {
  const known = causes.flatMap((cause) => {
    if (typeof cause === 'string') return [cause];
    return book.ofAll[cause.ofAll] === undefined ? [] : [cause.ofAll];
  });
  if (known.length === 0) return undefined;
  const isCause = (past: Alert | undefined) =>
    past !== undefined &&
    known.includes(past.rule) &&
    agree(past.labels, labels) &&
    !isHeldBack(book, past, past.resolvedAt ?? now) &&
    // Silenced, it was told to nobody.
    (past.announced || !silencedBy(book, past));
  const active = Object.values(book.active).find((one) => one.state === 'firing' && isCause(one));
  return (
    active?.key ??
    // What begins after its end is another's.
    Object.keys(book.ended).find(
      (key) =>
        book.ended[key]! >= since - SEEN_LATER_MS && isCause(book.history.find((past) => past.key === key)),
    )
  );
}

/** Whether labels that both have are equal: a service that is DOWN excuses itself alone. */
const agree = (one: Labels, other: Labels): boolean =>
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
