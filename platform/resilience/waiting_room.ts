/**
 * The waiting room: who waits, who is next, and who must leave when it is full. Constant time for each, except the
 * heap of deadlines (O(log n)). No clock, no promises: request_queue.ts adds those.
 *
 * - lane: operators or customers. While both wait, turns go CUSTOMER_TURNS to customers, then one to operators; either
 *   takes all turns while the other has nobody waiting. Places in a full room are guaranteed in the same proportion.
 * - share: an account within a lane. Shares take turns (the ring), one request a turn.
 * - order: within a share oldest first, or newest first while the queue stands (`newestFirst`). Then the share of the
 *   newest request also has the next turn, but in each round (as many turns as shares waited when it began) a share
 *   that has had its turn goes behind all that have not: newest-first cannot starve an account either.
 * - full: the longest share of the lane gives up the request that it would be served last, if it has at least two more
 *   than the newcomer's share; so each share keeps its even part of the room, and two equal shares cannot push each
 *   other out in turns.
 */
import {
  addDeadline,
  type DeadlineHeap,
  earliest,
  type HasDeadline,
  removeDeadline,
} from './deadline_heap.ts';
import { addFirst, addLast, createLinkedList, type Link, type LinkedList, takeOut } from './linked_list.ts';
import type { Lane, Ticket } from './ticket.ts';

/** While both lanes wait: this many customers, then one operator. */
export const CUSTOMER_TURNS = 3;

/** A request's place in the room. */
export interface Seat<Waiter> extends HasDeadline {
  readonly ticket: Ticket;
  /** Monotonic milliseconds. */
  readonly enteredAt: number;
  readonly waiter: Waiter;
  readonly share: Share<Waiter>;
  inShare: Link<Seat<Waiter>> | undefined;
  inArrivals: Link<Seat<Waiter>> | undefined;
}

interface Share<Waiter> {
  readonly name: string;
  readonly lane: LaneState<Waiter>;
  /** Its requests, oldest first; never empty while the share is in the ring. */
  readonly seats: LinkedList<Seat<Waiter>>;
  inRing: Link<Share<Waiter>> | undefined;
}

interface LaneState<Waiter> {
  /** Places that the other lane cannot keep from this one. */
  readonly guaranteed: number;
  size: number;
  /** Only shares with a request waiting, so never more than places. */
  readonly shares: Map<string, Share<Waiter>>;
  /** The first has the next turn. */
  readonly ring: LinkedList<Share<Waiter>>;
  /** Shares by how many of their requests wait. */
  readonly bySize: Set<Share<Waiter>>[];
  longest: number;
  /** Newest first only: who has had a turn in this round, and how many turns it has left. */
  readonly served: Set<string>;
  turnsLeft: number;
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
  const lanes: Record<Lane, LaneState<Waiter>> = {
    operator: createLane(operatorPlaces),
    customer: createLane(limit - operatorPlaces),
  };
  const arrivals = createLinkedList<Seat<Waiter>>();
  const deadlines: DeadlineHeap<Seat<Waiter>> = [];
  /** Customers' turns since the last operator's, up to CUSTOMER_TURNS. */
  let customerTurns = 0;

  function leave(seat: Seat<Waiter>): void {
    if (!seat.inShare || !seat.inArrivals) return;
    takeOut(arrivals, seat.inArrivals);
    removeDeadline(deadlines, seat);
    leaveShare(seat, seat.inShare);
    seat.inShare = undefined;
    seat.inArrivals = undefined;
  }

  function nextLane(): Lane {
    if (lanes.operator.size === 0) return 'customer';
    if (lanes.customer.size === 0) return 'operator';
    return customerTurns < CUSTOMER_TURNS ? 'customer' : 'operator';
  }

  return {
    get size() {
      return arrivals.size;
    },
    sizeOf: (lane) => lanes[lane].size,
    get isFull() {
      return arrivals.size >= limit;
    },
    enter(ticket, enteredAt, waiter, newestFirst) {
      const share = shareFor(lanes[ticket.lane], ticket.share, newestFirst);
      const seat: Seat<Waiter> = {
        ticket,
        enteredAt,
        waiter,
        share,
        deadline: ticket.deadline,
        place: undefined,
        inShare: undefined,
        inArrivals: undefined,
      };
      seat.inArrivals = addLast(arrivals, seat);
      addDeadline(deadlines, seat);
      enterShare(seat);
      return seat;
    },
    pushOutFor(ticket, newestFirst) {
      const own = lanes[ticket.lane];
      const other = lanes[ticket.lane === 'operator' ? 'customer' : 'operator'];
      if (own.size < own.guaranteed) return servedLast(other, newestFirst);
      const ownSize = own.shares.get(ticket.share)?.seats.size ?? 0;
      return own.longest >= ownSize + 2 ? servedLast(own, newestFirst) : undefined;
    },
    takeNext(newestFirst) {
      const name = nextLane();
      const lane = lanes[name];
      const share = lane.ring.first?.value;
      const seat = newestFirst ? share?.seats.last?.value : share?.seats.first?.value;
      if (!share || !seat) return undefined;
      customerTurns = name === 'operator' ? 0 : Math.min(customerTurns + 1, CUSTOMER_TURNS);
      countTurn(lane, share, newestFirst);
      leave(seat);
      if (share.inRing) moveToLast(lane.ring, share, share.inRing);
      return seat;
    },
    leave,
    get oldest() {
      return arrivals.first?.value;
    },
    get mostUrgent() {
      return earliest(deadlines);
    },
  };
}

function createLane<Waiter>(guaranteed: number): LaneState<Waiter> {
  return {
    guaranteed,
    size: 0,
    shares: new Map(),
    ring: createLinkedList(),
    bySize: [],
    longest: 0,
    served: new Set(),
    turnsLeft: 0,
  };
}

/** The share of that name with its place in the ring: behind the others, or in front while newest goes first. */
function shareFor<Waiter>(lane: LaneState<Waiter>, name: string, newestFirst: boolean): Share<Waiter> {
  const toFront = newestFirst && !lane.served.has(name);
  let share = lane.shares.get(name);
  if (!share) {
    share = { name, lane, seats: createLinkedList(), inRing: undefined };
    lane.shares.set(name, share);
    share.inRing = toFront ? addFirst(lane.ring, share) : addLast(lane.ring, share);
  } else if (toFront && share.inRing) {
    takeOut(lane.ring, share.inRing);
    share.inRing = addFirst(lane.ring, share);
  }
  return share;
}

function enterShare<Waiter>(seat: Seat<Waiter>): void {
  const { share } = seat;
  const { lane, seats } = share;
  lane.bySize[seats.size]?.delete(share);
  seat.inShare = addLast(seats, seat);
  fileBySize(lane, share);
  lane.longest = Math.max(lane.longest, seats.size);
  lane.size++;
}

function leaveShare<Waiter>(seat: Seat<Waiter>, link: Link<Seat<Waiter>>): void {
  const { share } = seat;
  const { lane, seats } = share;
  lane.bySize[seats.size]?.delete(share);
  takeOut(seats, link);
  lane.size--;
  if (seats.size > 0) {
    fileBySize(lane, share);
  } else {
    lane.shares.delete(share.name);
    if (share.inRing) takeOut(lane.ring, share.inRing);
    share.inRing = undefined;
  }
  // One request left, so the longest can have become shorter by one only.
  if (!lane.bySize[lane.longest]?.size) lane.longest = Math.max(0, lane.longest - 1);
}

function fileBySize<Waiter>(lane: LaneState<Waiter>, share: Share<Waiter>): void {
  const size = share.seats.size;
  lane.bySize[size] ??= new Set();
  lane.bySize[size].add(share);
}

/** Of a longest share, the request that would be served last. */
function servedLast<Waiter>(lane: LaneState<Waiter>, newestFirst: boolean): Seat<Waiter> | undefined {
  for (const share of lane.bySize[lane.longest] ?? []) {
    return newestFirst ? share.seats.first?.value : share.seats.last?.value;
  }
  return undefined;
}

/** Rounds matter only while newest goes first; before its turn is taken the share is still in the ring. */
function countTurn<Waiter>(lane: LaneState<Waiter>, share: Share<Waiter>, newestFirst: boolean): void {
  if (!newestFirst) {
    lane.served.clear();
    lane.turnsLeft = 0;
    return;
  }
  if (lane.turnsLeft === 0) {
    lane.served.clear();
    lane.turnsLeft = lane.ring.size;
  }
  lane.turnsLeft--;
  lane.served.add(share.name);
}

function moveToLast<Waiter>(
  ring: LinkedList<Share<Waiter>>,
  share: Share<Waiter>,
  link: Link<Share<Waiter>>,
): void {
  takeOut(ring, link);
  share.inRing = addLast(ring, share);
}
