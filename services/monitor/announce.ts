/** Decides at each poll which alerts are announced, and which wait for a possible cause; fills in their words. */
import type { Alert, AlertBook } from './alert_book.ts';
import { type Coming, excuseOf, goesOn, isHeldBack, mayHaveCause, silencedBy } from './excuses.ts';
import type { Rule } from './rule.ts';
import type { Labels } from './samples.ts';

/** A change of an alert that is announced. */
export interface AlertEvent {
  readonly kind: 'firing' | 'resolved' | 'over' | 'flapping' | 'stable';
  readonly alert: Alert;
  /** The time for which it held, for `resolved` and `over`. */
  readonly lastedMs: number;
  /** Messages of its consequences so far, which are not announced separately. */
  readonly with?: readonly string[];
  /** The primary at its end; `from`: the former primary, if it was another one. */
  readonly leader?: { readonly to: string; readonly from?: string };
  /** Replaces the message of an alert that is over. */
  readonly words?: string;
  /** It ended because the part was removed, not because the part recovered. */
  readonly gone?: boolean;
  /** Replaces the recovery, because the part did not recover. */
  readonly instead?: string;
}

/** Holds back recoveries that wait for another alert with the same meaning. */
export function holdRecoveries(
  book: AlertBook,
  rules: ReadonlyMap<string, Rule>,
  now: number,
  events: AlertEvent[],
): void {
  for (const { kind, alert, gone, instead } of [...events]) {
    if (kind !== 'resolved' || gone || instead || !goesOn(book, rules, alert, now)) continue;
    events.splice(
      events.findIndex((event) => event.alert === alert),
      1,
    );
    book.over.push(alert.id);
  }
}

/**
 * Announces firing alerts, and alerts that were over before the decision.
 * @param events of this poll; added to
 * @param coming alerts that have not begun yet, for which their consequences wait
 */
export function announce(
  book: AlertBook,
  rules: ReadonlyMap<string, Rule>,
  now: number,
  events: AlertEvent[],
  coming: readonly Coming[],
): void {
  const firing = Object.values(book.active).filter(
    ({ state, announced }) => state === 'firing' && !announced,
  );
  const over = book.history.filter(({ id }) => book.over.includes(id));
  book.over = [];
  for (const alert of [...firing, ...over]) {
    delete alert.waits;
    const isOver = alert.state === 'resolved';
    if (alert.announced) {
      if (book.flapping[alert.key] !== undefined) continue;
      if (goesOn(book, rules, alert, now)) book.over.push(alert.id);
      else events.push({ kind: 'resolved', alert, lastedMs: alert.resolvedAt! - alert.since });
      continue;
    }
    if (isHeldBack(book, alert, alert.resolvedAt ?? now)) continue;
    const rule = rules.get(alert.rule);
    const cause = rule && excuseOf(book, rule, alert, now);
    if (cause !== undefined) {
      // An alert that is not announced does not count as a change.
      if (alert.cause === undefined) book.changes[alert.key]?.splice(isOver ? -2 : -1);
      alert.cause = cause;
      continue;
    }
    if (silencedBy(book, alert)) continue;
    if (rule && alert.cause === undefined && mayHaveCause(book, rule, alert, coming, now)) {
      alert.waits = true;
      if (isOver) book.over.push(alert.id);
      continue;
    }
    delete alert.cause;
    alert.announced = true;
    if (!isOver) events.push({ kind: 'firing', alert, lastedMs: now - alert.since });
    else {
      const words = fillIn(rule?.over ?? alert.message, alert.labels, alert.value);
      events.push({ kind: 'over', alert, lastedMs: alert.resolvedAt! - alert.since, words });
    }
  }
  for (const [index, event] of events.entries()) {
    if (event.kind !== 'firing' && event.kind !== 'over') continue;
    const { key, since } = event.alert;
    const past = book.history.filter((one) => one.cause === key && (one.resolvedAt ?? now) >= since);
    const active = Object.values(book.active).filter((one) => {
      const rule = rules.get(one.rule);
      return rule && excuseOf(book, rule, one, now) === key;
    });
    const messages = [...past, ...active].filter((one) => !one.announced).map(({ message }) => message);
    if (messages.length > 0) events[index] = { ...event, with: [...new Set(messages)] };
  }
}

/** Whether an alert waits until it is known whether it is a consequence. */
export const isUndecided = ({ active, over }: AlertBook): boolean =>
  over.length > 0 || Object.values(active).some(({ waits }) => waits);

/** Puts labels and value into a rule's words. */
export function fillIn(words: string, labels: Labels, value: number): string {
  const figures: Record<string, string> = {
    value: readable(value),
    percent: `${readable(value * 100)} %`,
    gigabytes: `${readable(value / 1e9)} GB`,
    hours: `${readable(value / 3_600)} h`,
  };
  return words.replace(/\{(\w+)\}/g, (_, name: string) => figures[name] ?? labels[name] ?? '');
}

/** Three significant digits; large numbers whole. */
const readable = (value: number): string =>
  Math.abs(value) >= 1_000 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
