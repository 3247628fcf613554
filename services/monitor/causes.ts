/**
 * Who speaks of a fault that many see: which alerts are only consequences of which, which say the same to people, and at whose
 * end it is said who is the primary. One fault is to be one notice and one recovery.
 */
import type { Cause, Rule } from './rule.ts';

/** PostgreSQL can't be reached by anybody. */
const TIER_GONE: readonly Cause[] = [{ ofAll: 'HaproxyDown' }, 'NoBouncer', 'NoPrimary'];
/** The same as clients see it: while the part that is gone is not told of, its door is. */
const DATABASE_GONE: readonly Cause[] = [...TIER_GONE, 'DoorSilent'];
/**
 * One part of several is lost. Its clients move to the others, and wait, and ask again; for so long. What lasts is a fault of its
 * own: the others are too few.
 */
const MOVING_S = 60;
const PART_LOST: readonly Cause[] = ['PgBouncerDown', 'HaproxyDown', 'PostgresDown'].map((rule) => {
  return { rule, withinS: MOVING_S };
});
/** A service's circuit breaker, open by itself or by hand. */
const BREAKER = ['BreakerOpen', 'BreakerHeld'] as const;

/** Of each rule the ones that it is only a consequence of. */
const CAUSED_BY: Readonly<Record<string, readonly Cause[]>> = {
  // ---- the tier
  NoSpareBouncer: ['NoBouncer', 'PgBouncerDown'],
  SpareTooSmall: ['NoBouncer', 'NoSpareBouncer', 'PgBouncerDown'],
  HaproxyPageSilent: ['HaproxyDown'],
  DoorNearlyFull: ['HaproxyNearlyFull'],
  RetriesRising: ['PgBouncerDown', 'PostgresDown', 'NoPrimary', 'DoorSilent'],
  RedispatchesRising: ['PgBouncerDown', 'PostgresDown', 'NoPrimary', 'DoorSilent'],
  DoorSilent: TIER_GONE,
  // Told half a minute after there is a primary again, where the lost one has not come back.
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
  // ---- disks
  DiskFilling: ['DiskNearlyFull'],
  DiskFullSoon: ['DiskNearlyFull'],
};

/** Of each rule the ones that say the same; of two that name each other, the one that is seen first is told. */
const SAID_BY: Readonly<Record<string, NonNullable<Rule['saidBy']>>> = {
  NoBouncer: [
    { of: { proxy: 'bouncers' }, by: 'DoorSilent', where: { door: 'writes' } },
    { of: { proxy: 'read_bouncers' }, by: 'DoorSilent', where: { door: 'reads' } },
  ],
  // Of a PostgreSQL that hangs, HAProxy learns later than who asks through the door.
  NoPrimary: [{ of: {}, by: 'DoorSilent', where: { door: 'writes' } }],
  // A frozen process takes three of four connections with it, since bouncers go through HAProxy, too, until it is killed.
  DoorSilent: [{ of: {}, by: 'HaproxyDown', where: {}, withinS: 20 }],
};

/** Outages of writes, with these labels: who is the primary after one is said at its end, and is then no notice of its own. */
const SAYS_LEADER: Readonly<Record<string, NonNullable<Rule['saysLeader']>>> = {
  NoPrimary: {},
  DoorSilent: { door: 'writes' },
};

/** The rules that the table speaks of. */
export const RELATED = [CAUSED_BY, SAID_BY, SAYS_LEADER].flatMap((table) => Object.keys(table));

/** A rule with what the table says of it. */
export function related(rule: Rule): Rule {
  const [causedBy, saidBy, saysLeader] = [CAUSED_BY[rule.name], SAID_BY[rule.name], SAYS_LEADER[rule.name]];
  return {
    ...rule,
    ...(causedBy && { causedBy }),
    ...(saidBy && { saidBy }),
    ...(saysLeader && { saysLeader }),
  };
}
