/**
 * The rules: each has a measure, a threshold, and the messages of its alert. This one table serves the monitor
 * and Prometheus (infrastructure/monitoring/rules.yml is written from it: scripts/derived.ts).
 *
 * {label} in a message is the label of the figure; {value} is the figure; {percent}, {gigabytes} and {hours} are its formats.
 */
import { BACKUP_RULES } from './backup_rules.ts';
import { CACHE_RULES } from './cache_rules.ts';
import { related } from './causes.ts';
import { DISK_RULES } from './disk_rules.ts';
import { KEEPER_RULES } from './keeper_rules.ts';
import { POOL_RULES } from './pool_rules.ts';
import { QUEUE_RULES } from './queue_rules.ts';
import type { Rule } from './rule.ts';
import {
  bouncerSessions,
  bouncerStatus,
  bouncersUp,
  haproxyFilled,
  highest,
  LEADER_PROXY,
  postgresUp,
  REPLICAS_PROXY,
  rate,
  takenOut,
} from './rule_measures.ts';
import { SERVICE_RULES } from './service_rules.ts';
import { SOURCE_RULES } from './source_rules.ts';

/** max_client_conn of one PgBouncer, infrastructure/pgbouncer/pgbouncer.ini (a test holds them together). */
export const BOUNCER_CLIENTS = 6_200;
const FULL_SHARE = 0.8;
const SHORT_WINDOW_S = 60;

const pgbouncer = { title: 'PgBouncer Alert', source: 'haproxy' } as const;
const tier = { title: 'PostgreSQL Tier Alert', source: 'haproxy' } as const;
const haproxy = { title: 'HAProxy Alert', source: 'haproxy' } as const;
const postgres = { title: 'PostgreSQL Alert', source: 'haproxy' } as const;
const monitor = { title: 'Monitor Alert', source: 'monitor' } as const;

const ALL: readonly Rule[] = [
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
    timedBy: { holds: 'any is DOWN' },
    unless: {
      measure: takenOut,
      words: '{server} is no longer DOWN, but taken out (MAINT or DRAIN)',
    },
  },
  {
    ...pgbouncer,
    name: 'PgBouncerTakenOut',
    severity: 'info',
    message: '{server} was taken out by hand (MAINT or DRAIN)',
    recovery: '{server} is no longer taken out',
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
    timedBy: { holds: 'none is UP' },
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
    // With one server or none there is no spare; a division by 0 or less has no meaning.
    and: { measure: bouncersUp, above: 1 },
    forS: 30,
  },
  {
    ...pgbouncer,
    name: 'BouncerNearlyFull',
    severity: 'warning',
    message: `{server} has {value} clients, more than 80 % of its limit of ${BOUNCER_CLIENTS}`,
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
  },
  {
    ...haproxy,
    name: 'DoorNearlyFull',
    severity: 'warning',
    message: '{instance}: {proxy} has {percent} of its maximum of sessions',
    recovery: '{instance}: {proxy} has room again',
    measure: {
      kind: 'ratio',
      of: highest('haproxy_frontend_current_sessions', ['instance', 'proxy']),
      to: highest('haproxy_frontend_limit_sessions', ['instance', 'proxy']),
    },
    above: FULL_SHARE,
    forS: 10,
  },
  {
    ...haproxy,
    name: 'HaproxyNearlyFull',
    severity: 'warning',
    message: '{instance} has {percent} of the maximum of sessions of the whole process',
    recovery: '{instance} has room again',
    measure: haproxyFilled,
    above: FULL_SHARE,
    forS: 10,
  },
  {
    ...haproxy,
    name: 'RetriesRising',
    severity: 'warning',
    message: '{proxy}: HAProxy retries {value} connects a second',
    recovery: '{proxy}: connects succeed at the first try again',
    measure: rate('haproxy_server_retry_warnings_total', ['proxy'], SHORT_WINDOW_S),
    above: 1,
    forS: 30,
  },
  {
    ...haproxy,
    name: 'RedispatchesRising',
    severity: 'warning',
    message: '{proxy}: HAProxy sends {value} clients a second to another server',
    recovery: '{proxy}: clients reach their first server again',
    measure: rate('haproxy_server_redispatch_warnings_total', ['proxy'], SHORT_WINDOW_S),
    above: 1,
    forS: 30,
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
    timedBy: { holds: 'none is UP' },
  },
  {
    ...postgres,
    source: 'monitor',
    name: 'DoorSilent',
    severity: 'critical',
    message: '{door} have had no answer for {value} s',
    recovery: '{door} are answered again',
    measure: highest('monitor_door_silent_seconds', ['door']),
    // The door is tested every 2 s, and each test may take 1.75 s.
    above: 4,
    forS: 0,
    isSilence: true,
    over: '{door} had no answer for {value} s; they are answered again',
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
    timedBy: { holds: 'none is UP', proxies: [LEADER_PROXY, REPLICAS_PROXY] },
  },
  {
    ...postgres,
    source: 'service',
    name: 'ReplicaLag',
    severity: 'warning',
    message: '{server} is {value} s behind its primary, as {service} sees it',
    recovery: '{server} has caught up',
    measure: highest('replica_lag_seconds', ['service', 'server']),
    above: 30,
    forS: 30,
  },
  ...SERVICE_RULES,
  ...POOL_RULES,
  ...KEEPER_RULES,
  ...CACHE_RULES,
  ...QUEUE_RULES,
  ...SOURCE_RULES,
  ...BACKUP_RULES,
  ...DISK_RULES,
  // ---- the monitor itself
  {
    ...monitor,
    name: 'ChannelFailing',
    severity: 'warning',
    message: '{channel} does not deliver alerts',
    recovery: '{channel} delivers alerts again',
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

export const RULES: readonly Rule[] = ALL.map(related);

/** The anchor of a rule's entry in docs/RUNBOOK.md. */
export const runbookAnchor = (ruleName: string): string => ruleName.toLowerCase();
