/** Measures that several rules share, by their names in HAProxy's exporter and in services' /metrics. */
import type { Measure } from './measure.ts';

type Where = (readonly [label: string, operator: '=' | '!=' | '=~' | '!~', value: string])[];

/** Proxies of infrastructure/haproxy/haproxy.cfg. */
export const LEADER_PROXY = 'leader';
export const REPLICAS_PROXY = 'replicas';
/** All other proxies contain bouncers. */
const BOUNCERS = ['proxy', '!~', 'leader|replicas'] as const;
/** Excludes health checks and metrics, which are not clients' requests. */
export const OF_CLIENTS = ['route', '!~', '/health.*|/metrics|/monitoring'] as const;

/** 1 for a bouncer that is in this state at HAProxy. */
export const bouncerStatus = (state: string, by: readonly string[], aggregate: 'max' | 'sum'): Measure => ({
  kind: 'last',
  aggregate,
  metric: 'haproxy_server_status',
  where: [BOUNCERS, ['state', '=', state]],
  by,
});
/** Bouncers that are UP, by the HAProxy process that sees most of them. */
export const bouncersUp: Measure = {
  kind: 'fold',
  aggregate: 'max',
  by: ['proxy'],
  of: bouncerStatus('UP', ['instance', 'proxy'], 'sum'),
};
/** Sessions of bouncers, all HAProxy processes together. */
export const bouncerSessions = (by: readonly string[]): Measure => ({
  kind: 'last',
  aggregate: 'sum',
  metric: 'haproxy_server_current_sessions',
  where: [BOUNCERS],
  by,
});
/** Bouncers that an administrator has taken out of service. */
export const takenOut: Measure = {
  kind: 'last',
  aggregate: 'max',
  metric: 'haproxy_server_status',
  where: [BOUNCERS, ['state', '=~', 'MAINT|DRAIN']],
  by: ['proxy', 'server'],
};
/** 1 if a node of PostgreSQL is UP in these proxies (a pattern). */
export const postgresUp = (proxies: string, by: readonly string[]): Measure => ({
  kind: 'last',
  aggregate: 'max',
  metric: 'haproxy_server_status',
  where: [
    ['proxy', '=~', proxies],
    ['state', '=', 'UP'],
  ],
  by,
});
/** Increase per second of a counter. */
export const rate = (metric: string, by: readonly string[], windowS: number, ...where: Where): Measure => ({
  kind: 'rate',
  metric,
  by,
  windowS,
  where,
});
/** The maximum of the last figures. */
export const highest = (metric: string, by: readonly string[], ...where: Where): Measure => ({
  kind: 'last',
  aggregate: 'max',
  metric,
  by,
  where,
});
/**
 * The sessions of a HAProxy process as a share of its maximum, over all doors: each door may be half empty while
 * the process is full. A door without a limit of its own has the limit of the process, so the greatest is the process's.
 */
export const haproxyFilled: Measure = {
  kind: 'ratio',
  of: { kind: 'last', aggregate: 'sum', metric: 'haproxy_frontend_current_sessions', by: ['instance'] },
  to: highest('haproxy_frontend_limit_sessions', ['instance']),
};
