/**
 * The table of losses: each part of the tier, killed and frozen, with the promises for that case. `trunkline drill all` runs
 * all of them, and infrastructure/README.md shows the measurements.
 *
 *   killed   kill -9: the kernel cuts its connections, and refuses new ones
 *   frozen   SIGSTOP: its connections stay, and the kernel accepts new ones for it; no process answers
 */
import { leaderOf } from '../patroni.ts';
import { familyOf, freezeFamily, postmasterOf, signal } from '../processes.ts';
import type { Tier } from '../tier.ts';
import type { MayFail } from './verdict.ts';

export type Fault = 'killed' | 'frozen';
export type PartKind = 'bouncer' | 'haproxy' | 'replica' | 'primary' | 'patroni' | 'postgres' | 'etcd';

/** The longest time without an answer, at the database's doors and at the service alike: GET reads, POST writes. */
export interface SilenceLimits {
  readonly readsMs: number;
  readonly writesMs: number;
}

/** The alerts that the monitor must send for a loss. */
export interface ToldPromise {
  /** One of these rules must alert, by their sections in the runbook; none: no alert is required. */
  readonly by: readonly string[];
  /** The least severity; a critical alert comes once on every channel. */
  readonly severity: 'critical' | 'warning';
  /** From the fault on: the rule's time, and 10 s. */
  readonly withinMs: number;
  /** Required only for an outage of writes this long; undefined: the loss itself requires an alert. */
  readonly ifWritesSilentMs?: number;
  /** Required only when the tier itself took longer than this to restart the part. */
  readonly ifAwayMs?: number;
  /** At most so many critical notices on each channel; undefined: one for a critical alert, otherwise none. */
  readonly criticals?: number;
  /** Rules that may alert about the consequences. */
  readonly alsoBy: readonly string[];
}

export interface Taken {
  /** The part that is lost, by its name in the tier. */
  readonly victim: string;
  /** Its process; after a restart it is another one. */
  readonly leader: number;
  readonly processes: number;
  /** Wakes a frozen part, and lets the supervisor restart a killed one. */
  repair(): Promise<void>;
}

export interface Loss {
  readonly name: string;
  /** Text for people. */
  readonly part: string;
  readonly kind: PartKind;
  readonly fault: Fault;
  readonly limits: SilenceLimits;
  /** Without synchronous replication, writes acknowledged this shortly before may be lost. */
  readonly losableMs: number;
  /** `underway`: no request may fail that begins after the promised time without an answer. */
  readonly mayFail: MayFail;
  readonly told: ToldPromise;
  /**
   * How long the part is away: so many milliseconds; until another node is the primary; until the tier itself has restarted
   * the part; until writes are answered again.
   */
  readonly away: number | 'failover' | 'restarted' | 'answered';
  take(tier: Tier): Promise<Taken>;
}

const KILLED_MS = 6_000;
/** HAProxy takes some 8 s to find a frozen part. */
const FROZEN_MS = 14_000;
/** The alert of a replica waits for 10 s, and HAProxy takes some 5 s to find a frozen replica. */
const REPLICA_MS = 18_000;
/** Longer than the leader's lease of 20 s: without etcd the lease would have ended. */
const WITHOUT_ETCD_MS = 24_000;
/** The longest delay of a rule's notice after the rule's time. */
const TOLD_MS = 10_000;
/** `forS` of PostgresDown, and the silence after which DoorSilent alerts. */
const POSTGRES_DOWN_MS = 10_000;
const DOOR_SILENT_MS = 4_000;
/** The silence after which EtcdDown alerts, and the time from one question to the end of the next. */
const ETCD_SILENT_MS = 8_000;
const KEEPER_ASKED_MS = 3_500;
/** Replication over loopback or a LAN lags by far less. */
const LOSABLE_MS = 1_000;

const bouncerTold: ToldPromise = {
  by: ['pgbouncerdown'],
  severity: 'warning',
  withinMs: TOLD_MS,
  alsoBy: ['nosparebouncer', 'retriesrising', 'redispatchesrising', 'slowanswers', 'poolwait'],
};
const haproxyTold: ToldPromise = {
  by: ['haproxydown'],
  severity: 'critical',
  withinMs: TOLD_MS,
  // The end of an unreported silence is reported as an event that is over.
  alsoBy: ['haproxypagesilent', 'haproxyrestarted', 'slowanswers', 'poolwait', 'doorsilent'],
};
const replicaTold: ToldPromise = {
  by: ['postgresdown'],
  severity: 'warning',
  withinMs: POSTGRES_DOWN_MS + TOLD_MS,
  alsoBy: ['slowanswers', 'replicalag', 'poolwait'],
};
const primaryTold: ToldPromise = {
  // The last alert where the others are held back because they flap.
  by: ['noprimary', 'doorsilent', 'breakeropen'],
  severity: 'critical',
  withinMs: DOOR_SILENT_MS + TOLD_MS,
  alsoBy: [
    ...['leaderchanged', 'leaseold', 'postgresdown', 'replicalag', 'slowanswers', 'errorrate', 'queuewait'],
    ...['retriesrising', 'redispatchesrising', 'poolwait'],
  ],
};

const etcdTold: ToldPromise = {
  by: ['etcddown'],
  severity: 'warning',
  withinMs: ETCD_SILENT_MS + TOLD_MS,
  ifAwayMs: ETCD_SILENT_MS + KEEPER_ASKED_MS,
  alsoBy: ['slowanswers'],
};

/** Takes a part that the supervisor started. @param held whether the supervisor leaves the part alone meanwhile */
async function takePart(tier: Tier, victim: string, fault: Fault, held: boolean): Promise<Taken> {
  const { pid } = await tier.processOf(victim);
  if (held) await tier.hold(victim);
  // Frozen in any case, so that no process escapes.
  const processes = freezeFamily(pid);
  if (fault === 'killed') for (const member of processes) signal(member, 'SIGKILL');
  return {
    ...{ victim, leader: pid, processes: processes.length },
    repair: async () => {
      if (fault === 'frozen') for (const member of processes) signal(member, 'SIGCONT');
      if (held) await tier.release(victim);
    },
  };
}

/** The processes of a node that are taken. */
type OfNode = 'both' | 'patroni' | 'postgres';

async function takeNode(
  tier: Tier,
  role: 'primary' | 'replica',
  what: OfNode,
  fault: Fault,
  held: boolean,
): Promise<Taken> {
  const primary = await leaderOf(tier.layout.nodes);
  const node =
    role === 'primary' ? primary : tier.layout.nodes.find(({ name }) => primary && name !== primary.name);
  if (!node) throw new Error(`there is no ${role} to take`);
  const patroni = await tier.processOf(node.name);
  const postmaster = postmasterOf(node.folder);
  if (!postmaster) throw new Error(`no PostgreSQL runs in ${node.folder}`);
  if (held) await tier.hold(node.name);
  // Patroni first, so that it can't start or stop PostgreSQL.
  const processes = what === 'both' ? [...freezeFamily(patroni.pid), ...freezeFamily(postmaster.pid)] : [];
  if (what === 'patroni') {
    const postgres = familyOf(postmaster.pid);
    processes.push(...familyOf(patroni.pid).filter((pid) => !postgres.includes(pid)));
  }
  if (what === 'postgres') processes.push(...freezeFamily(postmaster.pid));
  for (const pid of processes) signal(pid, fault === 'killed' ? 'SIGKILL' : 'SIGSTOP');
  return {
    ...{ victim: node.name, leader: patroni.pid, processes: processes.length },
    repair: async () => {
      if (fault === 'frozen') for (const pid of processes) signal(pid, 'SIGCONT');
      if (held) await tier.release(node.name);
    },
  };
}

/** Undefined: any request may fail. */
type Course = Pick<Loss, 'limits' | 'away'> & { readonly mayFail?: MayFail };

interface Row {
  readonly name: string;
  readonly part: string;
  readonly kind: PartKind;
  readonly killed: Course;
  readonly frozen: Course;
  readonly told: ToldPromise;
  readonly losableMs?: number;
  readonly take: (tier: Tier, fault: Fault) => Promise<Taken>;
}

const silence = (readsS: number, writesS = readsS): SilenceLimits => {
  return { readsMs: readsS * 1_000, writesMs: writesS * 1_000 };
};
const FAILOVER = silence(4, 32);
const bouncer = {
  kind: 'bouncer',
  killed: { limits: silence(3), away: KILLED_MS, mayFail: 'underway' },
  frozen: { limits: silence(12), away: FROZEN_MS, mayFail: 'underway' },
  told: bouncerTold,
} as const;
const readBouncer = (victim: string): Row => ({
  ...bouncer,
  name: `read-bouncer-${victim}`,
  part: `${victim}, a read bouncer`,
  take: (tier, fault) => takePart(tier, victim, fault, true),
});

const ROWS: readonly Row[] = [
  {
    ...bouncer,
    name: 'pgbouncer',
    part: 'pgb2, a write bouncer',
    take: (tier, fault) => takePart(tier, 'pgb2', fault, true),
  },
  {
    name: 'primary',
    part: 'the primary and its Patroni',
    kind: 'primary',
    killed: { limits: FAILOVER, away: 'failover', mayFail: 'writes' },
    frozen: { limits: FAILOVER, away: 'failover', mayFail: 'writes' },
    told: primaryTold,
    losableMs: LOSABLE_MS,
    take: (tier, fault) => takeNode(tier, 'primary', 'both', fault, true),
  },
  readBouncer('pgr1'),
  {
    name: 'haproxy',
    part: 'haproxy2, one of two processes',
    kind: 'haproxy',
    killed: { limits: silence(3), away: KILLED_MS },
    // Not held: the supervisor must find it.
    frozen: { limits: silence(12), away: 'restarted' },
    told: haproxyTold,
    take: (tier, fault) => takePart(tier, 'haproxy2', fault, fault === 'killed'),
  },
  {
    name: 'postgres',
    part: "the primary's PostgreSQL, behind a living Patroni",
    kind: 'postgres',
    killed: { limits: FAILOVER, away: 'answered' },
    frozen: { limits: FAILOVER, away: 'failover' },
    // Patroni may have restarted it before any client fails.
    told: { ...primaryTold, ifWritesSilentMs: DOOR_SILENT_MS },
    losableMs: LOSABLE_MS,
    take: (tier, fault) => takeNode(tier, 'primary', 'postgres', fault, fault === 'frozen'),
  },
  {
    name: 'replica',
    part: 'a replica and its Patroni',
    kind: 'replica',
    killed: { limits: silence(2), away: REPLICA_MS },
    frozen: { limits: silence(12), away: REPLICA_MS },
    told: replicaTold,
    take: (tier, fault) => takeNode(tier, 'replica', 'both', fault, true),
  },
  {
    name: 'etcd',
    part: 'etcd',
    kind: 'etcd',
    killed: { limits: silence(2), away: WITHOUT_ETCD_MS, mayFail: 'none' },
    // Not held: the supervisor must find it.
    frozen: { limits: silence(2), away: 'restarted' },
    told: etcdTold,
    take: (tier, fault) => takePart(tier, 'etcd', fault, fault === 'killed'),
  },
  {
    name: 'patroni',
    part: "the primary's Patroni alone",
    kind: 'patroni',
    // Not held: the supervisor restarts Patroni, and the lease lasts for so long.
    killed: { limits: silence(2, 32), away: 'answered' },
    frozen: { limits: silence(2, 32), away: 'failover' },
    told: { ...primaryTold, ifWritesSilentMs: DOOR_SILENT_MS },
    losableMs: LOSABLE_MS,
    take: (tier, fault) => takeNode(tier, 'primary', 'patroni', fault, fault === 'frozen'),
  },
  readBouncer('pgr2'),
];

/** The word for a fault in the name of its drill. */
const WORDS = { killed: 'crash', frozen: 'freeze' } as const;

/** All losses: first each part killed, then each part frozen, so that one part's alerts do not count as flapping. */
export const LOSSES: readonly Loss[] = (['killed', 'frozen'] as const).flatMap((fault) =>
  ROWS.map(({ name, part, kind, told, losableMs = 0, take, ...row }): Loss => {
    const word = name === 'etcd' && fault === 'killed' ? 'loss' : WORDS[fault];
    return {
      name: `${name}-${word}`,
      ...{ part, kind, fault, told, losableMs },
      ...{ mayFail: 'any', ...row[fault] },
      take: (tier) => take(tier, fault),
    };
  }),
);
