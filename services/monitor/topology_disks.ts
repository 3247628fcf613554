/** The disks in the topology: each with its use; disks without a reader are UNKNOWN. */
import type { DiskReading } from './disk_reader.ts';
import { NEARLY_FULL } from './disk_rules.ts';
import { labelKey } from './samples.ts';
import type { Seen } from './topology_parts.ts';

const GIB = 1024 ** 3;

/**
 * @param fullInS seconds until a disk is full, by the key of its labels `instance` and `mountpoint`
 * @param nodes names of the nodes of PostgreSQL in the topology
 */
export function diskParts(
  readings: readonly DiskReading[],
  fullInS: ReadonlyMap<string, number>,
  nodes: readonly string[],
): Seen[] {
  const told = new Set(readings.map(({ node }) => node));
  return [
    ...readings.flatMap((reading) => partsOf(reading, fullInS)),
    ...nodes
      .filter((node) => !told.has(node))
      .map((node) => unknown(node, 'its use is unknown: no reader is set (DATABASE_DISKS)')),
  ];
}

function partsOf({ node, disks, fault }: DiskReading, fullInS: ReadonlyMap<string, number>): Seen[] {
  if (disks.length === 0) return [unknown(node, `its use is unknown: ${fault}`)];
  return disks.map(({ mountpoint, sizeBytes, availableBytes }): Seen => {
    const id = disks.length === 1 ? `disk/${node}` : `disk/${node}${mountpoint}`;
    if (Number.isNaN(availableBytes)) return { ...unknown(node, `${mountpoint}: ${fault}`), id };
    const use = 1 - availableBytes / sizeBytes;
    const seconds = fullInS.get(labelKey({ instance: node, mountpoint })) ?? 0;
    const forecast = seconds > 0 && Number.isFinite(seconds) ? `, full in ${inWords(seconds)}` : '';
    return {
      id,
      name: node,
      role: 'disk',
      state: use < NEARLY_FULL ? 'UP' : 'NOT_READY',
      connections: null,
      detail: `${(use * 100).toFixed(0)} % of ${mountpoint} used, ${(availableBytes / GIB).toFixed(1)} GiB free${forecast}`,
    };
  });
}

const unknown = (node: string, detail: string): Seen => {
  return { id: `disk/${node}`, name: node, role: 'disk', state: 'UNKNOWN', connections: null, detail };
};

const LONGEST_DAYS = 100;

function inWords(seconds: number): string {
  const hours = seconds / 3_600;
  const rate = 'at the rate of the last hour';
  if (hours < 2) return `${Math.round(seconds / 60)} min ${rate}`;
  if (hours < 48) return `${Math.round(hours)} h ${rate}`;
  return hours / 24 < LONGEST_DAYS
    ? `${Math.round(hours / 24)} days ${rate}`
    : `more than ${LONGEST_DAYS} days`;
}
