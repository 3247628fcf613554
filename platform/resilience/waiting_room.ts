/**
 * The waiting room: who waits, who is next, and who must leave when it is full. One array, searched from end to end: it
 * holds 200 requests at most, and a search of those costs less than a microsecond. No clock, no promises:
 * request_queue.ts adds those.
 *
 * - lane: operators or customers. While both wait, turns go CUSTOMER_TURNS to customers, then one to operators; either
 *   takes all turns while the other has nobody waiting. Places in a full room are guaranteed in the same proportion.
 * - share: an account within a lane. Shares take turns (the ring), one request a turn.
 * - order: within a share oldest first, or newest first while the queue stands (`newestFirst`). Then the share of the
 *   newest request also has the next turn, but in each round (as many turns as shares waited when it began) a share
 *   that has had its turn goes behind all that have not: newest-first cannot starve an account either.
 * - full: the longest share of the lane gives up the request that it would be served last, if it has at least two more
 *   than the newcomer's share; so each share keeps its even part of the room, and two equal shares cannot push each
 *   other out in lane.
 */
import type { Lane, Ticket } from './ticket.ts';

/** While both lanes wait: this many customers, then one operator. */
export const CUSTOMER_TURNS = 3;

/** A request's place in the room. */
export interface Seat<Waiter> {
  readonly ticket: Ticket;
  /** Monotonic milliseconds. */
  readonly enteredAt: number;
  readonly waiter: Waiter;
}

interface LaneState {
  size: number;
  /** Places that the other lane cannot keep from this one. */
  readonly guaranteed: number;
  /** Shares with a request waiting, and how many each has. */
  readonly sizes: Map<string, number>;
  /** The same shares; the first has the next turn. */
  ring: string[];
  /** Newest first only: who has had a turn in this round, and how many turns it has left. */
  readonly served: Set<string>;
  left: number;
}

export interface WaitingRoom<Waiter> {
  readonly size: number;
  sizeOf(lane: Lane): number;
  readonly isFull: boolean;
  /** Seats a request; the caller sees to it that the room is not full. */
  enter(ticket: Ticket, enteredAt: number, waiter: Waiter, newestFirst: boolean): Seat<Waiter>;
  /** The seat to clear for a newcomer when the room is full; undefined when the newcomer itself has to go. */
  pushOutFor(ticket: Ticket, newestFirst: boolean): Seat<Waiter> | undefined;
  /** Takes out the request whose turn it is. */
  takeNext(newestFirst: boolean): Seat<Waiter> | undefined;
  /** Takes out a request that leaves before its turn; one that has left already is left alone. */
  leave(seat: Seat<Waiter>): void;
  /** The request that has waited longest. */
  readonly oldest: Seat<Waiter> | undefined;
  /** The request whose deadline comes first. */
  readonly mostUrgent: Seat<Waiter> | undefined;
}

/** @param limit how many may wait at once */
export function createWaitingRoom<Waiter>(limit: number): WaitingRoom<Waiter> {
  const operatorPlaces = Math.floor(limit / (CUSTOMER_TURNS + 1));
  const lanes: Record<Lane, LaneState> = {
    operator: createLane(operatorPlaces),
    customer: createLane(limit - operatorPlaces),
  };
  /** All who wait, oldest first. */
  const seats: Seat<Waiter>[] = [];
  /** Customers' turns since the last operator's, up to CUSTOMER_TURNS. */
  let customerTurns = 0;

  function leave(seat: Seat<Waiter>): void {
    const place = seats.indexOf(seat);
    if (place < 0) return;
    seats.splice(place, 1);
    const { share } = seat.ticket;
    const lane = lanes[seat.ticket.lane];
    const left = lane.sizes.get(share)! - 1;
    lane.size--;
    if (left > 0) {
      lane.sizes.set(share, left);
    } else {
      lane.sizes.delete(share);
      lane.ring = lane.ring.filter((other) => other !== share);
    }
  }

  function nextLane(): Lane {
    if (lanes.operator.size === 0) return 'customer';
    if (lanes.customer.size === 0) return 'operator';
    return customerTurns < CUSTOMER_TURNS ? 'customer' : 'operator';
  }

  /** The oldest, or the newest, request of a share. */
  function endOf(lane: Lane, share: string, newest: boolean): Seat<Waiter> {
    const isIts = ({ ticket }: Seat<Waiter>) => ticket.share === share && ticket.lane === lane;
    return (newest ? seats.findLast(isIts) : seats.find(isIts))!;
  }

  return {
    get size() {
      return seats.length;
    },
    sizeOf: (lane) => lanes[lane].size,
    get isFull() {
      return seats.length >= limit;
    },
    enter(ticket, enteredAt, waiter, newestFirst) {
      const { share } = ticket;
      const lane = lanes[ticket.lane];
      const size = lane.sizes.get(share) ?? 0;
      if (newestFirst && !lane.served.has(share)) {
        lane.ring = [share, ...lane.ring.filter((other) => other !== share)];
      } else if (size === 0) {
        lane.ring.push(share);
      }
      lane.sizes.set(share, size + 1);
      lane.size++;
      const seat = { ticket, enteredAt, waiter };
      seats.push(seat);
      return seat;
    },
    pushOutFor(ticket, newestFirst) {
      const own = lanes[ticket.lane];
      const isShort = own.size < own.guaranteed;
      const from = isShort ? (ticket.lane === 'operator' ? 'customer' : 'operator') : ticket.lane;
      const [share, size] = longestShare(lanes[from].sizes);
      if (!isShort && size < (own.sizes.get(ticket.share) ?? 0) + 2) return undefined;
      return endOf(from, share, !newestFirst);
    },
    takeNext(newestFirst) {
      const name = nextLane();
      const lane = lanes[name];
      const share = lane.ring[0];
      if (share === undefined) return undefined;
      const seat = endOf(name, share, newestFirst);
      customerTurns = name === 'operator' ? 0 : Math.min(customerTurns + 1, CUSTOMER_TURNS);
      countTurn(lane, share, newestFirst);
      lane.ring = [...lane.ring.slice(1), share];
      leave(seat);
      return seat;
    },
    leave,
    get oldest() {
      return seats[0];
    },
    get mostUrgent() {
      let first = seats[0];
      for (const seat of seats) if (seat.ticket.deadline < first!.ticket.deadline) first = seat;
      return first;
    },
  };
}

function createLane(guaranteed: number): LaneState {
  return { size: 0, guaranteed, sizes: new Map(), ring: [], served: new Set(), left: 0 };
}

function longestShare(sizes: ReadonlyMap<string, number>): readonly [string, number] {
  let longest: readonly [string, number] = ['', 0];
  for (const share of sizes) if (share[1] > longest[1]) longest = share;
  return longest;
}

/** Rounds matter only while newest goes first; before its turn is taken the share is still in the ring. */
function countTurn(lane: LaneState, share: string, newestFirst: boolean): void {
  if (!newestFirst || lane.left === 0) {
    lane.served.clear();
    lane.left = newestFirst ? lane.ring.length : 0;
  }
  if (!newestFirst) return;
  lane.left--;
  lane.served.add(share);
}
