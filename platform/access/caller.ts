/** Who asks, as every service knows it. What a scope allows is each service's own rule. */
import type { Lane } from '#platform/resilience/ticket.ts';

export interface Caller {
  /** The same for every request with the same key or of the same subject; counts against the rate limit. */
  readonly id: string;
  /** For logs: the key's name, never the key. */
  readonly name: string;
  /** One of the words of services/identity/contract.ts. */
  readonly scope: string;
  /** The account at the top of what the caller sees; null: a caller of the provider, which no account bounds. */
  readonly account: number | null;
}

/** The tenant whose share of the database's queue a caller's requests count against. */
export function shareOf({ id, account }: Caller): string {
  return account === null ? id : `account:${account}`;
}

/** The provider's own people and machines do not wait behind its customers. */
export const laneOf = ({ account }: Caller): Lane => (account === null ? 'operator' : 'customer');
