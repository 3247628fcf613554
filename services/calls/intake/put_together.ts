/** One call out of two tellings of it. */
import type { Account } from '../store/account_rows.ts';
import { SEVERAL_TELLINGS } from '../told.ts';
import type { Decision } from './same_call.ts';
import { type Cdr, settle } from './settle.ts';
import { accountOfBoth, saidByBoth, type ToldCall, toldBy } from './told_call.ts';

export type ToldMore = Extract<Decision, { kind: 'completed' | 'replaced' }>;
export type AccountOf = (iAccount: number) => Account;

/**
 * The call with what a row told more, or otherwise.
 * @param isNoted what each of the two told is kept (store/tellings.ts)
 * @param now milliseconds since 1970
 */
export function toldToo(
  call: ToldCall,
  row: ToldCall,
  { kind, sameRow }: ToldMore,
  accountOf: AccountOf,
  isNoted: boolean,
  now: number,
): Cdr {
  const [first, second] = kind === 'replaced' ? [row, call] : [call, row];
  const record = saidByBoth(first, second, sameRow);
  const settled = settle(record, accountOf(accountOfBoth(first, second)), now, true);
  if (settled.kind === 'rejected') throw new Error(`two tellings make no call: ${settled.rejection.reason}`);
  return {
    ...settled.cdr,
    callId: record.callId || first.callId,
    // The later telling's: the next one is likeliest to say what it says.
    sourceKey: row.sourceKey,
    told: toldBy(first) | toldBy(second) | (isNoted ? SEVERAL_TELLINGS : 0),
    flags: [...new Set(settled.cdr.flags)],
  };
}
