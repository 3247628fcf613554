/**
 * Identity's words for a caller's rights.
 *
 *   role   what a person is: for the provider, or in one organization
 *   scope  what a token or a key carries. A service's route names the scopes that may use it
 *
 * A person has one role for the provider, or one in each organization that the person belongs to. The token of a person is made for
 * one of these roles; SCOPE_OF_ROLE says which scope it carries. Machines have no role: their key or token has a scope of its own.
 * What a role or a scope allows is in rights.ts.
 */

/**
 * Scopes of keys, and of tokens of an identity provider:
 *
 *   operator   the provider's own people: everything
 *   customer   its account and all accounts below it
 *   support    reads everything, with telephone numbers masked
 *   ingest     a switch: writes calls, and reads nothing
 */
export const SCOPES = ['operator', 'customer', 'support', 'ingest'] as const;
export type Scope = (typeof SCOPES)[number];

/**
 * Scopes of machines. No key has `notify` yet: no route names it.
 *
 *   notify     another program: sends messages to people, and reads nothing
 */
export const MACHINE_SCOPES = [...SCOPES, 'notify'] as const;
export type MachineScope = (typeof MACHINE_SCOPES)[number];

/**
 * Roles of the provider's people. They belong to no organization.
 *
 *   operator   everything
 *   support    reads all organizations, numbers masked
 */
export const PROVIDER_ROLES = ['operator', 'support'] as const;
export type ProviderRole = (typeof PROVIDER_ROLES)[number];

/**
 * Roles in an organization.
 *
 *   owner       all of the organization and those below it, people and keys included
 *   billing     spend, orders, invoices, exports; numbers of calls masked
 *   technician  calls, own keys, webhooks; no cost
 *   reader      calls and consumption; writes nothing
 */
export const ORGANIZATION_ROLES = ['owner', 'billing', 'technician', 'reader'] as const;
export type OrganizationRole = (typeof ORGANIZATION_ROLES)[number];

export type Role = ProviderRole | OrganizationRole;

/**
 * The scope that a person's token carries. An owner's token is a customer's, bounded by the account of the organization. The narrower
 * roles have scopes of their own, so that a route which does not name them refuses them.
 */
export const SCOPE_OF_ROLE = {
  operator: 'operator',
  support: 'support',
  owner: 'customer',
  billing: 'billing',
  technician: 'technician',
  reader: 'reader',
} as const satisfies Record<Role, string>;

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
