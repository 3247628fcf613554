/** Tells other services of calls that a batch stores, in the transaction in which it does. */
import type { Session } from '#platform/database/session.ts';
import { publish } from '#platform/messaging/publish.ts';
import { message } from '#platform/messaging/topic.ts';
import { callsImported } from '../contract.ts';
import type { Batch } from './batch.ts';
import type { Recognised } from './recognise.ts';
import type { WrittenCalls } from './write_calls.ts';

/** @param counts what has become of the rows. Where none of it is new, nobody is told */
export async function tellImported(
  session: Session,
  source: string,
  { columns }: Batch,
  { fresh }: WrittenCalls,
  { rewritten }: Recognised,
  counts: { readonly stored: number; readonly completed: number; readonly rejected: number },
): Promise<void> {
  if (fresh.length + rewritten.length + counts.rejected === 0) return;
  const accounts = new Set<number>();
  let [from, to] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const look = (iAccount: number, start: number) => {
    accounts.add(iAccount);
    from = Math.min(from, start);
    to = Math.max(to, start);
  };
  for (const call of fresh) look(columns.iAccount[call]!, columns.startTime[call]!);
  for (const { cdr } of rewritten) look(cdr.account.i_account, cdr.record.startTime);
  const at = (ms: number) => (accounts.size > 0 ? new Date(ms).toISOString() : null);
  const body = {
    source,
    accounts: [...accounts].sort((a, b) => a - b),
    ...{ from: at(from), to: at(to), counts },
  };
  await publish(session, [message(callsImported, body, { key: source })]);
}
