/**
 * All rules about what a caller may see and do in this service.
 *
 *   scope      reads                                            posts
 *   operator   every account                                    yes
 *   customer   its account and all accounts below it            no
 *   support    every account, numbers masked                    no
 *   ingest     nothing                                          yes
 *
 * An account that was moved is below each of its parents for the time that it was (docs/decisions/0032).
 *
 * For a caller, invisible data does not exist: another customer's account, call or cursor answers 404, like one that never
 * existed.
 */
import type { Caller } from '#platform/access/caller.ts';
import type { Scope } from '#services/identity/contract.ts';

export const READERS = ['operator', 'customer', 'support'] as const satisfies readonly Scope[];
export const WRITERS = ['operator', 'ingest'] as const satisfies readonly Scope[];

/**
 * The account below which all visible data of the caller lies. Null: the caller sees every account.
 * @throws Error for a customer without an account, which can't be created: without a root it would see everything
 */
export function visibleRootOf({ id, scope, account }: Caller): number | null {
  if (scope === 'customer' && account === null) throw new Error(`${id} is a customer without an account`);
  return account;
}

/** Callers with the same view are interchangeable: one may page on with another's cursor. */
export function viewOf(caller: Caller): string {
  return caller.scope === 'customer' ? `customer:${visibleRootOf(caller)}` : caller.scope;
}

/** Whether numbers are masked. */
export const seesMasked = (caller: Caller): boolean => caller.scope === 'support';
