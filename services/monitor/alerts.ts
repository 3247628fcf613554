/**
 * The life of alerts: pending, firing, resolved; silenced, a consequence of another, flapping. No I/O and no clock:
 * times are steady milliseconds (see steady_time.ts), so a clock that is set back changes nothing here.
 *
 *   ok ──firing──▶ pending ──for──▶ firing ──ok──▶ (history)
 *                                     │               │
 *                     announced, unless silenced,     announced as over, if it ended before it was
 *        flapping (for its first half minute), or     known whether another one is its cause
 *       caused by another alert that is announced
 */
import type { Alert, AlertBook } from './alert_book.ts';
import { type AlertEvent, announce, fillIn, holdRecoveries } from './announce.ts';
import { CONSEQUENCE_GRACE_MS, type Coming, ENDED_KEPT_MS, silencedBy } from './excuses.ts';
import { evaluate, type Value } from './measure.ts';
import type { Rule } from './rule.ts';
import { type History, type Labels, labelKey } from './samples.ts';

/** This many changes within FLAP_WINDOW_MS are flapping: it is announced once, and then nothing until the part is stable. */
export const FLAP_CHANGES = 6;
export const FLAP_WINDOW_MS = 600_000;
/** Without a change for this time, a part is stable again. */
export const FLAP_QUIET_MS = 300_000;
const HISTORY_LENGTH = 200;

export const emptyBook = (): AlertBook => ({
  active: {},
  history: [],
  changes: {},
  flapping: {},
  silences: [],
  over: [],
  ended: {},
  ofAll: {},
  count: 0,
});

/** Which sources answered at this poll. */
export interface Answered {
  readonly haproxy: boolean;
  readonly services: ReadonlySet<string>;
  /** When the state of an alert began or ended, if it is known more exactly than by this poll; steady milliseconds. */
  readonly changedAt?: (rule: Rule, labels: Labels, holds: boolean) => number | undefined;
}

/**
 * Evaluates all rules by the last poll, and updates every alert.
 * @param book changed in place
 * @param history its `now` is the time of the evaluation
 * @returns the changes to announce
 */
export function advanceAlerts(
  book: AlertBook,
  rules: readonly Rule[],
  history: History,
  answered: Answered,
): AlertEvent[] {
  const now = history.now;
  book.silences = book.silences.filter((silence) => silence.until > now);
  const events: AlertEvent[] = [];
  const coming: Coming[] = [];
  for (const rule of rules) {
    const seen = new Set<string>();
    const values = valuesOf(rule, history);
    const insteadOf = insteadOfRecovery(rule, history);
    for (const value of values) {
      const key = alertKey(rule, value.labels);
      seen.add(key);
      if (Number.isNaN(value.value)) continue;
      const isFiring = holds(rule, value);
      const silentSince = rule.isSilence && value.value > 0 ? now - value.value * 1_000 : undefined;
      const { labels } = value;
      if (silentSince !== undefined && !isFiring)
        coming.push({ rule: rule.name, severity: rule.severity, labels, since: silentSince });
      const at = Math.min(now, silentSince ?? answered.changedAt?.(rule, labels, isFiring) ?? now);
      if (isFiring) onFiring(book, rule, key, value, { now, since: at });
      else onOk(book, key, now, events, { ...insteadOf(value.labels), at });
    }
    if (values.length > 0 && values.every((value) => holds(rule, value))) book.ofAll[rule.name] = now;
    // An alert without a figure: its part was removed, or its source is silent.
    for (const alert of Object.values(book.active)) {
      if (alert.rule !== rule.name || seen.has(alert.key)) continue;
      if (!isSilent(rule, alert.labels, answered)) onOk(book, alert.key, now, events, { gone: true });
    }
  }
  const known = new Map(rules.map((rule) => [rule.name, rule]));
  for (const alert of Object.values(book.active)) {
    if (!known.has(alert.rule)) onOk(book, alert.key, now, events, { gone: true });
  }
  holdRecoveries(book, known, now, events);
  updateFlapping(book, now, events);
  coming.push(...Object.values(book.active).filter(({ state }) => state === 'pending'));
  announce(book, known, now, events, coming);
  return events;
}

/** The values of a rule. A value that its second condition excludes becomes one that does not hold. */
function valuesOf(rule: Rule, history: History): Value[] {
  const values = evaluate(rule.measure, history);
  const { and } = rule;
  if (!and) return values;
  const allowed = new Set(
    evaluate(and.measure, history)
      .filter(({ value }) => value > and.above)
      .map(({ labels }) => labelKey(labels)),
  );
  const never = rule.above === undefined ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  return values.map((one) => (allowed.has(labelKey(one.labels)) ? one : { ...one, value: never }));
}

/** The words that replace the recovery, for parts that are in another state at the alert's end but have not recovered. */
function insteadOfRecovery(rule: Rule, history: History): (labels: Labels) => { instead?: string } {
  const { unless } = rule;
  if (!unless) return () => ({});
  const elsewhere = new Set(
    evaluate(unless.measure, history)
      .filter(({ value }) => value > 0)
      .map(({ labels }) => labelKey(labels)),
  );
  return (labels) => (elsewhere.has(labelKey(labels)) ? { instead: fillIn(unless.words, labels, 1) } : {});
}

const holds = (rule: Rule, { value }: Value): boolean =>
  rule.above === undefined ? value < rule.below : value > rule.above;

export const alertKey = (rule: Pick<Rule, 'name'>, labels: Labels): string =>
  `${rule.name}{${labelKey(labels)}}`;

function isSilent(rule: Rule, labels: Labels, answered: Answered): boolean {
  if (rule.source === 'haproxy') return !answered.haproxy;
  if (rule.source === 'service') return !answered.services.has(labels.service ?? '');
  return false;
}

function onFiring(
  book: AlertBook,
  rule: Rule,
  key: string,
  { labels, value }: Value,
  { now, since }: { readonly now: number; readonly since: number },
): void {
  let alert = book.active[key] ?? takeUp(book, key);
  if (!alert) {
    book.count++;
    alert = {
      id: `a${book.count}`,
      key,
      rule: rule.name,
      severity: rule.severity,
      labels,
      title: rule.title,
      message: '',
      recovery: fillIn(rule.recovery, labels, value),
      value,
      state: 'pending',
      since,
      announced: false,
    };
  }
  book.active[key] = alert;
  alert.value = value;
  if (!alert.announced) alert.message = fillIn(rule.message, labels, value);
  if (alert.state === 'pending' && now - alert.since >= rule.forS * 1_000) {
    alert.state = 'firing';
    noteChange(book, key, now);
  }
}

/** An alert that ended before the decision to announce it, and holds again, is the same alert. */
function takeUp(book: AlertBook, key: string): Alert | undefined {
  const alert = book.history.find((past) => past.key === key && book.over.includes(past.id));
  if (!alert) return undefined;
  book.history = book.history.filter((past) => past !== alert);
  book.over = book.over.filter((id) => id !== alert.id);
  delete book.ended[key];
  delete alert.resolvedAt;
  alert.state = 'firing';
  // Neither its end nor its new beginning is a change.
  book.changes[key]?.pop();
  return alert;
}

function onOk(
  book: AlertBook,
  key: string,
  now: number,
  events: AlertEvent[],
  { at = now, ...how }: Pick<AlertEvent, 'gone' | 'instead'> & { readonly at?: number },
): void {
  const alert = book.active[key];
  if (!alert) return;
  delete book.active[key];
  if (alert.state === 'pending') return;
  alert.state = 'resolved';
  alert.resolvedAt = Math.max(alert.since, at);
  remember(book, alert);
  book.ended[alert.key] = now;
  // A consequence of another alert was not announced, so its end does not count as a change.
  if (alert.announced || alert.cause === undefined) noteChange(book, key, now);
  if (alert.announced) {
    events.push({ kind: 'resolved', alert, lastedMs: alert.resolvedAt - alert.since, ...how });
  } else if (alert.waits) book.over.push(alert.id);
}

/** Puts an alert at the head of the history. The last one of a flapping part stays at any age: the end of flapping needs it. */
function remember(book: AlertBook, alert: Alert): void {
  const past = [alert, ...book.history];
  const needed = new Set(Object.keys(book.flapping));
  book.history = past.filter(({ key }, index) => {
    const isLast = needed.delete(key);
    return index < HISTORY_LENGTH || isLast;
  });
}

/** When an outage began and ended. */
interface Ended {
  readonly from: number;
  readonly to: number;
}

/** Notes an outage that was over before it was seen: it goes into the history at once, and counts as two changes. */
function notePast(
  book: AlertBook,
  rule: Rule,
  labels: Labels,
  now: number,
  { from, to }: Ended,
  value: number,
): Alert {
  const key = alertKey(rule, labels);
  book.count++;
  const alert: Alert = {
    id: `a${book.count}`,
    key,
    rule: rule.name,
    severity: rule.severity,
    labels,
    title: rule.title,
    message: fillIn(rule.message, labels, value),
    recovery: fillIn(rule.recovery, labels, value),
    value,
    state: 'resolved',
    since: from,
    resolvedAt: to,
    announced: false,
  };
  remember(book, alert);
  book.ended[key] = now;
  noteChange(book, key, now);
  noteChange(book, key, now);
  return alert;
}

/**
 * Notes an outage that HAProxy, or the server itself, has counted.
 * @returns whether it is announced; not while the part flaps or is silenced
 */
export function noteShortOutage(
  book: AlertBook,
  rule: Rule,
  labels: Labels,
  now: number,
  span: Ended,
): boolean {
  const alert = notePast(book, rule, labels, now, span, 1);
  const flaps =
    book.flapping[alert.key] !== undefined || (book.changes[alert.key] ?? []).length >= FLAP_CHANGES;
  alert.announced = !flaps && !silencedBy(book, alert);
  return alert.announced;
}

/** Notes a silence that was over before it was an alert: it is announced as soon as it is known to be no consequence. */
export function noteShortSilence(
  book: AlertBook,
  rule: Rule,
  labels: Labels,
  now: number,
  span: Ended,
): void {
  const alert = notePast(book, rule, labels, now, span, (span.to - span.from) / 1_000);
  alert.waits = true;
  book.over.push(alert.id);
}

function noteChange(book: AlertBook, key: string, now: number): void {
  const recent = (book.changes[key] ?? []).filter((at) => at > now - FLAP_WINDOW_MS);
  book.changes[key] = [...recent, now];
}

/** Begins and ends the flapping of keys. */
function updateFlapping(book: AlertBook, now: number, events: AlertEvent[]): void {
  for (const [key, changes] of Object.entries(book.changes)) {
    const recent = changes.filter((at) => at > now - FLAP_WINDOW_MS);
    if (recent.length > 0) book.changes[key] = recent;
    else delete book.changes[key];
    const subject = book.active[key] ?? book.history.find((past) => past.key === key);
    if (!subject) continue;
    if (book.flapping[key] === undefined) {
      if (recent.length < FLAP_CHANGES) continue;
      book.flapping[key] = now;
      // The change of this poll is part of the flapping.
      const said = events.findIndex((event) => event.alert.key === key);
      if (said >= 0) events.splice(said, 1);
      if (!silencedBy(book, subject)) events.push({ kind: 'flapping', alert: subject, lastedMs: 0 });
    } else if (now - (changes.at(-1) ?? 0) >= FLAP_QUIET_MS) {
      const lastedMs = now - book.flapping[key];
      delete book.flapping[key];
      delete book.changes[key];
      const isTold = !silencedBy(book, subject);
      if (isTold) events.push({ kind: 'stable', alert: subject, lastedMs });
      // An alert that still holds is announced when the silence ends.
      if (book.active[key]) book.active[key].announced = isTold;
    }
  }
  for (const [key, at] of Object.entries(book.ended)) {
    if (at <= now - ENDED_KEPT_MS) delete book.ended[key];
  }
  for (const [rule, at] of Object.entries(book.ofAll)) {
    if (at <= now - CONSEQUENCE_GRACE_MS) delete book.ofAll[rule];
  }
}
