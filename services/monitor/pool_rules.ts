/** The rules about the pools of PgBouncers: connections to PostgreSQL that clients share. */
import { LONG_WAIT_S } from './bouncer_reader.ts';
import type { Measure } from './measure.ts';
import type { Rule } from './rule.ts';
import { highest } from './rule_measures.ts';

const pool = { title: 'PgBouncer Alert', source: 'monitor' } as const;
const ofDoor = (metric: string): Measure => ({ kind: 'last', aggregate: 'sum', metric, by: ['door'] });

export const POOL_RULES: readonly Rule[] = [
  {
    ...pool,
    name: 'PoolWait',
    severity: 'warning',
    message: '{door}: a client has waited {value} s for a connection to PostgreSQL',
    recovery: '{door}: clients no longer wait',
    measure: highest('monitor_bouncer_max_wait_seconds', ['door']),
    above: LONG_WAIT_S,
    // A wait of some seconds is reported, too.
    forS: 0,
    over: '{door}: clients waited for a connection to PostgreSQL, one of them for {value} s; they no longer wait',
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
  },
];
