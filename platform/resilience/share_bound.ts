/** How much that lasts (an export, a stream of events) each caller, and all together, may have under way. */

export interface ShareBoundOptions {
  /** Of one share. */
  readonly perShare: number;
  /** Of all; without it there is no such bound. */
  readonly inAll?: number;
}

export type Entry =
  /** @prop leave it is over; only the first call counts */
  | { readonly entered: true; leave(): void }
  /** @prop full `share`: this caller has as many as it may; `all`: everybody together has */
  | { readonly entered: false; readonly full: 'share' | 'all' };

export interface ShareBound {
  enter(share: string): Entry;
  /** Under way now, of all. */
  readonly size: number;
}

export function createShareBound({
  perShare,
  inAll = Number.POSITIVE_INFINITY,
}: ShareBoundOptions): ShareBound {
  /** Only shares that have something under way. */
  const counts = new Map<string, number>();
  let size = 0;

  function leave(share: string): void {
    size--;
    const left = counts.get(share)! - 1;
    if (left === 0) counts.delete(share);
    else counts.set(share, left);
  }

  return {
    enter(share) {
      const count = counts.get(share) ?? 0;
      if (count >= perShare) return { entered: false, full: 'share' };
      if (size >= inAll) return { entered: false, full: 'all' };
      counts.set(share, count + 1);
      size++;
      let left = false;
      return {
        entered: true,
        leave: () => {
          if (left) return;
          left = true;
          leave(share);
        },
      };
    },
    get size() {
      return size;
    },
  };
}
