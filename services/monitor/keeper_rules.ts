/** The rules about the keepers of a PostgreSQL tier (etcd, the supervisor, the primary's lease) and the nodes of RabbitMQ. */
import { KEEPER_SILENT_S, LEASE_OLD_S } from './keepers.ts';
import type { Measure } from './measure.ts';
import type { Rule } from './rule.ts';
import { highest } from './rule_measures.ts';

const keeper = { title: 'PostgreSQL Tier Alert', source: 'monitor', severity: 'warning', forS: 0 } as const;
const silent = (kind: string): Measure =>
  highest('monitor_keeper_silent_seconds', ['keeper'], ['kind', '=', kind]);

export const KEEPER_RULES: readonly Rule[] = [
  {
    ...keeper,
    name: 'EtcdDown',
    message:
      '{keeper} has not answered for {value} s: the primary stays only while it reaches all other nodes',
    recovery: '{keeper} answers again',
    measure: silent('etcd'),
    above: KEEPER_SILENT_S,
    isSilence: true,
  },
  {
    ...keeper,
    name: 'SupervisorGone',
    message: 'the {keeper} of the tier has not answered for {value} s: parts that end are not restarted',
    recovery: 'the {keeper} of the tier answers again',
    measure: silent('supervisor'),
    above: KEEPER_SILENT_S,
    isSilence: true,
  },
  {
    ...keeper,
    name: 'LeaseOld',
    message: 'the lease of the {lease} has not been renewed for {value} s; it lasts 20 s',
    recovery: 'the lease of the {lease} is renewed again',
    measure: highest('monitor_lease_age_seconds', ['lease']),
    above: LEASE_OLD_S,
  },
  {
    ...keeper,
    title: 'RabbitMQ Alert',
    name: 'BrokerNodeDown',
    message:
      '{keeper} has not answered for {value} s: messages go on through the other nodes, if there are two',
    recovery: '{keeper} answers again',
    measure: silent('rabbitmq'),
    above: KEEPER_SILENT_S,
    isSilence: true,
  },
];
