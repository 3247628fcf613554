/** The rules about Redis. None is critical: nothing stops without it. */
import { KEEPER_SILENT_S } from './keepers.ts';
import type { Rule } from './rule.ts';
import { highest, rate } from './rule_measures.ts';

const WINDOW_S = 120;
const cache = { title: 'Cache Alert', severity: 'warning' } as const;
const requests = rate('cache_requests_total', ['service'], WINDOW_S);

export const CACHE_RULES: readonly Rule[] = [
  {
    ...cache,
    name: 'RedisDown',
    source: 'monitor',
    message:
      '{keeper} has not answered for {value} s: each process counts requests for itself, and allows half of the limit',
    recovery: '{keeper} answers again',
    measure: highest('monitor_keeper_silent_seconds', ['keeper'], ['kind', '=', 'redis']),
    above: KEEPER_SILENT_S,
    forS: 0,
    isSilence: true,
  },
  {
    ...cache,
    name: 'CacheAway',
    source: 'service',
    message:
      '{service} does not reach its cache: it counts requests for itself, and allows half of the limit',
    recovery: '{service} reaches its cache again',
    measure: highest('cache_up', ['service']),
    below: 1,
    forS: 20,
  },
  {
    ...cache,
    name: 'CacheFailing',
    source: 'service',
    message: '{service}: {percent} of the requests to its cache fail',
    recovery: '{service}: requests to its cache succeed again',
    measure: {
      kind: 'ratio',
      of: rate('cache_requests_total', ['service'], WINDOW_S, ['outcome', '=', 'failed']),
      to: requests,
    },
    above: 0.05,
    // One failure among three requests is no rate.
    and: { measure: requests, above: 0.2 },
    forS: 60,
  },
];
