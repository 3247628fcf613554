/** Compares the monitor's notices with the losses: each loss has its notice, and no notice comes without a loss. */
import type { SlackMessage, WebhookMessage } from '#engines/alert_receivers.ts';
import type { ToldPromise } from './losses.ts';
import { type Finding, within } from './verdict.ts';

export const TOLD_CHANNELS = ['slack', 'webhook'] as const;

/** One message as one channel received it. */
export interface Told {
  readonly channel: (typeof TOLD_CHANNELS)[number];
  /** Milliseconds since the fault. */
  readonly afterMs: number;
  /** resolved: the end of an earlier alert. */
  readonly kind: 'firing' | 'notice' | 'resolved';
  readonly severity: string;
  readonly message: string;
  /** The rule's section in the runbook. */
  readonly rule: string;
  /** Keys of the alerts in the message; only the webhook has them. */
  readonly keys: readonly string[];
}

const RESOLVED_COLOUR = '#2e7d32';
const FOOT = /^(info|warning|critical) · .*#(\w+)/;

/** @throws Error when a message of the monitor is not in the right form */
export function toldBySlack({ text, attachments }: SlackMessage, afterMs: number): Told {
  const foot = JSON.stringify(attachments[0]?.blocks.at(-1)).match(/"text":"([^"]*)"/)?.[1] ?? '';
  const [, severity, rule] = FOOT.exec(foot) ?? [];
  if (!severity || !rule) throw new Error(`a message to Slack has no severity or runbook: ${foot}`);
  const kind = attachments[0]!.color === RESOLVED_COLOUR ? 'resolved' : 'firing';
  return { channel: 'slack', afterMs, kind, severity, message: text, rule, keys: [] };
}

export function toldByWebhook(
  { kind, severity, message, keys, runbook }: WebhookMessage,
  afterMs: number,
): Told {
  const known = kind === 'resolved' || kind === 'notice' ? kind : 'firing';
  const rule = /#(\w+)$/.exec(runbook)?.[1] ?? '';
  return { channel: 'webhook', afterMs, kind: known, severity, message, rule, keys };
}

/** The notice of flapping comes beside the outages; it ends when the part has been quiet for minutes. */
const isFlapping = ({ message }: Told): boolean => / is flapping/.test(message);

const ORDER = ['info', 'warning', 'critical'];
const isAtLeast = (severity: string, least: string) => ORDER.indexOf(severity) >= ORDER.indexOf(least);

export interface TellingEvidence {
  readonly promise: ToldPromise;
  readonly told: readonly Told[];
  /** The longest time in which no writer at the door was answered. */
  readonly writesSilentMs: number;
  /** The time after which the tier itself had restarted the part; Infinity where it did not have to. */
  readonly awayMs: number;
  /** Messages that receivers rejected. */
  readonly rejected: readonly string[];
}

/** Judges the notices about one loss, from the fault until the tier was healthy again. */
export function judgeTelling(evidence: TellingEvidence): Finding[] {
  const { promise, told, rejected } = evidence;
  const begun = told.filter((one) => one.kind !== 'resolved' && !isFlapping(one));
  const known = [...promise.by, ...promise.alsoBy];
  const without = begun.filter(({ rule }) => !known.includes(rule));
  return [
    ...(promise.by.length > 0 ? TOLD_CHANNELS.map((channel) => firstNotice(begun, channel, evidence)) : []),
    atMostCritical(begun, promise.criticals ?? Number(promise.severity === 'critical')),
    finding(
      'every notice is explained by the fault',
      without.map(({ message }) => message),
    ),
    finding('every alert has its end', unended(told)),
    finding('every message is accepted by its receiver', rejected),
  ];
}

const finding = (promise: string, faults: readonly string[]): Finding => ({
  about: 'telling',
  promise,
  measured: faults.length === 0 ? 'as promised' : [...new Set(faults)].join('; '),
  kept: faults.length === 0,
});

function firstNotice(
  begun: readonly Told[],
  channel: Told['channel'],
  { promise, writesSilentMs, awayMs }: TellingEvidence,
): Finding {
  const { ifWritesSilentMs = 0, ifAwayMs = 0 } = promise;
  const of = begun.filter((one) => one.channel === channel && promise.by.includes(one.rule));
  const what = `${channel} reports it (${promise.by.join(' or ')})`;
  if (writesSilentMs <= ifWritesSilentMs && ifWritesSilentMs > 0)
    return finding(`${what}, where writes have no answer for ${ifWritesSilentMs / 1_000} s`, []);
  if (awayMs <= ifAwayMs) return finding(`${what}, where it is away for ${ifAwayMs / 1_000} s`, []);
  const first = of.find(({ severity }) => isAtLeast(severity, promise.severity));
  const judged = within(
    `${what}, as ${promise.severity},`,
    first?.afterMs ?? Number.POSITIVE_INFINITY,
    promise.withinMs,
  );
  return first ? judged : { ...judged, about: 'telling' };
}

function atMostCritical(begun: readonly Told[], most: number): Finding {
  const surplus = TOLD_CHANNELS.flatMap((channel) => {
    const critical = begun.filter((one) => one.channel === channel && one.severity === 'critical');
    return critical.length > most ? critical.map(({ message }) => `${channel}: ${message}`) : [];
  });
  const notices = most === 1 ? 'at most one critical notice' : `at most ${most} critical notices`;
  return finding(most === 0 ? 'no critical notice' : `${notices} on each channel`, surplus);
}

/** Keys of alerts without an end, or with an end before their last notice. */
function unended(told: readonly Told[]): string[] {
  const open = new Map<string, string>();
  for (const one of told) {
    for (const key of one.keys) {
      if (one.kind === 'resolved' || isFlapping(one)) open.delete(key);
      else open.set(key, one.message);
    }
  }
  return [...open.values()];
}

/** Faults during ten minutes, one a minute. */
export const FAULTS_OF_TEN_MINUTES = 10;
export const SLACK_IN_TEN_MINUTES = 20;
export const ALERTS_IN_TEN_MINUTES = 40;

/** The values that are compared over all losses, in their order. */
export interface WholeEvidence {
  /** The number of messages in Slack for each loss. */
  readonly slack: readonly number[];
  /** The number of lines of `trunkline alerts list` for each loss. */
  readonly alerts: readonly number[];
  /** Notices while no part was lost. */
  readonly strays: readonly string[];
}

/** Judges all losses together: no flood of notices, and no notice while the tier is healthy. */
export function judgeWhole({ slack, alerts, strays }: WholeEvidence): Finding[] {
  const atMost = (what: string, counts: readonly number[], limit: number): Finding => {
    const most = mostInARow(counts, FAULTS_OF_TEN_MINUTES);
    return {
      about: 'telling',
      promise: `ten minutes of faults, one a minute, make at most ${limit} ${what}`,
      measured: `${most} at most`,
      kept: most <= limit,
    };
  };
  return [
    atMost('messages in Slack', slack, SLACK_IN_TEN_MINUTES),
    atMost('lines in `alerts list`', alerts, ALERTS_IN_TEN_MINUTES),
    finding('no notice comes while no part is lost', strays),
  ];
}

/** The largest sum of so many consecutive counts. */
export const mostInARow = (counts: readonly number[], length: number): number =>
  Math.max(
    0,
    ...counts.map((_, first) => counts.slice(first, first + length).reduce((sum, one) => sum + one, 0)),
  );
