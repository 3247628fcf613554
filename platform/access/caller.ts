/** The caller of a request, in the form that all services use. Each service decides what a scope allows. */
import type { Priority } from '#platform/resilience/request_context.ts';

export interface Caller {
  /** The same for every request with the same key or of the same subject; counts against the rate limit. */
  readonly id: string;
  /** For logs: the key's name, never the key. */
  readonly name: string;
  /** One of the words of services/identity/contract.ts. */
  readonly scope: string;
  /** The topmost account that the caller sees; null: a caller of the provider, who sees all accounts. */
  readonly account: number | null;
}

/** The tenant of a caller: the queue of the database is divided evenly between tenants. */
export function tenantOf({ id, account }: Caller): string {
  return account === null ? id : `account:${account}`;
}

/** The provider's own users and machines do not wait behind its customers. */
export const priorityOf = ({ account }: Caller): Priority => (account === null ? 'operator' : 'customer');
