/** How much that lasts (an export, a stream of events) each caller, and all together, may have under way. */

export interface TenantBoundOptions {
  /** Of one tenant. */
  readonly perTenant: number;
  /** Of all; without it there is no such bound. */
  readonly inAll?: number;
}

export type Entry =
  /** @prop leave it is over; only the first call counts */
  | { readonly entered: true; leave(): void }
  /** @prop full `tenant`: this caller has as many as it may; `all`: everybody together has */
  | { readonly entered: false; readonly full: 'tenant' | 'all' };

export interface TenantBound {
  enter(tenant: string): Entry;
  /** Under way now, of all. */
  readonly size: number;
}

export function createTenantBound({
  perTenant,
  inAll = Number.POSITIVE_INFINITY,
}: TenantBoundOptions): TenantBound {
  /** Only tenants that have something under way. */
  const counts = new Map<string, number>();
  let size = 0;

  function leave(tenant: string): void {
    size--;
    const left = counts.get(tenant)! - 1;
    if (left === 0) counts.delete(tenant);
    else counts.set(tenant, left);
  }

  return {
    enter(tenant) {
      const count = counts.get(tenant) ?? 0;
      if (count >= perTenant) return { entered: false, full: 'tenant' };
      if (size >= inAll) return { entered: false, full: 'all' };
      counts.set(tenant, count + 1);
      size++;
      let left = false;
      return {
        entered: true,
        leave: () => {
          if (left) return;
          left = true;
          leave(tenant);
        },
      };
    },
    get size() {
      return size;
    },
  };
}
