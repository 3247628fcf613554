/** Identity's words for a caller's rights. A service decides what each of them allows in it. */

/**
 *   operator   the provider's own people: everything
 *   customer   its account and all accounts below it
 *   support    reads everything, with telephone numbers masked
 *   ingest     a switch: writes calls, and reads nothing
 */
export const SCOPES = ['operator', 'customer', 'support', 'ingest'] as const;
export type Scope = (typeof SCOPES)[number];

/** The rights of a bearer token. */
export interface Rights {
  readonly scope: Scope;
  /** Set for scope `customer`, and null for all others. */
  readonly account: number | null;
}

/**
 * Reads the claims `scope` and `i_account` of a token with a valid signature. A token must name exactly one of the scopes.
 * Other words in `scope` belong to other programs.
 * @returns undefined for a token that allows nothing here
 */
export function rightsOfClaims(claims: Readonly<Record<string, unknown>>): Rights | undefined {
  const words = typeof claims.scope === 'string' ? claims.scope.split(' ') : [];
  const scopes = words.filter((word): word is Scope => (SCOPES as readonly string[]).includes(word));
  const [scope] = scopes;
  if (scope === undefined || scopes.length > 1) return undefined;
  if (scope !== 'customer') return { scope, account: null };
  const account = claims.i_account;
  if (!Number.isSafeInteger(account) || (account as number) < 1) return undefined;
  return { scope, account: account as number };
}
