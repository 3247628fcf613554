/**
 * The wait queue: who waits, who is next, and who must leave when it is full. One array, searched from end to end: it
 * holds 200 requests at most, and a search of those costs less than a microsecond. No clock, no promises:
 * request_queue.ts adds those.
 *
 * - priority class: operators or customers. While both wait, turns go CUSTOMER_TURNS to customers, then one to operators; either
 *   takes all turns while the other has nobody waiting. Places in a full queue are guaranteed in the same proportion.
 * - tenant: an account within a priority class. Tenants take turns (the ring), one request a turn.
 * - order: within a tenant oldest first, or newest first while the queue stands (`newestFirst`). Then the tenant of the
 *   newest request also has the next turn, but in each round (as many turns as tenants waited when it began) a tenant
 *   that has had its turn goes behind all that have not: newest-first cannot starve an account either.
 * - full: the longest tenant of the priority class gives up the request that it would be served last, if it has at least two more
 *   than the newcomer's tenant; so each tenant keeps its even part of the queue, and two equal tenants cannot push each
 *   other out in turn.
 */
import type { Priority, RequestContext } from './request_context.ts';

/** While both classes wait: this many customers, then one operator. */
export const CUSTOMER_TURNS = 3;

/** A request's place in the queue. */
export interface QueueEntry<Waiter> {
  readonly context: RequestContext;
  /** Monotonic milliseconds. */
  readonly enteredAt: number;
  readonly waiter: Waiter;
}

interface PriorityGroup {
  size: number;
  /** Places that the other class cannot keep from this one. */
  readonly guaranteed: number;
  /** Tenants with a request waiting, and how many each has. */
  readonly sizes: Map<string, number>;
  /** The same tenants; the first has the next turn. */
  ring: string[];
  /** Newest first only: who has had a turn in this round, and how many turns it has left. */
  readonly served: Set<string>;
  left: number;
}

export interface WaitQueue<Waiter> {
  readonly size: number;
  sizeOf(priority: Priority): number;
  readonly isFull: boolean;
  /** Puts a request into the queue; the caller sees to it that the queue is not full. */
  enter(context: RequestContext, enteredAt: number, waiter: Waiter, newestFirst: boolean): QueueEntry<Waiter>;
  /** The entry to remove for a newcomer when the queue is full; undefined when the newcomer itself has to go. */
  pushOutFor(context: RequestContext, newestFirst: boolean): QueueEntry<Waiter> | undefined;
  /** Takes out the request whose turn it is. */
  takeNext(newestFirst: boolean): QueueEntry<Waiter> | undefined;
  /** Takes out a request that leaves before its turn; one that has left already is left alone. */
  leave(entry: QueueEntry<Waiter>): void;
  /** The request that has waited longest. */
  readonly oldest: QueueEntry<Waiter> | undefined;
  /** The request whose deadline comes first. */
  readonly mostUrgent: QueueEntry<Waiter> | undefined;
}

/** @param limit how many may wait at once */
export function createWaitQueue<Waiter>(limit: number): WaitQueue<Waiter> {
  const operatorPlaces = Math.floor(limit / (CUSTOMER_TURNS + 1));
  const groups: Record<Priority, PriorityGroup> = {
    operator: createGroup(operatorPlaces),
    customer: createGroup(limit - operatorPlaces),
  };
  /** All who wait, oldest first. */
  const entries: QueueEntry<Waiter>[] = [];
  /** Customers' turns since the last operator's, up to CUSTOMER_TURNS. */
  let customerTurns = 0;

  function leave(entry: QueueEntry<Waiter>): void {
    const place = entries.indexOf(entry);
    if (place < 0) return;
    entries.splice(place, 1);
    const { tenant } = entry.context;
    const group = groups[entry.context.priority];
    const left = group.sizes.get(tenant)! - 1;
    group.size--;
    if (left > 0) {
      group.sizes.set(tenant, left);
    } else {
      group.sizes.delete(tenant);
      group.ring = group.ring.filter((other) => other !== tenant);
    }
  }

  function nextPriority(): Priority {
    if (groups.operator.size === 0) return 'customer';
    if (groups.customer.size === 0) return 'operator';
    return customerTurns < CUSTOMER_TURNS ? 'customer' : 'operator';
  }

  /** The oldest, or the newest, request of a tenant. */
  function endOf(priority: Priority, tenant: string, newest: boolean): QueueEntry<Waiter> {
    const isIts = ({ context }: QueueEntry<Waiter>) =>
      context.tenant === tenant && context.priority === priority;
    return (newest ? entries.findLast(isIts) : entries.find(isIts))!;
  }

  return {
    get size() {
      return entries.length;
    },
    sizeOf: (priority) => groups[priority].size,
    get isFull() {
      return entries.length >= limit;
    },
    enter(context, enteredAt, waiter, newestFirst) {
      const { tenant } = context;
      const group = groups[context.priority];
      const size = group.sizes.get(tenant) ?? 0;
      if (newestFirst && !group.served.has(tenant)) {
        group.ring = [tenant, ...group.ring.filter((other) => other !== tenant)];
      } else if (size === 0) {
        group.ring.push(tenant);
      }
      group.sizes.set(tenant, size + 1);
      group.size++;
      const entry = { context, enteredAt, waiter };
      entries.push(entry);
      return entry;
    },
    pushOutFor(context, newestFirst) {
      const own = groups[context.priority];
      const isShort = own.size < own.guaranteed;
      const from = isShort ? (context.priority === 'operator' ? 'customer' : 'operator') : context.priority;
      const [tenant, size] = longestTenant(groups[from].sizes);
      if (!isShort && size < (own.sizes.get(context.tenant) ?? 0) + 2) return undefined;
      return endOf(from, tenant, !newestFirst);
    },
    takeNext(newestFirst) {
      const name = nextPriority();
      const group = groups[name];
      const tenant = group.ring[0];
      if (tenant === undefined) return undefined;
      const entry = endOf(name, tenant, newestFirst);
      customerTurns = name === 'operator' ? 0 : Math.min(customerTurns + 1, CUSTOMER_TURNS);
      countTurn(group, tenant, newestFirst);
      group.ring = [...group.ring.slice(1), tenant];
      leave(entry);
      return entry;
    },
    leave,
    get oldest() {
      return entries[0];
    },
    get mostUrgent() {
      let first = entries[0];
      for (const entry of entries) if (entry.context.deadline < first!.context.deadline) first = entry;
      return first;
    },
  };
}

function createGroup(guaranteed: number): PriorityGroup {
  return { size: 0, guaranteed, sizes: new Map(), ring: [], served: new Set(), left: 0 };
}

function longestTenant(sizes: ReadonlyMap<string, number>): readonly [string, number] {
  let longest: readonly [string, number] = ['', 0];
  for (const tenant of sizes) if (tenant[1] > longest[1]) longest = tenant;
  return longest;
}

/** Rounds matter only while newest goes first; before its turn is taken the tenant is still in the ring. */
function countTurn(group: PriorityGroup, tenant: string, newestFirst: boolean): void {
  if (!newestFirst || group.left === 0) {
    group.served.clear();
    group.left = newestFirst ? group.ring.length : 0;
  }
  if (!newestFirst) return;
  group.left--;
  group.served.add(tenant);
}
