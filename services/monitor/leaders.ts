/** Names the primary at the end of an announced outage of writes; a change without an outage is a notice of its own. */
import type { Alert, AlertBook } from './alert_book.ts';
import type { AlertEvent } from './announce.ts';
import { agree } from './excuses.ts';
import { compareLeaders, type Happening, type HaproxyView, leaderOf, type OutageBook } from './outages.ts';
import type { Rule } from './rule.ts';

/**
 * @param events of this poll
 * @param outages changed in place: the present leader
 * @returns the events, with the leader's name where needed, and a change of the leader that no event names
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
  // During an outage the leader is not compared: the message of the end names it.
  if (!ends && Object.values(alerts.active).some((one) => one.state === 'firing' && isOfWrites(one)))
    return { events };
  const change = compareLeaders(outages, views);
  if (!ends) return { events, ...(change && { change }) };
  const to = leaderOf(views);
  if (to === undefined) return { events };
  const leader = { to, ...(change && { from: change.from }) };
  return { events: events.map((event) => (isEnd(event) ? { ...event, leader } : event)) };
}
