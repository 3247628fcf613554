/** Reads the free space of PostgreSQL's data and WAL, under node_exporter's names. */
import { askOutside } from '#platform/http/outside.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { within } from '#platform/lifecycle/within.ts';
import { splitCredentials } from './credentials.ts';
import { createMetricsParser } from './exposition.ts';
import { type Sample, sample } from './samples.ts';

export const DISK_TIMEOUT_MS = 3_000;
export const AVAILABLE = 'node_filesystem_avail_bytes';
/** Includes the space that is reserved for root. */
export const FREE = 'node_filesystem_free_bytes';
export const SIZE = 'node_filesystem_size_bytes';
/** The job of infrastructure/monitoring/prometheus.yml that keeps only the file systems of PostgreSQL. */
export const DISKS_JOB = 'disks';
/** node_exporter's page has some hundreds of kB. */
const FIGURES_LIMIT_BYTES = 8 * 1024 * 1024;

export interface Disk {
  readonly mountpoint: string;
  /** Without the space that is reserved for root, as df counts. */
  readonly sizeBytes: number;
  /** Bytes that users other than root can still write; NaN: unknown now. */
  readonly availableBytes: number;
}

/** A node of PostgreSQL, and the reader of its disks. */
export interface DiskSource {
  readonly node: string;
  /** Reads the disks of data and of WAL, which may be the same. Rejects if they can't be read. */
  readonly read: (signal: AbortSignal) => Promise<readonly Disk[]>;
}

export interface DiskReading {
  readonly node: string;
  /** Disks that were read once stay, with NaN. */
  readonly disks: readonly Disk[];
  /** The fault, '' without one. */
  readonly fault: string;
}

/** Reads one node, and remembers its disks for polls that can't read them. Never rejects. */
export function createDiskReader(source: DiskSource, clock: Clock): () => Promise<DiskReading> {
  const { node } = source;
  let known: readonly Disk[] = [];
  return async () => {
    try {
      const disks = await within(clock, DISK_TIMEOUT_MS, `reading the disks of ${node}`, source.read);
      if (disks.length === 0) throw new Error('its disks are unknown now');
      known = disks;
      return { node, disks, fault: '' };
    } catch (error) {
      const unknown = known.map((disk) => ({ ...disk, availableBytes: Number.NaN }));
      return { node, disks: unknown, fault: (error as Error).message };
    }
  };
}

/**
 * Sources for several nodes with one common answer, which the first read of each round fetches.
 * @param ask the disks by node; rejects if they can't be read
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

/** The samples of disks, with the same labels as in Prometheus. */
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
 * @param address the URL of its page, with credentials if it needs them
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
