/** A tier's housekeeping for `status`: free space on its disks, the primary's lease, the supervisor. */
import { askOutside, FEW_BYTES } from '#platform/http/outside.ts';
import type { Etcd } from './layout.ts';
import { type NodeSpace, tightest, usedShare } from './space.ts';
import { readState } from './state.ts';
import type { Tier } from './tier.ts';

/** Duration of the lease: `ttl` in infrastructure/patroni/patroni.yml. */
const LEASE_S = 20;
const GIB = 1024 ** 3;

export interface Lease {
  readonly holder: string;
  /** Seconds since the lease was renewed. */
  readonly ageS: number;
}

export interface Keeping {
  readonly disks: readonly NodeSpace[];
  /** null: the lease is free, or etcd does not answer. */
  readonly lease: Lease | null;
  /** Process of the supervisor; null: not known. */
  readonly supervisor: number | null;
}

/** Asks the supervisor and etcd; a part without an answer gives no values. */
export async function keepingOf(tier: Tier, limitMs: number): Promise<Keeping> {
  const [disks, lease, state] = await Promise.all([
    tier.space().catch(() => []),
    Promise.any(tier.layout.etcds.map((etcd) => leaseOf(etcd, limitMs))).catch(() => null),
    readState(tier.layout.folders.data).catch(() => undefined),
  ]);
  return { disks, lease, supervisor: state?.supervisor.pid ?? null };
}

/** Patroni's entry in etcd's first API, which reports the rest of its lifetime. @throws Error where etcd has none */
async function leaseOf({ host, port }: Etcd, limitMs: number): Promise<Lease> {
  const { text } = await askOutside(`http://${host}:${port}/v2/keys/service/trunkline/leader?quorum=true`, {
    limitMs,
    limitBytes: FEW_BYTES,
    longer: 'refuse',
  });
  const { node } = JSON.parse(text) as { node?: { value: string; ttl?: number } };
  if (!node || node.ttl === undefined) throw new Error('the lease is free');
  return { holder: node.value, ageS: Math.max(0, LEASE_S - node.ttl) };
}

/** Two lines, of at most 80 characters with three nodes. */
export function keepingLines({ disks, lease, supervisor }: Keeping): string[] {
  const held = lease
    ? `lease: held by ${lease.holder}, renewed ${lease.ageS} s ago`
    : 'lease: free or not known';
  return [
    `disks (free): ${disks.length === 0 ? 'not known' : disks.map(diskWords).join(', ')}`,
    `${held} · supervisor: ${supervisor === null ? 'not known' : `process ${supervisor}`}`,
  ];
}

const gib = (bytes: number) => (bytes / GIB).toFixed(bytes < 10 * GIB ? 1 : 0);

/** The volume that is full first, where WAL and data have one each: "node1 45 % (12 GiB)". */
function diskWords({ node, volumes, ballast }: NodeSpace): string {
  const volume = tightest(volumes);
  if (!volume) return `${node} not known`;
  const use = `${node} ${Math.round(usedShare(volume) * 100)} % (${gib(volume.freeBytes)} GiB)`;
  return ballast === 'released' ? `${use}, ballast used up` : use;
}
