/** The words of messages: alerts, recoveries and single happenings; those of one kind and poll are one message. */
import { FLAP_WINDOW_MS } from './alerts.ts';
import type { AlertEvent } from './announce.ts';
import type { Happening } from './outages.ts';
import { REPLICAS_PROXY } from './rule_measures.ts';
import { runbookAnchor } from './rules.ts';
import type { NoticeKind, Severity } from './words.ts';

/** A message. */
export interface Notice {
  readonly id: string;
  readonly kind: NoticeKind;
  readonly severity: Severity;
  readonly title: string;
  readonly message: string;
  /** More about it, a sentence each. */
  readonly details: readonly string[];
  /** RFC 3339, the wall clock's time when it was seen. */
  readonly at: string;
  /** Keys of its alerts; none for happenings without an end. */
  readonly keys: readonly string[];
  /** The message of each key, if there are several; for channels that keep alerts separate. */
  readonly messages?: readonly string[];
  /** Anchor of its entry in docs/RUNBOOK.md. */
  readonly runbook: string;
}

export type Draft = Omit<Notice, 'id' | 'at'>;

/** Events of one kind, title and severity become one notice: parts that fail together have one cause. */
export function noticesOf(events: readonly AlertEvent[]): Draft[] {
  const groups = Map.groupBy(events, ({ kind, alert }) => `${kind} ${alert.severity} ${alert.title}`);
  return [...groups.values()].map((group) => draftOf(group));
}

const KINDS = { firing: 'firing', resolved: 'resolved', over: 'notice' } as const;

/** A flapping part stays open at PagerDuty until it is stable again. */
const kindOf = ({ kind, alert }: AlertEvent): NoticeKind =>
  kind === 'flapping' ? 'firing' : KINDS[kind === 'stable' ? (alert.state as 'firing' | 'resolved') : kind];

function draftOf(events: readonly AlertEvent[]): Draft {
  const { kind, alert } = events[0]!;
  const told = events.map(tell);
  const isOver = kind === 'over';
  return {
    kind: kindOf(events[0]!),
    // A fault that is over needs no person at once.
    severity: isOver && alert.severity === 'critical' ? 'warning' : alert.severity,
    title: alert.title,
    message: told.map(({ message }) => message).join(', '),
    details: told.flatMap(({ details }) => details),
    keys: isOver ? [] : events.map((event) => event.alert.key),
    ...(told.length > 1 && { messages: told.map(({ message }) => message) }),
    runbook: runbookAnchor(alert.rule),
  };
}

/** The part of an alert with its service or proxy: the name of a server is ambiguous without its service. */
const whole = ({ labels, rule }: AlertEvent['alert']): string =>
  [labels.server ?? labels.instance, labels.service ?? labels.proxy]
    .filter((label) => label !== undefined)
    .join(' of ') || rule;

function tell(event: AlertEvent): { message: string; details: string[] } {
  const { kind, alert, lastedMs, gone, instead, words, leader, with: consequences = [] } = event;
  const { labels, rule } = alert;
  const subject = labels.server ?? labels.service ?? labels.instance ?? labels.proxy ?? labels.door ?? rule;
  const isWell = alert.state === 'resolved';
  const leads = leader ? `: ${leader.to} leads now` : '';
  const before =
    leader?.from === undefined ? [] : [`${leader.to} is the primary now; it was ${leader.from} before.`];
  switch (kind) {
    case 'firing': {
      const where =
        labels.proxy === undefined || labels.proxy === subject ? [] : [`${subject} of ${labels.proxy}`];
      return { message: alert.message, details: [...where, ...consequences] };
    }
    case 'resolved': {
      if (gone) return { message: `${subject} is no longer watched`, details: [`Before: ${alert.message}`] };
      const message = instead ?? `${alert.recovery}${leads}`;
      return { message, details: [`${subject}: after ${duration(lastedMs)}`, ...before] };
    }
    case 'over': {
      const how = `${subject}: for ${duration(lastedMs)}; it was over before it was reported`;
      return { message: `${words}${leads}`, details: [how, ...before, ...consequences] };
    }
    case 'flapping': {
      const detail =
        `${whole(alert)} changed many times within ${duration(FLAP_WINDOW_MS)}; at the moment it is ` +
        `${isWell ? 'well' : 'not'}${leads}. Until it is stable only a fault that lasts is reported`;
      return { message: `${subject} is flapping`, details: [detail, ...before] };
    }
    case 'stable': {
      const message = isWell ? `${alert.recovery}${leads}` : alert.message;
      const detail = `${subject} is stable again after ${duration(lastedMs)} of flapping`;
      return { message, details: [detail, ...before] };
    }
  }
}

/** The notice of a happening, which has no end. */
export function noticeOfHappening(happening: Happening): Draft {
  const rest = { kind: 'notice', keys: [] } as const;
  switch (happening.kind) {
    case 'short_outage': {
      const { server, proxy, span } = happening;
      const { times, downMs } = span;
      const often = times === 1 ? '' : ` ${times} times`;
      return {
        ...rest,
        severity: 'warning',
        title: proxy === REPLICAS_PROXY ? 'PostgreSQL Alert' : 'PgBouncer Alert',
        message: `${server} was DOWN${often} for a short time and is UP again`,
        details: [
          `${server} of ${proxy}: about ${duration(downMs)}${times === 1 ? '' : ' in all'}, between two polls`,
        ],
        runbook: runbookAnchor(proxy === REPLICAS_PROXY ? 'PostgresDown' : 'PgBouncerDown'),
      };
    }
    case 'server_restarted':
      return {
        ...rest,
        severity: 'warning',
        title: 'PostgreSQL Alert',
        message: `PostgreSQL was DOWN for ${duration(happening.lastedMs)} and is UP again`,
        details: ['Its server process had ended, and another one serves now.'],
        runbook: runbookAnchor('PostgresDown'),
      };
    case 'haproxy_restarted':
      return {
        ...rest,
        severity: 'info',
        title: 'HAProxy Alert',
        message: `${happening.haproxy} was restarted or reloaded`,
        details: ['Its counters began at zero.'],
        runbook: 'haproxyrestarted',
      };
    case 'leader_changed':
      return {
        ...rest,
        severity: 'warning',
        title: 'PostgreSQL Alert',
        message: `${happening.to} is the primary now`,
        details: [`It was ${happening.from} before.`],
        runbook: 'leaderchanged',
      };
  }
}

/** "42 s", "3 min 20 s", "2 h 5 min" */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 60) return `${seconds} s`;
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60];
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${seconds % 60} s`;
}
