/** etcd, the supervisor and the lease in the topology. */
import { KEEPER_INTERVAL_MS, type KeeperReading, LEASE_OLD_S, type LeaseReading } from './keepers.ts';
import type { Edge, PartState, Seen } from './topology_parts.ts';

/** Two requests in a row without an answer. */
const DOWN_AFTER_S = (2 * KEEPER_INTERVAL_MS) / 1_000;

export function keeperParts(readings: readonly KeeperReading[], lease: LeaseReading | undefined): Seen[] {
  return [
    ...readings.map(
      ({ name, kind, silentS, fault }): Seen => ({
        id: name,
        name,
        role: kind,
        state: Number.isNaN(silentS) ? 'UNKNOWN' : silentS > DOWN_AFTER_S ? 'DOWN' : 'UP',
        connections: null,
        detail: fault,
      }),
    ),
    ...(lease ? [leasePart(lease)] : []),
  ];
}

function leasePart({ holder, ageS }: LeaseReading): Seen {
  const isKnown = !Number.isNaN(ageS);
  const state: PartState = !isKnown ? 'UNKNOWN' : ageS > LEASE_OLD_S ? 'DOWN' : 'UP';
  const detail = isKnown ? `held by ${holder}, renewed ${Math.round(ageS)} s ago` : 'not seen yet';
  return { id: 'lease', name: 'lease', role: 'lease', state, connections: null, detail };
}

/** Edges from the monitor to the keepers that it asks. */
export const keeperEdges = (readings: readonly KeeperReading[]): Edge[] =>
  readings.map(({ name }) => ({
    ...{ from: 'monitor', to: name, via: 'health' },
    ...{ rate_per_s: null, errors_per_s: null, connections: null },
  }));
