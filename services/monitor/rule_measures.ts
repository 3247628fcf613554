/** Figures that several rules have in common, by their names in HAProxy's exporter and in services' /metrics. */
import type { Measure } from './measure.ts';

type Where = (readonly [label: string, operator: '=' | '!=' | '=~' | '!~', value: string])[];

/** Proxies of infrastructure/haproxy/haproxy.cfg. */
export const LEADER_PROXY = 'leader';
export const REPLICAS_PROXY = 'replicas';
/** Bouncers stand in all other proxies. */
const BOUNCERS = ['proxy', '!~', 'leader|replicas'] as const;
/** Health checks and metrics are no work for clients. */
export const OF_CLIENTS = ['route', '!~', '/health.*|/metrics|/monitoring'] as const;

/** Of bouncers, 1 where HAProxy has them in this state. */
export const bouncerStatus = (state: string, by: readonly string[], aggregate: 'max' | 'sum'): Measure => ({
  kind: 'last',
  aggregate,
  metric: 'haproxy_server_status',
  where: [BOUNCERS, ['state', '=', state]],
  by,
});
/** Bouncers that are UP, as the HAProxy sees it that sees most. */
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
/** 1 where a node of PostgreSQL serves what these proxies (a pattern) are for. */
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
/** The highest of the last figures. */
export const highest = (metric: string, by: readonly string[], ...where: Where): Measure => ({
  kind: 'last',
  aggregate: 'max',
  metric,
  by,
  where,
});
/**
 * Of the sessions that a HAProxy process takes, the share that it has. All doors together: each may be half empty while
 * the process is full. A door without a limit of its own has that of the process, so the greatest is the process'.
 */
export const haproxyFilled: Measure = {
  kind: 'ratio',
  of: { kind: 'last', aggregate: 'sum', metric: 'haproxy_frontend_current_sessions', by: ['instance'] },
  to: highest('haproxy_frontend_limit_sessions', ['instance']),
};
