/** The supervisor of a local tier's disks, with the real Patroni, bouncers and processes. */
import type { Clock } from '#platform/lifecycle/clock.ts';
import { handOver } from './maintenance.ts';
import { configurationOf, members, switchover } from './patroni.ts';
import { postmasterOf } from './processes.ts';
import { waitFor } from './readiness.ts';
import { dropAbandoned } from './small_disk.ts';
import { volumesOf } from './space.ts';
import { type SpaceSupervisor, superviseSpace } from './space_supervisor.ts';
import type { PartEvent, Supervisor } from './supervisor.ts';
import type { Tier } from './tier.ts';

/** Time limit for another node to take a lease that is free or has run out. */
const TAKEN_LIMIT_MS = 40_000;

/** Watches until the signal. */
export function watchSpace(
  tier: Tier,
  supervisor: Supervisor,
  clock: Clock,
  stopping: AbortSignal,
  report: ((event: PartEvent) => void) | undefined,
): SpaceSupervisor {
  const { nodes } = tier.layout;
  return superviseSpace(
    {
      nodes,
      clock,
      volumesOf: async (node) => {
        await dropAbandoned(node);
        return volumesOf(node);
      },
      members: () => members(nodes),
      isSynchronous: async () => (await configurationOf(nodes)).synchronous_mode === true,
      isOwn: (node) => {
        const part = supervisor.parts().get(node);
        return part?.process !== undefined && !part.held;
      },
      runs: ({ folder }) => postmasterOf(folder) !== undefined,
      handOver: (from, to) => handOverFull(tier, from, to),
      giveUpLease: (node) => giveUpLease(tier, supervisor, node),
      report: (part, what, detail) => report?.({ part, what, detail }),
    },
    stopping,
  );
}

/** Holds the clients, so that none of them fails, or takes the space that the old primary needs to stop normally. */
async function handOverFull(tier: Tier, from: string, to: string): Promise<void> {
  try {
    await handOver(tier, to, () => undefined);
  } catch (error) {
    const now = (await members(tier.layout.nodes))?.find(({ role }) => role === 'leader')?.name;
    if (now === to) return;
    // Clients that can't be held, because of a transaction that does not end, are no reason to stay on a full disk.
    if (now === from) await switchover(tier.layout.nodes, tier.secrets, from, to);
    else throw error;
  }
}

/** Patroni ends, frees the lease, and is started again once another node has the lease. */
async function giveUpLease({ layout }: Tier, supervisor: Supervisor, node: string): Promise<void> {
  await supervisor.end(node);
  try {
    await waitFor(TAKEN_LIMIT_MS, async () => {
      const leader = (await members(layout.nodes))?.find(({ role }) => role === 'leader')?.name;
      return leader !== undefined && leader !== node ? undefined : `no node has taken over from ${node}`;
    });
  } finally {
    supervisor.release(node);
  }
}
