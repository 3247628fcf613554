/**
 * Who asks, and what they may see. All rules of visibility are here.
 *
 *   scope      reads                                            posts
 *   operator   every account                                    yes
 *   customer   its account and all accounts below it            no
 *   support    every account, numbers masked                    no
 *   ingest     nothing                                          yes
 *
 * What a caller may not see does not exist for it: another customer's account, call or cursor answers 404 as one that
 * was never there.
 */

export const SCOPES = ['operator', 'customer', 'support', 'ingest'] as const;
export type Scope = (typeof SCOPES)[number];

export const READERS = ['operator', 'customer', 'support'] as const satisfies readonly Scope[];
export const WRITERS = ['operator', 'ingest'] as const satisfies readonly Scope[];

export type Caller = CallerName &
  (
    | { readonly scope: 'operator' | 'support' | 'ingest' }
    /** @prop iAccount the account at the top of what it sees */
    | { readonly scope: 'customer'; readonly iAccount: number }
  );

interface CallerName {
  /** The same for every request with the same key or of the same subject; counts against the rate limit. */
  readonly id: string;
  /** For logs: the key's name, never the key. */
  readonly name: string;
}

/** The account below which everything lies that the caller may see; null: no bound. */
export function boundOf(caller: Caller): number | null {
  return caller.scope === 'customer' ? caller.iAccount : null;
}

/** Callers with the same view are interchangeable: one may page on with another's cursor. */
export function viewOf(caller: Caller): string {
  return caller.scope === 'customer' ? `customer:${caller.iAccount}` : caller.scope;
}

/** Whether numbers are masked. */
export const seesMasked = (caller: Caller): boolean => caller.scope === 'support';

/** Whose share of the database's queue its requests count against. */
export function shareOf(caller: Caller): string {
  return caller.scope === 'customer' ? `account:${caller.iAccount}` : caller.id;
}

/** The provider's own people and machines are not to wait behind its customers. */
export const laneOf = (caller: Caller): 'operator' | 'customer' =>
  caller.scope === 'customer' ? 'customer' : 'operator';
