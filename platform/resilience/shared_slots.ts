/**
 * The slots of one server (its connections), for the queues of several services. A statement that runs can't be taken its slot
 * away, so what is lent to one service must leave room for the others before they come:
 *
 * - half: while another service has work, or had some within USED_LATELY_MS, a service is lent no slot beyond half of them,
 *   rounded up. Those that it has beyond that, from before, are not lent to it again.
 * - last: the last free slot is lent only to a service that holds none, as long as there is another one that holds none.
 * - turn: a slot that comes free is offered to the service first that holds the fewest; of these, to the one that has been lent
 *   none for longest.
 *
 * A service that has the server to itself may hold all slots; one whose neighbours rest, all but one.
 */
import type { Clock } from '#platform/lifecycle/clock.ts';
import type { Breaker, Gate } from './circuit_breaker.ts';

/** For so long after its last work a service's half is kept for it: longer than a busy service pauses between two requests. */
export const USED_LATELY_MS = 1_000;

/** A service's queue as the slots know it. */
export interface SlotUser {
  /** Requests that wait. */
  waiting(): number;
  /** Before which a request also waits; left out: nothing else holds it back. */
  readonly breaker?: Breaker;
}

/** What a queue asks for each request: passed where the breaker lets it and a slot is free for its service. */
export interface SharedGate extends Gate {
  /** The service wants no more slots. */
  leave(): void;
}

export interface SharedSlots {
  readonly size: number;
  join(user: SlotUser): SharedGate;
}

interface Member {
  readonly user: SlotUser;
  /** Tells its queue that it may go on, perhaps. */
  onFree: () => void;
  held: number;
  /** Monotonic milliseconds, as the next. */
  lentAt: number;
  usedAt: number;
}

/** @param size how many slots there are */
export function createSharedSlots(size: number, clock: Clock): SharedSlots {
  const half = Math.ceil(size / 2);
  const members = new Set<Member>();
  let free = size;
  let cancelTimer: (() => void) | undefined;

  const isHeldBack = ({ breaker }: SlotUser) => breaker !== undefined && !breaker.admits;
  const hasWork = ({ user, held, usedAt }: Member) =>
    held > 0 || clock.monotonic() - usedAt < USED_LATELY_MS || (user.waiting() > 0 && !isHeldBack(user));

  function mayTake(member: Member): boolean {
    if (free === 0 || member.held === 0) return free > 0;
    for (const other of members) {
      if (other === member) continue;
      if (free === 1 && other.held === 0) return false;
      if (member.held >= half && hasWork(other)) return false;
    }
    return true;
  }

  /** Offers free slots to all, in turn. */
  function offer(): void {
    const inTurn = [...members].sort((one, other) => one.held - other.held || one.lentAt - other.lentAt);
    for (const { onFree } of inTurn) if (free > 0) onFree();
  }

  /** Nothing else tells a service that waits of the moment from which its neighbours count as resting. */
  function offerLater(): void {
    cancelTimer ??= clock.after(USED_LATELY_MS, () => {
      cancelTimer = undefined;
      offer();
    });
  }

  function take(member: Member): () => void {
    free--;
    member.held++;
    member.lentAt = clock.monotonic();
    return () => {
      free++;
      member.held--;
      member.usedAt = clock.monotonic();
      offer();
    };
  }

  return {
    size,
    join(user) {
      const { breaker } = user;
      const member: Member = { user, onFree: () => {}, held: 0, lentAt: 0, usedAt: Number.NEGATIVE_INFINITY };
      members.add(member);
      return {
        get blocked() {
          return breaker?.blocked ?? false;
        },
        tryPass() {
          if (isHeldBack(user)) return undefined;
          if (!mayTake(member)) {
            if (free > 0) offerLater();
            return undefined;
          }
          const giveBack = take(member);
          const pass = breaker?.tryPass();
          return {
            probe: pass?.probe ?? false,
            report(outcome, cause) {
              pass?.report(outcome, cause);
              giveBack();
            },
          };
        },
        onChange(listener) {
          member.onFree = listener;
          const stop = breaker?.onChange(listener);
          return () => {
            member.onFree = () => {};
            stop?.();
          };
        },
        leave() {
          members.delete(member);
          if (members.size === 0) cancelTimer?.();
          else offer();
        },
      };
    },
  };
}
