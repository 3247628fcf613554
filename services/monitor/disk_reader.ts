/** Reads how much room there is where PostgreSQL keeps its data and its WAL, under the names that node_exporter has for it. */
import { askOutside } from '#platform/http/outside.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { within } from '#platform/lifecycle/within.ts';
import { splitCredentials } from './credentials.ts';
import { createMetricsParser } from './exposition.ts';
import { type Sample, sample } from './samples.ts';

export const DISK_TIMEOUT_MS = 3_000;
export const AVAILABLE = 'node_filesystem_avail_bytes';
/** With what is reserved for root. */
export const FREE = 'node_filesystem_free_bytes';
export const SIZE = 'node_filesystem_size_bytes';
/** The job of infrastructure/monitoring/prometheus.yml that keeps only the file systems of PostgreSQL. */
export const DISKS_JOB = 'disks';
/** node_exporter tells some hundreds of kB. */
const FIGURES_LIMIT_BYTES = 8 * 1024 * 1024;

export interface Disk {
  readonly mountpoint: string;
  /** Without what is reserved for root, as df counts. */
  readonly sizeBytes: number;
  /** What those who are not root can still write; NaN: not known now. */
  readonly availableBytes: number;
}

/** A node of PostgreSQL, and who tells how much room it has. */
export interface DiskSource {
  readonly node: string;
  /** Of data and of WAL, which may be one. Rejects where it can't be told. */
  readonly read: (signal: AbortSignal) => Promise<readonly Disk[]>;
}

export interface DiskReading {
  readonly node: string;
  /** Those that were told of once stay, with NaN. */
  readonly disks: readonly Disk[];
  /** What went wrong, '' when nothing did. */
  readonly fault: string;
}

/** Reads one node, and remembers its disks for when they are not told of. Never rejects. */
export function createDiskReader(source: DiskSource, clock: Clock): () => Promise<DiskReading> {
  const { node } = source;
  let known: readonly Disk[] = [];
  return async () => {
    try {
      const disks = await within(clock, DISK_TIMEOUT_MS, `reading the disks of ${node}`, source.read);
      if (disks.length === 0) throw new Error('nobody tells of its disks now');
      known = disks;
      return { node, disks, fault: '' };
    } catch (error) {
      const unknown = known.map((disk) => ({ ...disk, availableBytes: Number.NaN }));
      return { node, disks: unknown, fault: (error as Error).message };
    }
  };
}

/**
 * Nodes that one answer tells of: it is asked for once a round, by whichever of them is read first.
 * @param ask disks by node; rejects where they can't be told
 */
export function disksTogether(
  nodes: readonly string[],
  ask: () => Promise<ReadonlyMap<string, readonly Disk[]>>,
): DiskSource[] {
  let asking: ReturnType<typeof ask> | undefined;
  const askOnce = () => {
    asking ??= ask().finally(() => {
      asking = undefined;
    });
    return asking;
  };
  return nodes.map((node) => ({ node, read: async () => (await askOnce()).get(node) ?? [] }));
}

/** The figures of rules, labelled as Prometheus has them. */
export const diskSamples = ({ node, disks }: DiskReading): Sample[] =>
  disks.flatMap(({ mountpoint, sizeBytes, availableBytes }) => {
    const labels = { job: DISKS_JOB, instance: node, mountpoint };
    return [
      sample(AVAILABLE, labels, availableBytes),
      sample(FREE, labels, availableBytes),
      sample(SIZE, labels, sizeBytes),
    ];
  });

/**
 * The disks of a node with a node_exporter.
 * @param address of its page, with credentials where it wants some
 */
export function exportedDisks(
  node: string,
  address: string,
  mountpoints: readonly string[],
): DiskSource['read'] {
  const parse = createMetricsParser(new Set([AVAILABLE, FREE, SIZE]), {});
  return async (signal) => {
    const { url, headers } = splitCredentials(address);
    const answer = await askOutside(url, {
      ...{ headers, signal, limitBytes: FIGURES_LIMIT_BYTES },
      longer: 'refuse',
    });
    if (!answer.ok) throw new Error(`the node_exporter of ${node} answers ${answer.status}`);
    const samples = parse(answer.text);
    const figure = (name: string, mountpoint: string) => {
      const found = samples.find((one) => one.name === name && one.labels.mountpoint === mountpoint);
      if (!found) throw new Error(`the node_exporter of ${node} knows no file system at ${mountpoint}`);
      return found.value;
    };
    return mountpoints.map((mountpoint) => {
      const availableBytes = figure(AVAILABLE, mountpoint);
      const reservedBytes = figure(FREE, mountpoint) - availableBytes;
      return { mountpoint, sizeBytes: figure(SIZE, mountpoint) - reservedBytes, availableBytes };
    });
  };
}
