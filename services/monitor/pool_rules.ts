/** The rules about the pools of PgBouncers: connections to PostgreSQL that clients share. */
import type { Measure } from './measure.ts';
import type { Cause, Rule } from './rule.ts';
import { highest } from './rule_measures.ts';

const pool = { title: 'PgBouncer Alert', source: 'monitor' } as const;
const ofDoor = (metric: string): Measure => ({ kind: 'last', aggregate: 'sum', metric, by: ['door'] });

/** @param tierGone rules that say that PostgreSQL can't be reached */
export const poolRules = (tierGone: readonly Cause[]): readonly Rule[] => [
  {
    ...pool,
    name: 'PoolWait',
    severity: 'warning',
    message: '{door}: a client has waited {value} s for a connection to PostgreSQL',
    recovery: '{door}: clients do not wait any more',
    measure: highest('monitor_bouncer_max_wait_seconds', ['door']),
    above: 1,
    // A door's silence has the monitor look at once: with a `for`, what lasts some seconds would never be told.
    forS: 0,
    causedBy: tierGone,
  },
  {
    ...pool,
    name: 'PoolNearlyFull',
    severity: 'warning',
    message: '{door}: {percent} of the connections to PostgreSQL are in use',
    recovery: '{door}: connections to PostgreSQL are free again',
    measure: {
      kind: 'ratio',
      of: ofDoor('monitor_bouncer_connections_in_use'),
      to: ofDoor('monitor_bouncer_pool_size'),
    },
    above: 0.9,
    forS: 20,
    causedBy: ['PoolWait', ...tierGone],
  },
];
