/**
 * The drill that fills disks: node1, the primary, gets a small file system and fills it, first with data (its PostgreSQL
 * lives), then with WAL (PostgreSQL can't start); then all nodes are full, so that no node is better off than another.
 */
import { rm } from 'node:fs/promises';
import pg from 'pg';
import { CAUGHT_UP_BYTES } from '../hand_over.ts';
import type { Node } from '../layout.ts';
import { handOver } from '../maintenance.ts';
import { isWell, leaderOf, type Member, members } from '../patroni.ts';
import { endGroup, endPostgres } from '../processes.ts';
import { waitFor } from '../readiness.ts';
import {
  emptyDisk,
  fillDisk,
  mountSmallDisk,
  onSmallDisks,
  SMALL_DISK_MIB,
  unmountSmallDisk,
  whyNoSmallDisk,
} from '../small_disk.ts';
import type { Tier } from '../tier.ts';
import type { Drill, DrillContext, DrillOutcome } from './drill.ts';
import { TOLD_CHANNELS } from './telling.ts';
import { type Finding, within } from './verdict.ts';

type DiskCase = 'data' | 'wal' | 'all';

const WRITES_BACK_MS = 60_000;
/** Full replicas end at the same record of WAL: HAProxy takes some seconds to lead reads to the primary. */
const READ_SILENCE_MS = 6_000;
const GIVE_UP_MS = 120_000;
const STOP_LIMIT_MS = 30_000;
const CONNECT_LIMIT_MS = 5_000;
const READ_LIMIT_MS = 5_000;
/** DiskNearlyFull alerts after 10 s, and 10 s later at the latest. */
const TOLD_MS = 20_000;
/** Alerts in each case: the disk, and the refused writes. */
const CRITICALS = 6;
/** All disks stay full for so long. */
const ALL_FULL_MS = TOLD_MS + 5_000;
/** More than the data of a new tier and the rows that the drill writes. */
const DATA_LIMIT_MIB = 120;
/** More than the limit of a full disk, so that WAL fills the disk. */
const LEFT_FOR_WAL_BYTES = 40 * 1024 * 1024;
const MESSAGE_BYTES = 1_000_000;
const MESSAGES_AT_MOST = 400;

/** The drill, or some of its cases. */
export const diskFullDrill = (cases: readonly DiskCase[]): Drill => ({
  name: 'disk-full',
  purpose: 'the disk of the primary is full of data, then of WAL; then the disks of all nodes are full',
  promise: { mayFail: 'any', writeSilenceMs: WRITES_BACK_MS, readSilenceMs: READ_SILENCE_MS, losableMs: 0 },
  service: {
    mayFail: 'any',
    limits: { readsMs: READ_SILENCE_MS, writesMs: WRITES_BACK_MS },
    // The times of the full disks are known below.
    told: {
      ...{ by: [], severity: 'critical', withinMs: 0, criticals: CRITICALS },
      alsoBy: [
        ...['disknearlyfull', 'diskfilling', 'noprimary', 'doorsilent', 'breakeropen', 'postgresdown'],
        ...['leaderchanged', 'leaseold', 'replicalag', 'slowanswers', 'errorrate', 'queuewait', 'poolwait'],
        ...['retriesrising', 'redispatchesrising'],
      ],
    },
  },
  impossible: whyNot,
  run: (context) => fillDisks(context, cases),
});

export const diskFull = diskFullDrill(['data', 'wal', 'all']);

async function whyNot(tier: Tier): Promise<string | undefined> {
  const fault = await whyNoSmallDisk();
  if (fault !== undefined) return fault;
  const rows = await ask<{ mib: string }>(
    tier.writeUrl,
    'SELECT sum(pg_database_size(oid)) / 1048576 AS mib FROM pg_database',
  );
  const mib = Math.ceil(Number(rows[0]?.mib));
  return mib > DATA_LIMIT_MIB
    ? `the data, ${mib} MiB, is more than the ${DATA_LIMIT_MIB} MiB that a file system of ${SMALL_DISK_MIB} MiB leaves room for`
    : undefined;
}

async function fillDisks(context: DrillContext, cases: readonly DiskCase[]): Promise<DrillOutcome> {
  const { tier, clock } = context;
  // A killed drill may have left it.
  await putBack(context);
  const first = tier.layout.nodes[0]!;
  const brokenAt = context.broken(`${first.name} is to have a file system of ${SMALL_DISK_MIB} MiB`);
  const findings: Finding[] = [];
  try {
    for (const one of cases) {
      for (const node of one === 'all' ? tier.layout.nodes : [first]) await moveToSmallDisk(context, node);
      await makePrimary(context, first);
      findings.push(...(await (one === 'all' ? fillAll(context) : fillOne(context, first, one))));
    }
  } finally {
    await putBack(context);
  }
  context.say(`${cases.length} cases in ${Math.round((clock.monotonic() - brokenAt) / 1_000)} s`);
  return { brokenAt, routedAroundAt: clock.monotonic(), findings };
}

async function fillOne(context: DrillContext, node: Node, how: 'data' | 'wal'): Promise<Finding[]> {
  const { tier, load, watch, clock, say, wait } = context;
  const startedAt = clock.monotonic();
  const findings: Finding[] = [];
  try {
    if (how === 'data') {
      await fillDisk(node);
      say(`${node.name}, the primary, has no space left for data`);
    } else {
      await fillDisk(node, LEFT_FOR_WAL_BYTES);
      const end = await writeWal(tier, node);
      say(`${node.name}, the primary, has no space left for WAL: ${end ?? 'all of it was written'}`);
      findings.push({
        about: 'parts',
        promise: `${node.name}: PostgreSQL ends for lack of space for WAL`,
        measured: end ?? 'it did not',
        kept: end !== undefined,
      });
    }
    await wait(() => ![undefined, node.name].includes(watch.leader()), GIVE_UP_MS);
    const everyone = await load.everyoneAnswered('write', GIVE_UP_MS);
    const backMs = everyone ? clock.monotonic() - startedAt : Number.POSITIVE_INFINITY;
    if (everyone) say('every writer is answered again');
    findings.push(
      within(`full by ${how}: another node takes over, every writer is answered`, backMs, WRITES_BACK_MS),
    );
  } finally {
    await emptyDisk(node);
    say(`${node.name} has space again`);
  }
  await untilReplica(context, node);
  const reads = load
    .failures()
    .filter((failure) => failure.kind === 'read' && failure.startedAt >= startedAt);
  findings.push({
    about: 'requests',
    promise: `full by ${how}: no read fails (after its one retry)`,
    measured: `${reads.length} failed${reads[0] ? `, such as: ${reads[0].message}` : ''}`,
    kept: reads.length === 0,
  });
  if (how === 'data') {
    const madeMs = await again(context, async () => (await ballastOf(tier, node)) === 'kept');
    findings.push(within(`${node.name} has its ballast again`, madeMs, WRITES_BACK_MS));
  }
  return findings;
}

async function fillAll({ tier, load, serviceFailures, told, clock, say }: DrillContext): Promise<Finding[]> {
  const before = (await leaderOf(tier.layout.nodes))?.name;
  const { nodes } = tier.layout;
  const begunAt = clock.monotonic();
  // The replicas first: the primary must not hand over to them.
  for (const node of nodes.toSorted((a, b) => Number(a.name === before) - Number(b.name === before)))
    await fillDisk(node);
  const filledAt = clock.monotonic();
  say('no node has space left');
  const leaders = new Set<string>();
  let readers = true;
  try {
    while (clock.monotonic() - filledAt < ALL_FULL_MS) {
      const leader = (await leaderOf(nodes))?.name;
      if (leader) leaders.add(leader);
      readers &&= await load.everyoneAnswered('read', READ_LIMIT_MS);
    }
  } finally {
    for (const node of nodes) await emptyDisk(node);
    say('all nodes have space again');
  }
  const refused = load.failures().filter(({ kind, startedAt }) => kind === 'write' && startedAt >= filledAt);
  const ofService = serviceFailures().filter(({ startedAt }) => startedAt >= filledAt);
  const posts = ofService.filter(({ asked }) => asked === 'POST').map(({ message }) => message);
  const others = posts.filter((message) => message !== '503 disk_full');
  const gets = ofService.filter(({ asked }) => asked === 'GET').map(({ message }) => message);
  const emptiedAt = clock.monotonic();
  const everyone = await load.everyoneAnswered('write', GIVE_UP_MS);
  const backMs = everyone ? clock.monotonic() - emptiedAt : Number.POSITIVE_INFINITY;
  return [
    {
      about: 'parts',
      promise: 'all full: the primary stays',
      measured: [...leaders].join(', then ') || 'no leader',
      kept: leaders.size === 1 && leaders.has(before ?? ''),
    },
    {
      about: 'requests',
      promise: 'all full: every reader is answered',
      measured: readers ? `each, for ${ALL_FULL_MS / 1_000} s` : `not within ${READ_LIMIT_MS / 1_000} s`,
      kept: readers,
    },
    {
      about: 'requests',
      promise: 'all full: writes are refused',
      measured: `${refused.length}${refused[0] ? `, such as: ${refused[0].message}` : ''}`,
      kept: refused.length > 0,
    },
    {
      about: 'requests',
      promise: 'all full: POST /cdrs is answered 503 disk_full',
      measured: `${posts.length - others.length} times${others[0] ? `, and ${others.length} others, such as: ${others[0]}` : ''}`,
      kept: posts.length > 0 && others.length === 0,
    },
    {
      about: 'requests',
      promise: 'all full: every GET /cdrs is answered',
      measured: `${gets.length} failed${gets[0] ? `, such as: ${gets[0]}` : ''}`,
      kept: gets.length === 0,
    },
    ...TOLD_CHANNELS.map((channel) => {
      const first = told(begunAt).find((one) => one.channel === channel && one.rule === 'disknearlyfull');
      const tookMs = first ? first.afterMs - (filledAt - begunAt) : Number.POSITIVE_INFINITY;
      return { ...within(`all full: ${channel} reports it`, tookMs, TOLD_MS), about: 'telling' } as const;
    }),
    within('once there is space every writer is answered', backMs, WRITES_BACK_MS),
  ];
}

/** Writes WAL that no table keeps, directly to PostgreSQL. @returns how the server ended; undefined: it did not */
async function writeWal(tier: Tier, node: Node): Promise<string | undefined> {
  const url = new URL(tier.writeUrl);
  url.host = `${node.host}:${node.port}`;
  const client = new pg.Client({ connectionString: url.href, connectionTimeoutMillis: CONNECT_LIMIT_MS });
  client.on('error', () => {});
  await client.connect();
  try {
    for (let i = 0; i < MESSAGES_AT_MOST; i++)
      await client.query("SELECT pg_logical_emit_message(false, 'drill', repeat('x', $1))", [MESSAGE_BYTES]);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  } finally {
    void client.end().catch(() => undefined);
  }
}

async function ask<Row extends pg.QueryResultRow>(url: string, sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_LIMIT_MS });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** Puts a node on a new small disk, and Patroni copies the primary's data to it. */
async function moveToSmallDisk(context: DrillContext, node: Node): Promise<void> {
  const { tier, say } = context;
  await takeDown(tier, node, async () => {
    await unmountSmallDisk(node);
    await mountSmallDisk(node);
  });
  await untilReplica(context, node);
  say(`${node.name} has a small file system, and the data on it`);
}

/** Puts all nodes back onto their own disks, the primary last. */
async function putBack(context: DrillContext): Promise<void> {
  const { tier, say } = context;
  for (const node of onSmallDisks(tier.layout)) await emptyDisk(node);
  for (;;) {
    const small = onSmallDisks(tier.layout);
    if (small.length === 0) return;
    const leader = await leaderOf(tier.layout.nodes);
    const node = small.find(({ name }) => name !== leader?.name) ?? small[0]!;
    await takeDown(tier, node, async () => {
      await untilLed(tier);
      await unmountSmallDisk(node);
      // The node's old data lacks WAL that the other nodes no longer have: Patroni copies the primary's data again.
      await rm(node.folder, { recursive: true, force: true });
    });
    await untilReplica(context, node);
    say(`${node.name} is back on its own disk`);
  }
}

/** Changes a node while it is down, and not the primary. */
async function takeDown(tier: Tier, node: Node, work: () => Promise<void>): Promise<void> {
  const { nodes } = tier.layout;
  if ((await leaderOf(nodes))?.name === node.name) {
    const small = onSmallDisks(tier.layout);
    const others = nodes.filter((other) => other.name !== node.name);
    const to = others.find((other) => !small.includes(other)) ?? others[0]!;
    await handOver(tier, to.name, () => undefined);
  }
  await tier.hold(node.name);
  try {
    await endGroup(await tier.processOf(node.name), 'SIGTERM', STOP_LIMIT_MS);
    await endPostgres(node.folder, STOP_LIMIT_MS);
    await work();
  } finally {
    await tier.release(node.name);
  }
}

/** Nothing that other nodes may need is deleted before there is a primary that has it. */
async function untilLed({ layout }: Tier): Promise<void> {
  await waitFor(GIVE_UP_MS, async () => {
    const found = await members(layout.nodes);
    return found?.some((member) => member.role === 'leader' && isWell(member)) ? undefined : 'no primary';
  });
}

/** Waits until the node serves reads: only then the next node may be stopped. */
async function untilReplica({ tier, watch }: DrillContext, node: Node): Promise<void> {
  await waitFor(GIVE_UP_MS, async () => {
    const member = (await members(tier.layout.nodes))?.find(({ name }) => name === node.name);
    const isThere = member && isWell(member) && hasCaughtUp(member);
    return isThere && watch.server('replicas', node.name) === 'up'
      ? undefined
      : `${node.name} is not back yet`;
  });
}

const hasCaughtUp = ({ lag }: Member): boolean => typeof lag === 'number' && lag <= CAUGHT_UP_BYTES;

async function makePrimary(context: DrillContext, node: Node): Promise<void> {
  const { tier, watch, say, wait } = context;
  await again(context, async () => (await ballastOf(tier, node)) === 'kept');
  if ((await leaderOf(tier.layout.nodes))?.name !== node.name)
    await handOver(tier, node.name, () => undefined);
  await wait(() => watch.leader() === node.name, GIVE_UP_MS);
  // The drill's own switchover must not delay the supervisor's next hand-over.
  await tier.allowHandOver();
  say(`${node.name} is the primary`);
}

const ballastOf = async (tier: Tier, { name }: Node) =>
  (await tier.space()).find(({ node }) => node === name)?.ballast;

/** @returns milliseconds until it held */
async function again({ clock }: DrillContext, holds: () => Promise<boolean>): Promise<number> {
  const startedAt = clock.monotonic();
  while (!(await holds())) {
    if (clock.monotonic() - startedAt > GIVE_UP_MS) return Number.POSITIVE_INFINITY;
    await clock.sleep(250);
  }
  return clock.monotonic() - startedAt;
}
