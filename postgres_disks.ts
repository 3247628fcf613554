/** The disks of PostgreSQL: their usage for the monitor, and whether an import of files may go on. */
import { join } from 'node:path';
import { type Volume, volumesOf } from '#engines/cluster/space.ts';
import type { Tier } from '#engines/cluster/tier.ts';
import { hasCluster, postgresFolder } from '#engines/postgres.ts';
import { primaryVolumes } from '#engines/primary_volumes.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { within } from '#platform/lifecycle/within.ts';
import { createRoom, type PrimaryDisk, type Room } from '#services/calls/intake/room.ts';
import {
  DISK_TIMEOUT_MS,
  type Disk,
  type DiskSource,
  disksTogether,
  exportedDisks,
} from '#services/monitor/disk_reader.ts';

export const EMBEDDED_NODE = 'primary';

interface DiskSettings {
  readonly DATA_DIR: string;
  readonly calls: { readonly diskPausePercent: number };
  readonly monitor: {
    readonly databaseDisks: readonly {
      readonly name: string;
      readonly url: string;
      readonly mountpoints: readonly string[];
    }[];
  };
}

/**
 * The sources of disk usage of PostgreSQL; for a PostgreSQL outside this installation, only the node_exporters named.
 * @param isElsewhere the services do not use the embedded PostgreSQL
 */
export async function watchedDisks(
  config: DiskSettings,
  tier: Tier | undefined,
  isElsewhere: boolean,
): Promise<DiskSource[]> {
  if (config.monitor.databaseDisks.length > 0)
    return config.monitor.databaseDisks.map(({ name, url, mountpoints }) => {
      return { node: name, read: exportedDisks(name, url, mountpoints) };
    });
  const asDisk = ({ path, sizeBytes, freeBytes }: Volume): Disk => {
    return { mountpoint: path, sizeBytes, availableBytes: freeBytes };
  };
  if (tier)
    return disksTogether(
      tier.layout.nodes.map(({ name }) => name),
      async () => new Map((await tier.space()).map(({ node, volumes }) => [node, volumes.map(asDisk)])),
    );
  if (isElsewhere || !(await hasCluster(postgresFolder(config)))) return [];
  const folder = join(postgresFolder(config), 'cluster');
  return [{ node: EMBEDDED_NODE, read: async () => (await volumesOf({ folder })).map(asDisk) }];
}

/**
 * The free space on the disks of the primary that an address leads to, or of all nodes that DATABASE_DISKS names. Imports
 * of files check it; undefined where imports need not wait for space.
 */
export function primaryRoom(config: DiskSettings, url: string): Room | undefined {
  const { diskPausePercent: pausePercent } = config.calls;
  const { databaseDisks: exported } = config.monitor;
  if (pausePercent === 100) return undefined;
  const exporters = exported.map(({ name, url: exporter, mountpoints }) => {
    const readOne = exportedDisks(name, exporter, mountpoints);
    return async () =>
      (await within(systemClock, DISK_TIMEOUT_MS, `reading the disks of ${name}`, readOne)).map(
        ({ mountpoint, sizeBytes, availableBytes }): PrimaryDisk => {
          return { node: name, path: mountpoint, sizeBytes, freeBytes: availableBytes };
        },
      );
  });
  const read = async (): Promise<PrimaryDisk[]> => {
    // With several nodes the primary is not known. A replica without space soon holds up the WAL of the others.
    if (exporters.length > 0) {
      const answers = await Promise.allSettled(exporters.map((readOne) => readOne()));
      return answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    }
    const found = await primaryVolumes(config, url);
    return found?.volumes.map((volume) => ({ node: found.node, ...volume })) ?? [];
  };
  return createRoom({ read, pausePercent, clock: systemClock });
}
