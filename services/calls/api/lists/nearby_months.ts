/**
 * A page begins at one end of a list and rarely reaches far, yet PostgreSQL plans a statement for every month that it
 * could reach: for 36 months the statement costs more than four times what it does for two. So a page is looked for in
 * the nearest months, then in a year, and at last in all that is asked for. What is found in a narrower stretch is the
 * page as soon as it is full, since every call outside of the stretch comes later in the order.
 */
import type { CallFilter } from '../../call_filter.ts';
import type { Order } from '../../contract.ts';
import { addMonths, monthOf, startOfMonth } from '../../months.ts';
import type { Place, Stretch } from '../../store/calls.ts';

/** How many months are looked through before all are. */
const STRETCHES = [2, 12];

/**
 * Stretches of a list, each wider than the one before; the last one is all of it.
 * @param after where the page before ended
 * @param now milliseconds since 1970
 */
export function* nearbyMonths(
  filter: CallFilter,
  order: Order,
  after: Place | undefined,
  now: number,
): Generator<Stretch> {
  const { from, to } = filter;
  const begin = after?.start_time ?? (order === 'desc' ? to : from);
  const beginAt = begin === undefined ? undefined : Date.parse(begin);
  // No way to read an infinity, a year before Christ or beyond 9999.
  if (Number.isNaN(beginAt)) {
    yield {};
    return;
  }
  if (order === 'desc') {
    // Calls in the future are odd and few: where the list is open on that side, they are in every stretch.
    const first = monthOf(Math.min(now, beginAt ?? now));
    for (const months of STRETCHES) {
      const since = startOfMonth(addMonths(first, 1 - months));
      if (from === undefined || Date.parse(from) < Date.parse(since)) yield { since };
    }
  } else if (beginAt !== undefined) {
    const first = monthOf(beginAt);
    for (const months of STRETCHES) {
      const until = startOfMonth(addMonths(first, months));
      if (to === undefined || Date.parse(to) > Date.parse(until)) yield { until };
    }
  }
  yield {};
}
