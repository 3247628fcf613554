/** The beginning of a state by HAProxy's own times, instead of those of polls. No I/O; times are steady milliseconds. */
import { isServer, type StatsRow, stateOf } from './haproxy_csv.ts';
import type { HaproxyView } from './outages.ts';
import type { TimedBy } from './rule.ts';
import type { Labels } from './samples.ts';

/**
 * When the state of an alert began or ended, by HAProxy's times.
 * @param labels the alert's labels: its servers and proxies
 * @param holds whether the alert holds now
 * @returns undefined if no process has the server
 */
export function changedAt(
  timedBy: TimedBy,
  labels: Labels,
  holds: boolean,
  views: readonly HaproxyView[],
  now: number,
): number | undefined {
  const rows = views.flatMap((view) => view.rows.filter((row) => isOf(row, timedBy, labels)));
  const times = (state: (row: StatsRow) => boolean) =>
    rows.filter(state).map((row) => now - row.lastChangeS * 1_000);
  const isDown = (row: StatsRow) => stateOf(row) === 'DOWN';
  const isUp = (row: StatsRow) => stateOf(row) === 'UP';
  if (timedBy.holds === 'any is DOWN')
    return holds ? first(times(isDown)) : last(times((row) => !isDown(row)));
  return holds ? last(times(() => true)) : first(times(isUp));
}

const isOf = (row: StatsRow, { proxies }: TimedBy, { proxy, server }: Labels): boolean =>
  isServer(row) &&
  (proxies?.includes(row.proxy) ?? true) &&
  (proxy ?? row.proxy) === row.proxy &&
  (server ?? row.server) === row.server;

const first = (times: readonly number[]) => (times.length === 0 ? undefined : Math.min(...times));
const last = (times: readonly number[]) => (times.length === 0 ? undefined : Math.max(...times));
