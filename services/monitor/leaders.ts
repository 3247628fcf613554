/** Who is the primary: said at the end of an outage of writes that was told; a change without one is a notice of its own. */
import type { Alert, AlertBook } from './alert_book.ts';
import type { AlertEvent } from './announce.ts';
import { agree } from './excuses.ts';
import { compareLeaders, type Happening, type HaproxyView, leaderOf, type OutageBook } from './outages.ts';
import type { Rule } from './rule.ts';

/**
 * @param events of this poll
 * @param outages changed in place: who leads now
 * @returns the events with the leader's name where one says it, and a change that none of them says
 */
export function withLeader(
  events: readonly AlertEvent[],
  { rules, alerts, outages }: { rules: readonly Rule[]; alerts: AlertBook; outages: OutageBook },
  views: readonly HaproxyView[],
): { events: readonly AlertEvent[]; change?: Happening } {
  const isOfWrites = ({ rule, labels }: Alert): boolean => {
    const of = rules.find(({ name }) => name === rule)?.saysLeader;
    return of !== undefined && agree(of, labels);
  };
  const isEnd = ({ kind, alert }: AlertEvent) =>
    kind !== 'firing' && alert.state === 'resolved' && isOfWrites(alert);
  const ends = events.some(isEnd);
  // During an outage who leads is not asked: it is a part of what is said at the end.
  if (!ends && Object.values(alerts.active).some((one) => one.state === 'firing' && isOfWrites(one)))
    return { events };
  const change = compareLeaders(outages, views);
  if (!ends) return { events, ...(change && { change }) };
  const to = leaderOf(views);
  if (to === undefined) return { events };
  const leader = { to, ...(change && { from: change.from }) };
  return { events: events.map((event) => (isEnd(event) ? { ...event, leader } : event)) };
}
