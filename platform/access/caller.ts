/** The caller of a request, in the form that all services use. Each service decides what a scope allows. */
import type { Lane } from '#platform/resilience/ticket.ts';

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

/** The tenant whose share of the database's queue a caller's requests count against. */
export function shareOf({ id, account }: Caller): string {
  return account === null ? id : `account:${account}`;
}

/** The provider's own users and machines do not wait behind its customers. */
export const laneOf = ({ account }: Caller): Lane => (account === null ? 'operator' : 'customer');
