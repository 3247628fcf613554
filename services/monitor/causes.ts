/**
 * The relations between rules: which alerts are consequences of others, which have the same meaning for people, and which
 * name the primary at their end. One fault should make one notice and one recovery.
 */
import type { Cause, Rule } from './rule.ts';

/** No client can reach PostgreSQL. */
const TIER_GONE: readonly Cause[] = [{ ofAll: 'HaproxyDown' }, 'NoBouncer', 'NoPrimary'];
/** The same as clients see it: while the lost part is not yet reported, its door is. */
const DATABASE_GONE: readonly Cause[] = [...TIER_GONE, 'DoorSilent'];
/**
 * One part of several is lost. Its clients move to the others, wait and retry, for this time. A longer wait is a fault of its
 * own: the remaining parts are too few.
 */
const MOVING_S = 60;
const PART_LOST: readonly Cause[] = ['PgBouncerDown', 'HaproxyDown', 'PostgresDown'].map((rule) => {
  return { rule, withinS: MOVING_S };
});
/** A service's circuit breaker, opened automatically or by hand. */
const BREAKER = ['BreakerOpen', 'BreakerHeld'] as const;

/** The causes of each rule. */
const CAUSED_BY: Readonly<Record<string, readonly Cause[]>> = {
  // ---- the tier
  NoSpareBouncer: ['NoBouncer', 'PgBouncerDown'],
  SpareTooSmall: ['NoBouncer', 'NoSpareBouncer', 'PgBouncerDown'],
  HaproxyPageSilent: ['HaproxyDown'],
  DoorNearlyFull: ['HaproxyNearlyFull'],
  RetriesRising: ['PgBouncerDown', 'PostgresDown', 'NoPrimary', 'DoorSilent'],
  RedispatchesRising: ['PgBouncerDown', 'PostgresDown', 'NoPrimary', 'DoorSilent'],
  DoorSilent: TIER_GONE,
  // Announced half a minute after there is a primary again, if the lost one has not come back.
  PostgresDown: ['NoPrimary', 'DoorSilent'],
  PoolWait: [...DATABASE_GONE, ...PART_LOST],
  PoolNearlyFull: ['PoolWait', ...DATABASE_GONE, ...PART_LOST],
  LeaseOld: [{ ofAll: 'EtcdDown' }, ...TIER_GONE],
  // ---- services and their sources
  ServiceNotReady: ['ServiceDown', ...DATABASE_GONE],
  ErrorRate: ['ServiceNotReady', ...BREAKER, ...DATABASE_GONE],
  SlowAnswers: ['ServiceNotReady', ...BREAKER, ...DATABASE_GONE, ...PART_LOST],
  QueueWait: [...BREAKER, ...DATABASE_GONE, ...PART_LOST],
  BreakerOpen: DATABASE_GONE,
  SourceSilent: ['SourceFailing', 'ServiceNotReady', ...TIER_GONE],
  SourceFailing: ['ServiceNotReady', ...BREAKER, ...TIER_GONE],
  // ---- the cache
  CacheAway: ['RedisDown', 'ServiceDown'],
  CacheFailing: ['CacheAway', 'RedisDown'],
  // ---- messages
  QueueOld: ['QueuePaused', 'RelayStalled', { ofAll: 'BrokerNodeDown' }, 'ServiceNotReady', ...DATABASE_GONE],
  QueueDeep: ['QueueOld', 'QueuePaused', 'RelayStalled', { ofAll: 'BrokerNodeDown' }, ...DATABASE_GONE],
  RelayStalled: [{ ofAll: 'BrokerNodeDown' }, 'ServiceNotReady', ...DATABASE_GONE],
  // ---- disks
  DiskFilling: ['DiskNearlyFull'],
  DiskFullSoon: ['DiskNearlyFull'],
};

/** The rules with the same meaning as each rule; of two rules that name each other, the one that is seen first is announced. */
const SAID_BY: Readonly<Record<string, NonNullable<Rule['saidBy']>>> = {
  NoBouncer: [
    { of: { proxy: 'bouncers' }, by: 'DoorSilent', where: { door: 'writes' } },
    { of: { proxy: 'read_bouncers' }, by: 'DoorSilent', where: { door: 'reads' } },
  ],
  // HAProxy notices a hanging PostgreSQL later than the test through the door.
  NoPrimary: [{ of: {}, by: 'DoorSilent', where: { door: 'writes' } }],
  // Until it is killed, a frozen process blocks three of four connections, since bouncers connect through HAProxy, too.
  DoorSilent: [{ of: {}, by: 'HaproxyDown', where: {}, withinS: 20 }],
};

/** Outages of writes, with these labels: the message of the end names the primary, so that a change needs no notice of its own. */
const SAYS_LEADER: Readonly<Record<string, NonNullable<Rule['saysLeader']>>> = {
  NoPrimary: {},
  DoorSilent: { door: 'writes' },
};

/** The rules in the tables. */
export const RELATED = [CAUSED_BY, SAID_BY, SAYS_LEADER].flatMap((table) => Object.keys(table));

/** A rule with its relations from the tables. */
export function related(rule: Rule): Rule {
  const [causedBy, saidBy, saysLeader] = [CAUSED_BY[rule.name], SAID_BY[rule.name], SAYS_LEADER[rule.name]];
  return {
    ...rule,
    ...(causedBy && { causedBy }),
    ...(saidBy && { saidBy }),
    ...(saysLeader && { saysLeader }),
  };
}
