/**
 * The rules: what is watched, from when on it is an alert, and what is said then. This one table serves the monitor
 * and Prometheus (infrastructure/monitoring/rules.yml is written from it: scripts/monitoring.ts).
 *
 * {label} in a message is the label of the figure; {value} the figure itself, {percent} and {gigabytes} so written.
 */
import type { Measure } from './measure.ts';
import {
  bouncerSessions,
  bouncerStatus,
  bouncersUp,
  highest,
  LEADER_PROXY,
  OF_CLIENTS,
  postgresUp,
  REPLICAS_PROXY,
  rate,
  takenOut,
} from './rule_measures.ts';

/** How bad: critical — somebody gets up; warning — somebody looks today; info — good to know. */
export const SEVERITIES = ['info', 'warning', 'critical'] as const;
export type Severity = (typeof SEVERITIES)[number];

/**
 * A rule that another is a consequence of, where the labels that both have are equal. `ofAll`: only while it holds of
 * every part that it watches, as one HAProxy of two that is DOWN excuses nothing.
 */
export type Cause = string | { readonly ofAll: string };

export type Rule = {
  readonly name: string;
  readonly severity: Severity;
  /** Who is spoken of: the first words of the alert. */
  readonly title: string;
  readonly message: string;
  readonly recovery: string;
  readonly measure: Measure;
  /** It must hold for so long without a break. */
  readonly forS: number;
  /** And only while this is above the given figure, with the same labels. */
  readonly and?: { readonly measure: Measure; readonly above: number };
  /** What the figures come from: while that is silent, an alert stays as it is. */
  readonly source: 'haproxy' | 'service' | 'monitor';
  /** Rules of which this one is only a consequence: while one of them is an alert, this one is not announced. */
  readonly causedBy?: readonly Cause[];
  /** Where this is above 0 at the end, with the same labels, the part did not get well: other words are said. */
  readonly unless?: { readonly measure: Measure; readonly words: string };
} & ({ readonly above: number; readonly below?: never } | { readonly below: number; readonly above?: never });

/** max_client_conn of one PgBouncer, infrastructure/pgbouncer/pgbouncer.ini (a test holds them together). */
export const BOUNCER_CLIENTS = 6_200;
const FULL_SHARE = 0.8;
const WINDOW_S = 120;
const SHORT_WINDOW_S = 60;

const requests = rate('http_request_duration_seconds_count', ['service'], WINDOW_S, OF_CLIENTS);
const TIER_GONE: readonly Cause[] = [{ ofAll: 'HaproxyDown' }, 'NoBouncer', 'NoPrimary'];

const pgbouncer = { title: 'PgBouncer Alert', source: 'haproxy' } as const;
const tier = { title: 'PostgreSQL Tier Alert', source: 'haproxy' } as const;
const haproxy = { title: 'HAProxy Alert', source: 'haproxy' } as const;
const postgres = { title: 'PostgreSQL Alert', source: 'haproxy' } as const;
const service = { title: 'Service Alert', source: 'service' } as const;
const monitor = { title: 'Monitor Alert', source: 'monitor' } as const;

export const RULES: readonly Rule[] = [
  // ---- the PostgreSQL tier
  {
    ...pgbouncer,
    name: 'PgBouncerDown',
    severity: 'warning',
    message: '{server} is DOWN',
    recovery: '{server} is back UP',
    measure: bouncerStatus('DOWN', ['proxy', 'server'], 'max'),
    above: 0,
    forS: 0,
    unless: {
      measure: takenOut,
      words: '{server} is not called DOWN any more, but taken out (MAINT or DRAIN)',
    },
  },
  {
    ...pgbouncer,
    name: 'PgBouncerTakenOut',
    severity: 'info',
    message: '{server} was taken out (MAINT or DRAIN): somebody did that',
    recovery: '{server} is not taken out any more',
    measure: takenOut,
    above: 0,
    forS: 0,
  },
  {
    ...pgbouncer,
    name: 'NoBouncer',
    severity: 'critical',
    message: 'no server of {proxy} is UP: its clients are not served',
    recovery: '{proxy} has a server again',
    measure: bouncersUp,
    below: 1,
    forS: 0,
  },
  {
    ...tier,
    name: 'NoSpareBouncer',
    severity: 'warning',
    message: 'N-1 is not held: only {value} of {proxy} is UP',
    recovery: '{proxy} can lose one again',
    measure: bouncersUp,
    below: 2,
    forS: 10,
    causedBy: ['NoBouncer'],
  },
  {
    ...tier,
    name: 'SpareTooSmall',
    severity: 'warning',
    message: 'N-1 is not held: clients are {percent} of what {proxy} could take with one server less',
    recovery: '{proxy} could take all clients with one server less',
    measure: {
      kind: 'ratio',
      of: bouncerSessions(['proxy']),
      to: { kind: 'linear', of: bouncersUp, times: BOUNCER_CLIENTS, plus: -BOUNCER_CLIENTS },
    },
    above: 1,
    // With one server or none there is no spare to be too small; dividing by 0 or less says nothing.
    and: { measure: bouncersUp, above: 1 },
    forS: 30,
    causedBy: ['NoBouncer', 'NoSpareBouncer'],
  },
  {
    ...pgbouncer,
    name: 'BouncerNearlyFull',
    severity: 'warning',
    message: `{server} has {value} clients, more than 80 % of the ${BOUNCER_CLIENTS} that it takes`,
    recovery: '{server} has room again',
    measure: bouncerSessions(['proxy', 'server']),
    above: BOUNCER_CLIENTS * FULL_SHARE,
    forS: 30,
  },
  {
    name: 'HaproxyDown',
    severity: 'critical',
    title: 'HAProxy Alert',
    message: '{instance} is DOWN',
    recovery: '{instance} is back UP',
    measure: highest('up', ['instance'], ['job', '=', 'haproxy']),
    below: 1,
    forS: 0,
    source: 'monitor',
  },
  {
    name: 'HaproxyPageSilent',
    severity: 'warning',
    title: 'HAProxy Alert',
    message: '{instance}: the statistics page does not answer',
    recovery: '{instance}: the statistics page answers again',
    measure: highest('monitor_haproxy_page_up', ['instance']),
    below: 1,
    forS: 20,
    source: 'monitor',
    causedBy: ['HaproxyDown'],
  },
  {
    ...haproxy,
    name: 'DoorNearlyFull',
    severity: 'warning',
    message: '{instance}: {proxy} has {percent} of the sessions that it takes',
    recovery: '{instance}: {proxy} has room again',
    measure: {
      kind: 'ratio',
      of: highest('haproxy_frontend_current_sessions', ['instance', 'proxy']),
      to: highest('haproxy_frontend_limit_sessions', ['instance', 'proxy']),
    },
    above: FULL_SHARE,
    forS: 10,
    causedBy: ['HaproxyNearlyFull'],
  },
  {
    ...haproxy,
    name: 'HaproxyNearlyFull',
    severity: 'warning',
    message: '{instance} holds {percent} of the sessions that it takes in all',
    recovery: '{instance} has room again',
    // All doors together: each may be half empty while the process is full. A door without a limit of its own has that
    // of the process, so the greatest is the process'.
    measure: {
      kind: 'ratio',
      of: {
        kind: 'last',
        aggregate: 'sum',
        metric: 'haproxy_frontend_current_sessions',
        by: ['instance'],
      },
      to: highest('haproxy_frontend_limit_sessions', ['instance']),
    },
    above: FULL_SHARE,
    forS: 10,
  },
  {
    ...haproxy,
    name: 'RetriesRising',
    severity: 'warning',
    message: '{proxy}: {value} connects a second had to be tried again',
    recovery: '{proxy}: connects succeed at the first try again',
    measure: rate('haproxy_server_retry_warnings_total', ['proxy'], SHORT_WINDOW_S),
    above: 1,
    forS: 30,
    causedBy: ['PgBouncerDown', 'NoPrimary'],
  },
  {
    ...haproxy,
    name: 'RedispatchesRising',
    severity: 'warning',
    message: '{proxy}: {value} clients a second were sent on to another server',
    recovery: '{proxy}: clients reach their first server again',
    measure: rate('haproxy_server_redispatch_warnings_total', ['proxy'], SHORT_WINDOW_S),
    above: 1,
    forS: 30,
    causedBy: ['PgBouncerDown', 'NoPrimary'],
  },
  {
    ...postgres,
    name: 'NoPrimary',
    severity: 'critical',
    message: 'no node is the primary: nothing can be written',
    recovery: 'there is a primary again',
    measure: postgresUp(LEADER_PROXY, ['proxy']),
    below: 1,
    forS: 0,
  },
  {
    ...postgres,
    name: 'PostgresDown',
    severity: 'warning',
    message: '{server} is DOWN: it serves neither writes nor reads',
    recovery: '{server} is back UP',
    measure: postgresUp(`${LEADER_PROXY}|${REPLICAS_PROXY}`, ['server']),
    below: 1,
    forS: 10,
  },
  {
    name: 'ReplicaLag',
    severity: 'warning',
    title: 'PostgreSQL Alert',
    message: '{server} is {value} s behind its primary, as {service} sees it',
    recovery: '{server} has caught up',
    measure: highest('replica_lag_seconds', ['service', 'server']),
    above: 30,
    forS: 30,
    source: 'service',
  },
  // ---- services
  {
    name: 'ServiceDown',
    severity: 'critical',
    title: 'Service Alert',
    message: '{service} is DOWN: it does not answer',
    recovery: '{service} is back UP',
    measure: highest('up', ['service'], ['job', '=', 'trunkline']),
    below: 1,
    forS: 20,
    source: 'monitor',
  },
  {
    name: 'ServiceNotReady',
    severity: 'critical',
    title: 'Service Alert',
    message: '{service} is not ready: requests are not served',
    recovery: '{service} is ready again',
    measure: highest('monitor_service_ready', ['service']),
    below: 1,
    forS: 20,
    source: 'monitor',
    causedBy: ['ServiceDown', ...TIER_GONE],
  },
  {
    ...service,
    name: 'ErrorRate',
    severity: 'critical',
    message: '{service}: {percent} of the requests end in a 5xx',
    recovery: '{service}: requests succeed again',
    measure: {
      kind: 'ratio',
      of: rate(
        'http_request_duration_seconds_count',
        ['service'],
        WINDOW_S,
        ['status', '=~', '5..'],
        OF_CLIENTS,
      ),
      to: requests,
    },
    above: 0.05,
    // One failure among three requests is no rate.
    and: { measure: requests, above: 0.2 },
    forS: 60,
    causedBy: ['ServiceNotReady', 'BreakerOpen', ...TIER_GONE],
  },
  {
    ...service,
    name: 'SlowAnswers',
    severity: 'warning',
    message: '{service}: one request in a hundred takes longer than {value} s',
    recovery: '{service}: answers are fast again',
    measure: {
      kind: 'quantile',
      quantile: 0.99,
      metric: 'http_request_duration_seconds',
      where: [OF_CLIENTS],
      by: ['service'],
      windowS: WINDOW_S,
    },
    above: 2.5,
    forS: 120,
    causedBy: ['ServiceNotReady', 'BreakerOpen', ...TIER_GONE],
  },
  {
    ...service,
    name: 'QueueWait',
    severity: 'warning',
    message: '{service}: a request has waited {value} s for {server}',
    recovery: '{service}: the queue for {server} is short again',
    measure: highest('request_queue_oldest_wait_seconds', ['service', 'server']),
    above: 1,
    forS: 30,
    causedBy: ['BreakerOpen', ...TIER_GONE],
  },
  {
    ...service,
    name: 'BreakerOpen',
    severity: 'critical',
    message: '{service}: the circuit breaker of {server} is open',
    recovery: '{service}: the circuit breaker of {server} lets requests through again',
    measure: highest(
      'circuit_breaker_state',
      ['service', 'server'],
      ['state', '=~', 'OPEN|HELD_OPEN|HALF_OPEN'],
    ),
    above: 0,
    forS: 0,
    causedBy: TIER_GONE,
  },
  {
    ...service,
    name: 'EventLoopDelay',
    severity: 'warning',
    message: '{service}: the event loop is held up for {value} s',
    recovery: '{service}: the event loop is free again',
    measure: highest('nodejs_eventloop_lag_p99_seconds', ['service']),
    above: 0.25,
    forS: 60,
  },
  {
    ...service,
    name: 'MemoryHigh',
    severity: 'warning',
    message: '{service} takes {gigabytes} of memory',
    recovery: '{service} takes less memory again',
    measure: highest('process_resident_memory_bytes', ['service']),
    above: 1_500_000_000,
    forS: 300,
  },
  // ---- the monitor itself
  {
    ...monitor,
    name: 'ChannelFailing',
    severity: 'warning',
    message: 'alerts do not get out by {channel}',
    recovery: 'alerts get out by {channel} again',
    measure: highest('monitor_channel_failures', ['channel']),
    above: 2,
    forS: 0,
  },
  {
    ...monitor,
    name: 'StateNotSaved',
    severity: 'warning',
    message: 'the monitor cannot write its state file: after a restart it may repeat alerts',
    recovery: 'the monitor writes its state file again',
    measure: highest('monitor_state_saved', ['service']),
    below: 1,
    forS: 0,
  },
];

/** Its place in docs/RUNBOOK.md. */
export const runbookAnchor = (ruleName: string): string => ruleName.toLowerCase();
