/** The rules about services: their answers, their speed, and their waiting requests. */

import type { Rule } from './rule.ts';
import { highest, OF_CLIENTS, rate } from './rule_measures.ts';

const WINDOW_S = 120;

const requests = rate('http_request_duration_seconds_count', ['service'], WINDOW_S, OF_CLIENTS);
const service = { title: 'Service Alert', source: 'service' } as const;

export const SERVICE_RULES: readonly Rule[] = [
  {
    ...service,
    source: 'monitor',
    name: 'ServiceDown',
    severity: 'critical',
    message: '{service} is DOWN: it does not answer',
    recovery: '{service} is back UP',
    measure: highest('up', ['service'], ['job', '=', 'trunkline']),
    below: 1,
    forS: 20,
  },
  {
    ...service,
    source: 'monitor',
    name: 'ServiceNotReady',
    severity: 'critical',
    message: '{service} is not ready: requests are not served',
    recovery: '{service} is ready again',
    measure: highest('monitor_service_ready', ['service']),
    below: 1,
    forS: 20,
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
  },
  {
    ...service,
    name: 'BreakerOpen',
    severity: 'critical',
    message: '{service}: PostgreSQL does not answer as it should ({server}); its circuit breaker is open',
    recovery: '{service}: PostgreSQL answers again ({server}); its circuit breaker lets requests through',
    measure: highest('circuit_breaker_state', ['service', 'server'], ['state', '=~', 'OPEN|HALF_OPEN']),
    above: 0,
    forS: 0,
  },
  {
    ...service,
    name: 'BreakerHeld',
    severity: 'warning',
    message: '{service}: requests for {server} wait; its circuit breaker was opened by hand',
    recovery: '{service}: the circuit breaker of {server} is no longer held open',
    measure: highest('circuit_breaker_state', ['service', 'server'], ['state', '=', 'HELD_OPEN']),
    above: 0,
    forS: 0,
  },
  {
    ...service,
    name: 'EventLoopDelay',
    severity: 'warning',
    message: '{service}: the event loop is blocked for {value} s',
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
];
