/**
 * A page begins at one end of a list and rarely reaches far, yet PostgreSQL plans a statement for every month that it
 * could reach: for 36 months the statement costs more than four times as much as for two. So a page is looked for in the
 * nearest months, then in a year, and at last in the whole range. A full page from a narrower range is final, since every
 * call outside of that range comes later in the order.
 */
import type { CallFilter } from '../../call_filter.ts';
import type { Order } from '../../contract.ts';
import { addMonths, monthOf, startOfMonth } from '../../months.ts';
import type { KeysetPosition, MonthWindow } from '../../store/calls.ts';

/** How many months are searched before the whole range is. */
const WINDOWS = [2, 12];

/**
 * Ranges of a list, each wider than the one before. The last one is the whole list.
 * @param after where the previous page ended
 * @param now milliseconds since 1970
 */
export function* nearbyMonths(
  filter: CallFilter,
  order: Order,
  after: KeysetPosition | undefined,
  now: number,
): Generator<MonthWindow> {
  const { from, to } = filter;
  const begin = after?.start_time ?? (order === 'desc' ? to : from);
  const beginAt = begin === undefined ? undefined : Date.parse(begin);
  // An infinity, a year before Christ or beyond 9999 can't be parsed.
  if (Number.isNaN(beginAt)) {
    yield {};
    return;
  }
  if (order === 'desc') {
    // Calls in the future are odd and few: where the list is open on that side, every range includes them.
    const first = monthOf(Math.min(now, beginAt ?? now));
    for (const months of WINDOWS) {
      const since = startOfMonth(addMonths(first, 1 - months));
      if (from === undefined || Date.parse(from) < Date.parse(since)) yield { since };
    }
  } else if (beginAt !== undefined) {
    const first = monthOf(beginAt);
    for (const months of WINDOWS) {
      const until = startOfMonth(addMonths(first, months));
      if (to === undefined || Date.parse(to) > Date.parse(until)) yield { until };
    }
  }
  yield {};
}
