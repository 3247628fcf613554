/** A page of calls with all their legs, and the records of a file of such calls. */
import type { Caller } from '#platform/access/caller.ts';
import { writeText } from '#platform/database/byte_output.ts';
import type { Session } from '#platform/database/session.ts';
import { inTurns } from '#platform/lifecycle/turns.ts';
import type { CallFilter } from '../../call_filter.ts';
import type { Order } from '../../contract.ts';
import { plainCell } from '../../csv/calls_csv.ts';
import { type CsvForm, csvDecimal, csvRecord } from '../../csv/csv_form.ts';
import { zonedTime } from '../../csv/csv_times.ts';
import type { KeysetPosition } from '../../store/calls.ts';
import {
  countLinkedCalls,
  LINKED_COLUMNS,
  type LinkedCallRow,
  pageOfLinkedCalls,
} from '../../store/linked_calls.ts';
import type { ZoneClock } from '../../time/zone_clock.ts';
import { seesMasked } from '../../visibility.ts';
import { batchesOf, type ReadBatch } from '../exports/calls_batch.ts';
import { findVisibleAccounts } from './account_access.ts';
import { type CallsAsked, resolveQuery } from './call_query.ts';
import type { Page } from './calls_page.ts';
import { maskCall } from './masking.ts';
import { nearbyMonths } from './nearby_months.ts';

/**
 * Reads a page for a caller.
 * @param now milliseconds since 1970
 * @throws ApiError 404 for an account that the caller may not see
 */
export async function readLinkedPage(
  session: Session,
  asked: CallsAsked,
  after: KeysetPosition | undefined,
  caller: Caller,
  now: number,
): Promise<Page> {
  const found = await findVisibleAccounts(session, asked.accounts, caller);
  const { account } = found;
  const { filter } = resolveQuery(asked, found);
  const { order, limit } = asked;
  let rows: readonly LinkedCallRow[] = [];
  for (const window of nearbyMonths(filter, order, after, now)) {
    rows = await session.rows(pageOfLinkedCalls(seesMasked(caller), filter, order, after, limit + 1, window));
    if (rows.length > limit) break;
  }
  const calls = rows.slice(0, limit);
  const next = rows.length > limit ? calls.at(-1) : undefined;
  const total =
    asked.total === 'none'
      ? undefined
      : !after && !next
        ? calls.length
        : (await session.row(countLinkedCalls(filter)))!.total;
  return {
    account,
    next,
    total,
    answer: (rest) =>
      Buffer.from(
        `{"success":true,"data":${JSON.stringify(shown(calls, caller))},${JSON.stringify(rest).slice(1)}`,
      ),
    free: () => undefined,
  };
}

const shown = (calls: readonly LinkedCallRow[], caller: Caller): readonly LinkedCallRow[] =>
  seesMasked(caller) ? calls.map(maskCall) : calls;

/** Columns of a file: amounts and their currencies stand in two cells. */
export const LINKED_FILE_COLUMNS = [...LINKED_COLUMNS, 'currency'] as const;
type LinkedForm = CsvForm<(typeof LINKED_FILE_COLUMNS)[number]>;

/** One call as a line. Amounts of several currencies stand in one cell, with a blank between them, as their currencies do. */
function linkedLine(call: LinkedCallRow, zone: ZoneClock, form: LinkedForm): string {
  const cells = form.columns.map((column) => {
    switch (column) {
      case 'start_time':
      case 'connect_time':
      case 'disconnect_time':
        return zonedTime(call[column], zone);
      case 'duration_s':
      case 'talk_s':
      case 'billed_duration_s':
        return csvDecimal(String(call[column]), form);
      case 'cost':
        return call.cost.map(({ amount }) => csvDecimal(amount, form)).join(' ');
      case 'currency':
        return call.cost.map(({ currency }) => currency).join(' ');
      default:
        return plainCell(call[column]);
    }
  });
  return csvRecord(cells, form);
}

/** The most calls of an export's batch: each needs some look-ups. */
const BATCH_CALLS = 1_000;

/** How to read the batches of an export. */
export const linkedBatchReader = (
  filter: CallFilter,
  order: Order,
  caller: Caller,
  zone: ZoneClock,
  form: LinkedForm,
): ReadBatch =>
  batchesOf(filter, order, BATCH_CALLS, async (session, asked, out) => {
    const calls = await session.rows(pageOfLinkedCalls(seesMasked(caller), ...asked));
    await inTurns(shown(calls, caller), (call) => writeText(out, linkedLine(call, zone, form)));
    return { count: calls.length, last: calls.at(-1) };
  });
