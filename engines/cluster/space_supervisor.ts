/**
 * Watches the disks of a local tier, each second: keeps a ballast file for each node, deletes it for a PostgreSQL that
 * can't start for lack of space, and makes a primary with a full disk hand over. Patroni does neither: a primary keeps its
 * lease while its PostgreSQL is started over and over (patroni#1732).
 *
 *   data full    the server lives, and refuses requests that need more space: the role is handed over by a switchover
 *   WAL full     the server ends, and can't start: it gets the space of the ballast, and hands over once it is up; if
 *                that is not enough, its Patroni is ended, so that the lease is free
 */
import { dropBallast, hasBallast, makeBallast } from '#engines/ballast.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { FULL_BYTES, fullVolume, handOverOf } from './hand_over.ts';
import type { Node } from './layout.ts';
import { isWell, type Member } from './patroni.ts';
import { ballastFolder, type NodeSpace, tightest, usedShare, type Volume } from './space.ts';

const SPACE_INTERVAL_MS = 1_000;
/** How often the space for a ballast is checked. */
const BALLAST_INTERVAL_MS = 10_000;
/** The least time from one hand-over to the next. */
const HAND_OVER_PAUSE_MS = 600_000;
/** The time from a failed hand-over to the next try. */
const RETRY_MS = 10_000;
/** Looks in a row without a PostgreSQL until it counts as unable to start. */
const LOOKS_WITHOUT = 2;
/** Patroni tries to start a dead PostgreSQL every 13 s or so: PostgreSQL gets one try with the space of the ballast. */
const START_WITH_BALLAST_MS = 20_000;

export interface SpaceSupervisorOptions {
  readonly nodes: readonly Node[];
  readonly clock: Clock;
  /** The file systems of a node; rejects where they can't be read. */
  readonly volumesOf: (node: Node) => Promise<Volume[]>;
  /** The members as Patroni sees them; undefined: no Patroni answers. */
  readonly members: () => Promise<readonly Member[] | undefined>;
  readonly isSynchronous: () => Promise<boolean>;
  /** Whether a node's Patroni runs and no drill holds it. */
  readonly isOwn: (node: string) => boolean;
  /** Whether a PostgreSQL process runs on a node's data. */
  readonly runs: (node: Node) => boolean;
  /** Hands the primary's role over by a switchover. */
  readonly handOver: (from: string, to: string) => Promise<void>;
  /** Frees the lease of a primary whose PostgreSQL can't start. */
  readonly giveUpLease: (node: string) => Promise<void>;
  readonly report: (node: string, what: SpaceEvent, detail: string) => void;
}

export type SpaceEvent =
  | 'disk full'
  | 'disk has room'
  | 'ballast made'
  | 'ballast released'
  | 'ballast not made'
  | 'hands over'
  | 'stays primary';

export interface SpaceSupervisor {
  /** The node's space at the last look. */
  readonly nodes: readonly NodeSpace[];
  /** Allows the next hand-over at once, whenever the last one was: for drills, which fill the disk themselves. */
  allowHandOver(): void;
  /** Resolves once the signal is aborted. */
  readonly done: Promise<void>;
}

interface Watched {
  readonly node: Node;
  space: NodeSpace;
  isFull: boolean;
  looksWithout: number;
  releasedAt: number;
  /** The last reported reason why its ballast could not be made. */
  fault: string;
}

/** Watches until the signal. */
export function superviseSpace(options: SpaceSupervisorOptions, stopping: AbortSignal): SpaceSupervisor {
  const { clock, report } = options;
  const watched = options.nodes.map(
    (node): Watched => ({
      node,
      space: { node: node.name, volumes: [], ballast: 'none' },
      isFull: false,
      looksWithout: 0,
      releasedAt: Number.NEGATIVE_INFINITY,
      fault: '',
    }),
  );
  let notBefore = Number.NEGATIVE_INFINITY;
  let told = '';

  const every = async (ms: number, work: () => Promise<void>) => {
    while (!stopping.aborted) {
      await work();
      await clock.sleep(ms, stopping).catch(() => undefined);
    }
  };

  async function look(one: Watched): Promise<void> {
    // A disk that can't be read has no known space.
    const volumes = await options.volumesOf(one.node).catch(() => []);
    one.space = { ...one.space, volumes, ballast: await ballastState(one) };
    const full = fullVolume(one.space);
    if (full && !one.isFull) report(one.node.name, 'disk full', words(full));
    if (!full && one.isFull && volumes.length > 0)
      report(one.node.name, 'disk has room', volumes.map(words).join('; '));
    if (volumes.length > 0) one.isFull = full !== undefined;
    const isDown = options.isOwn(one.node.name) && !options.runs(one.node);
    one.looksWithout = isDown ? one.looksWithout + 1 : 0;
    const wantsSpace = (tightest(volumes)?.freeBytes ?? Number.POSITIVE_INFINITY) < FULL_BYTES;
    if (wantsSpace && one.looksWithout >= LOOKS_WITHOUT)
      await release(one, 'its PostgreSQL can not start for lack of space');
  }

  async function ballastState({ node, space }: Watched): Promise<NodeSpace['ballast']> {
    try {
      const folder = await ballastFolder(node);
      if (folder !== undefined && (await hasBallast(folder))) return 'kept';
      return space.ballast === 'kept' ? 'none' : space.ballast;
    } catch {
      return space.ballast;
    }
  }

  async function release(one: Watched, why: string): Promise<void> {
    const folder = await ballastFolder(one.node).catch(() => undefined);
    if (folder === undefined || !(await dropBallast(folder).catch(() => false))) return;
    one.space = { ...one.space, ballast: 'released' };
    one.releasedAt = clock.monotonic();
    report(one.node.name, 'ballast released', why);
  }

  async function ballast(one: Watched): Promise<void> {
    try {
      const folder = await ballastFolder(one.node);
      if (folder === undefined) return;
      if (await makeBallast(folder))
        report(one.node.name, 'ballast made', '64 MiB are reserved for recovery');
      one.fault = '';
    } catch (error) {
      const fault = (error as Error).message;
      if (fault !== one.fault) report(one.node.name, 'ballast not made', fault);
      one.fault = fault;
    }
  }

  /** Makes a full primary hand over, where there is a better replica. */
  async function relieve(): Promise<void> {
    if (!watched.some(({ isFull }) => isFull) || clock.monotonic() < notBefore) return;
    const found = await options.members();
    const leader = found?.find(({ role }) => role === 'leader');
    const primary = watched.find(({ node }) => node.name === leader?.name);
    if (!found || !leader || !primary?.isFull || !options.isOwn(leader.name)) return;
    const spaces = watched.map(({ space }) => space);
    const decided = handOverOf(primary.space, spaces, found, await options.isSynchronous());
    if ('stays' in decided) {
      if (told !== decided.stays) report(leader.name, 'stays primary', decided.stays);
      told = decided.stays;
      return;
    }
    told = '';
    const lives = isWell(leader) && options.runs(primary.node);
    if (!lives && clock.monotonic() - primary.releasedAt < START_WITH_BALLAST_MS) return;
    // The node is about to get the space of the ballast (look).
    if (!lives && primary.space.ballast === 'kept') return;
    report(leader.name, 'hands over', `to ${decided.to}, which has more free space`);
    try {
      if (lives) {
        // A server writes a checkpoint when it stops normally.
        await release(primary, 'it is to hand over');
        await options.handOver(leader.name, decided.to);
      } else await options.giveUpLease(leader.name);
      notBefore = clock.monotonic() + HAND_OVER_PAUSE_MS;
    } catch (error) {
      notBefore = clock.monotonic() + RETRY_MS;
      report(leader.name, 'stays primary', `it could not hand over: ${(error as Error).message}`);
    }
  }

  const done = Promise.all([
    // All at once: a file system that does not answer must not hide the others.
    ...watched.map((one) => every(SPACE_INTERVAL_MS, () => look(one))),
    every(SPACE_INTERVAL_MS, () => relieve().catch(() => undefined)),
    every(BALLAST_INTERVAL_MS, async () => {
      for (const one of watched) await ballast(one);
    }),
  ]);
  return {
    get nodes() {
      return watched.map(({ space }) => space);
    },
    allowHandOver: () => {
      notBefore = Number.NEGATIVE_INFINITY;
    },
    done: done.then(() => undefined),
  };
}

const words = (volume: Volume): string =>
  `${volume.holds} in ${volume.path}: ${(usedShare(volume) * 100).toFixed(1)} % used, ${Math.round(volume.freeBytes / 1_048_576)} MiB free`;
