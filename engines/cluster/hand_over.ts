/**
 * Whether a primary with a full disk hands over, and to which replica. A replica with hardly more space would soon be full,
 * too, and the primary's role would go back and forth. Without a better replica the primary stays: it still answers reads.
 */
import { ROOM_FOR_BALLAST_BYTES } from '#engines/ballast.ts';
import { isWell, type Member } from './patroni.ts';
import { type NodeSpace, tightest, type Volume } from './space.ts';

/** Less free space than this is full: two segments of WAL, since PostgreSQL must be able to make the next one. */
export const FULL_BYTES = 32 * 1024 * 1024;
/** A replica must have more free space than the primary by both. */
const MORE_SHARE = 0.1;
const MORE_BYTES = 1024 * 1024 * 1024;
/** Equals maximum_lag_on_failover in infrastructure/patroni/patroni.yml: Patroni promotes no replica with a greater lag. */
export const CAUGHT_UP_BYTES = 1_048_576;

export type HandOver = { readonly to: string } | { readonly stays: string };

/** The volume that makes a node full. A node that used its ballast counts as full until there is space for a new ballast. */
export function fullVolume({ volumes, ballast }: NodeSpace): Volume | undefined {
  const least = tightest(volumes);
  const limit = ballast === 'released' ? ROOM_FOR_BALLAST_BYTES : FULL_BYTES;
  return least && least.freeBytes < limit ? least : undefined;
}

/**
 * @param primary a node that is full
 * @param found the members as Patroni sees them
 * @param synchronous then only the replica that confirms commits may take over
 */
export function handOverOf(
  primary: NodeSpace,
  nodes: readonly NodeSpace[],
  found: readonly Member[],
  synchronous: boolean,
): HandOver {
  const own = tightest(primary.volumes);
  if (!own) return { stays: `the free space of ${primary.node} is not known` };
  const faults: string[] = [];
  const fit = nodes.filter((node) => {
    if (node.node === primary.node) return false;
    const fault = faultOf(own, node, found, synchronous);
    if (fault !== undefined) faults.push(`${node.node} ${fault}`);
    return fault === undefined;
  });
  const best = fit.toSorted((a, b) => tightest(b.volumes)!.freeBytes - tightest(a.volumes)!.freeBytes)[0];
  return best ? { to: best.node } : { stays: faults.join(', ') || 'there is no other node' };
}

/** The reason why a node is no better primary. */
function faultOf(
  own: Volume,
  { node, volumes }: NodeSpace,
  found: readonly Member[],
  synchronous: boolean,
): string | undefined {
  const leader = found.find(({ role }) => role === 'leader');
  const member = found.find(({ name }) => name === node);
  if (!member || member.role === 'leader' || !isWell(member)) return 'is no healthy replica';
  if (synchronous && member.role !== 'sync_standby') return 'does not confirm commits';
  if (typeof member.lag !== 'number' || member.lag > CAUGHT_UP_BYTES) return 'has not caught up';
  if (leader?.timeline !== undefined && member.timeline !== leader.timeline) return 'has not caught up';
  const room = tightest(volumes);
  if (!room) return 'has an unknown amount of free space';
  const moreBytes = room.freeBytes - own.freeBytes;
  const moreShare = room.freeBytes / room.sizeBytes - own.freeBytes / own.sizeBytes;
  return moreBytes >= MORE_BYTES && moreShare >= MORE_SHARE
    ? undefined
    : 'does not have 10 % and 1 GiB more free space than the primary';
}
