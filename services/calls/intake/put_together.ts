/** Makes one call from two records of it. */
import type { Account } from '../store/account_rows.ts';
import { SEVERAL_TELLINGS } from '../told.ts';
import { type Cdr, normalize } from './normalize.ts';
import type { Decision } from './same_call.ts';
import { accountOfBoth, saidByBoth, type ToldCall, toldBy } from './told_call.ts';

export type ToldMore = Extract<Decision, { kind: 'completed' | 'replaced' }>;
export type AccountOf = (iAccount: number) => Account;

/**
 * The call with the values that a row added or changed.
 * @param isNoted each of the two versions is kept (store/tellings.ts)
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
  const normalized = normalize(record, accountOf(accountOfBoth(first, second)), now, true);
  if (normalized.kind === 'rejected')
    throw new Error(`two tellings make no call: ${normalized.rejection.reason}`);
  return {
    ...normalized.cdr,
    callId: record.callId || first.callId,
    // The later record's key: the next one most likely has the same values.
    sourceKey: row.sourceKey,
    told: toldBy(first) | toldBy(second) | (isNoted ? SEVERAL_TELLINGS : 0),
    flags: [...new Set(normalized.cdr.flags)],
  };
}
