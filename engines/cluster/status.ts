/** The state of a running tier, part by part, and whether it could lose any one of them now. */
import pg from 'pg';
import { isAlive } from '#engines/processes.ts';
import { BOUNCER_CLIENTS } from './configuration.ts';
import type { PartProcess } from './control.ts';
import { etcdHealth } from './etcd.ts';
import { CAUGHT_UP_BYTES } from './hand_over.ts';
import { isUp, type ServerRow, statistics } from './haproxy.ts';
import { type Keeping, keepingOf } from './keeping.ts';
import type { Bouncer, Haproxy, Node } from './layout.ts';
import { haproxyLimits, openFilesLimit } from './limits.ts';
import { configurationOf, hasSynchronous, isWell, type Member, members } from './patroni.ts';
import { isPaused, poolCounts } from './pgbouncer.ts';
import { askBroker } from './questions.ts';
import type { Tier } from './tier.ts';

/** Time limit for the first questions, all asked at once. */
const ASK_LIMIT_MS = 2_000;
/** Time limit for the second questions, on a machine that may be busy. */
const ASK_AGAIN_LIMIT_MS = 10_000;

export interface PartStatus {
  readonly name: string;
  /** primary, replica, sync standby · bouncer to the primary, bouncer to the replicas · door · lease · broker */
  readonly role: string;
  /** `no answer`: its process runs and did not answer two questions in time; a busy machine looks the same. */
  readonly state: 'up' | 'down' | 'in doubt' | 'no answer';
  /** The reason for the state, in words; '' for a healthy part. */
  readonly detail: string;
  /** Bytes of WAL behind the primary; replicas only. */
  readonly lagBytes: number | null;
  /** Its connected clients; null when not known. */
  readonly connections: number | null;
  readonly pid: number | null;
  readonly restarts: number;
}

export interface TierStatus {
  readonly parts: readonly PartStatus[];
  readonly synchronous: boolean;
  readonly keeping: Keeping;
  /** Whether the tier goes on serving its present clients when any one part is lost now; null: not known. */
  readonly holdsNMinusOne: boolean | null;
  /** The reasons against it. */
  readonly because: readonly string[];
}

type Views = readonly { readonly haproxy: Haproxy; readonly rows: readonly ServerRow[] | None }[];

/**
 * Asks every part. Where a part is unhealthy, or has not answered within 2 s, all parts are asked once more with a longer
 * limit, before that counts.
 */
export async function tierStatus(tier: Tier): Promise<TierStatus> {
  const first = await look(tier, ASK_LIMIT_MS);
  return first.holdsNMinusOne ? first : look(tier, ASK_AGAIN_LIMIT_MS);
}

async function look(tier: Tier, limitMs: number): Promise<TierStatus> {
  const { layout } = tier;
  const processes = await tier.parts();
  const [views, found, configuration, etcds, brokers, keeping] = await Promise.all([
    Promise.all(
      layout.haproxies.map(async (haproxy) => {
        return { haproxy, rows: await answer(statistics(haproxy, { limitMs })) };
      }),
    ),
    members(layout.nodes, limitMs),
    configurationOf(layout.nodes).catch(() => undefined),
    Promise.all(
      layout.etcds.map(async (etcd) => ({ etcd, health: await answer(etcdHealth(etcd, limitMs)) })),
    ),
    Promise.all(
      layout.brokers.map(async (broker) => ({
        broker,
        health: await answer(askBroker(broker, AbortSignal.timeout(limitMs))),
      })),
    ),
    keepingOf(tier, limitMs),
  ]);
  const parts = await Promise.all([
    ...views.map((view) => haproxyStatus(view, processes)),
    ...layout.bouncers.map((bouncer) => bouncerStatus(tier, bouncer, views, processes, limitMs)),
    ...layout.nodes.map((node) => nodeStatus(tier, node, found, processes, limitMs)),
    ...etcds.map(({ etcd, health }) =>
      part(etcd.name, 'lease', processes, isNone(health) ? unanswered(health) : { state: 'up', detail: '' }),
    ),
    ...brokers.map(({ broker, health }) =>
      part(
        broker.name,
        'broker',
        processes,
        isNone(health) ? unanswered(health) : { state: 'up', detail: '' },
      ),
    ),
  ]);
  const synchronous = configuration ? configuration.synchronous_mode === true : hasSynchronous(found);
  const because = weaknesses(parts, synchronous);
  return {
    parts,
    synchronous,
    keeping,
    holdsNMinusOne: holds(parts, because),
    because,
  };
}

/** Parts that have not answered in time are no known fault. */
function holds(parts: readonly PartStatus[], because: readonly string[]): boolean | null {
  if (because.length === 0) return true;
  const silent = parts.filter(({ state }) => state === 'no answer');
  return silent.length > 0 && parts.every(({ state }) => state === 'up' || state === 'no answer')
    ? null
    : false;
}

/** The reason why there is no answer. */
type None = 'late' | 'refused';

const isNone = (answered: unknown): answered is None => answered === 'late' || answered === 'refused';

/** An answer, or the reason why there is none: a late answer proves less than a refused connection. */
function answer<T>(asked: Promise<T>): Promise<T | None> {
  return asked.catch((error: Error) =>
    error.name === 'TimeoutError' || /time-?out/i.test(error.message) ? 'late' : 'refused',
  );
}

const unanswered = (none: None): Pick<PartStatus, 'state' | 'detail'> =>
  none === 'late'
    ? { state: 'no answer', detail: 'did not answer in time' }
    : { state: 'down', detail: 'does not answer' };

function part(
  name: string,
  role: string,
  processes: Record<string, PartProcess>,
  known: Pick<PartStatus, 'state' | 'detail'> & Partial<PartStatus>,
): PartStatus {
  const entry = processes[name];
  const identity = entry?.process && isAlive(entry.process) ? entry.process : undefined;
  const why = entry?.held ? 'kept down by a drill' : known.detail || 'not running';
  const gone = identity ? {} : { state: 'down' as const, detail: why };
  return {
    name,
    role,
    lagBytes: null,
    connections: null,
    pid: identity?.pid ?? null,
    restarts: entry?.restarts ?? 0,
    ...known,
    ...gone,
  };
}

function haproxyStatus(view: Views[number], processes: Record<string, PartProcess>): PartStatus {
  const { haproxy, rows } = view;
  if (isNone(rows)) return part(haproxy.name, 'door', processes, unanswered(rows));
  const clients = rows
    .filter((row) => row.server === 'FRONTEND' && (row.proxy === 'writes' || row.proxy === 'reads'))
    .reduce((sum, row) => sum + row.sessions, 0);
  const doubts = doorDoubts(rows);
  return part(haproxy.name, 'door', processes, {
    state: doubts.length === 0 ? 'up' : 'in doubt',
    detail: doubts.join('; '),
    connections: clients,
  });
}

/** The servers that a HAProxy process leads bouncers to: each process has its own checks, and may differ from Patroni. */
export function doorDoubts(rows: readonly ServerRow[]): string[] {
  const leads = (proxy: string) =>
    rows.some((row) => row.proxy === proxy && !['FRONTEND', 'BACKEND'].includes(row.server) && isUp(row));
  return [
    ...(leads('leader') ? [] : ['leads to no primary']),
    ...(leads('replicas') ? [] : ['leads to no replica']),
  ];
}

async function bouncerStatus(
  tier: Tier,
  bouncer: Bouncer,
  views: Views,
  processes: Record<string, PartProcess>,
  limitMs: number,
): Promise<PartStatus> {
  const role = bouncer.upstream === 'leader' ? 'bouncer to the primary' : 'bouncer to the replicas';
  const proxy = bouncer.upstream === 'leader' ? 'bouncers' : 'read_bouncers';
  const [counts, paused] = await Promise.all([
    answer(poolCounts(bouncer, tier.secrets, limitMs)),
    isPaused(bouncer, tier.secrets, limitMs).catch(() => false),
  ]);
  const seen = views.flatMap(({ haproxy, rows }) => {
    const row = isNone(rows) ? undefined : rows.find((r) => r.proxy === proxy && r.server === bouncer.name);
    return row && !isUp(row) ? [`${haproxy.name} says ${row.status}`] : [];
  });
  const held = paused ? [`holds its clients (PAUSE) until: trunkline cluster undrain ${bouncer.name}`] : [];
  // The bouncer is late, but healthy for HAProxy: only this question's time limit counts against it.
  if (counts === 'late' && held.length + seen.length === 0)
    return part(bouncer.name, role, processes, unanswered(counts));
  const doubts = [...(isNone(counts) ? [unanswered(counts).detail] : []), ...held, ...seen];
  const all = isNone(counts) && seen.length === views.length;
  const state = doubts.length === 0 ? 'up' : all ? 'down' : 'in doubt';
  const waiting = !isNone(counts) && counts.waiting > 0 ? [`${counts.waiting} clients wait`] : [];
  return part(bouncer.name, role, processes, {
    state,
    detail: [...doubts, ...waiting].join('; '),
    connections: isNone(counts) ? null : counts.clients,
  });
}

async function nodeStatus(
  tier: Tier,
  node: Node,
  found: readonly Member[] | undefined,
  processes: Record<string, PartProcess>,
  limitMs: number,
): Promise<PartStatus> {
  const member = found?.find((m) => m.name === node.name);
  const clients = await answer(clientsOf(tier, node, limitMs));
  const connections = isNone(clients) ? null : clients;
  const words = { leader: 'primary', sync_standby: 'sync standby', replica: 'replica' } as const;
  const well = member !== undefined && isWell(member);
  const role = member ? words[member.role] : 'unknown';
  if (clients === 'late' && (well || found === undefined))
    return part(node.name, role, processes, unanswered(clients));
  const state = well && connections !== null ? 'up' : well || connections !== null ? 'in doubt' : 'down';
  const detail = [
    ...(well ? [] : [`Patroni says ${member?.state ?? 'nothing'}`]),
    ...(connections === null ? ['PostgreSQL does not answer'] : []),
  ].join('; ');
  return part(node.name, role, processes, {
    state,
    detail,
    lagBytes: typeof member?.lag === 'number' ? member.lag : null,
    connections,
  });
}

/** Client connections of one PostgreSQL, without this question's own. */
async function clientsOf(tier: Tier, node: Node, limitMs: number): Promise<number> {
  const client = new pg.Client({
    host: node.host,
    port: node.port,
    database: 'trunkline',
    user: 'trunkline',
    password: tier.secrets.app,
    connectionTimeoutMillis: limitMs,
    query_timeout: limitMs,
  });
  client.on('error', () => {});
  try {
    await client.connect();
    const { rows } = await client.query<{ n: string }>(
      "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = 'trunkline' AND pid <> pg_backend_pid()",
    );
    return Number(rows[0]?.n);
  } finally {
    void client.end().catch(() => undefined);
  }
}

/**
 * The parts of the service that one more loss would stop, from the states and loads of all parts.
 * @param synchronous then Patroni promotes only the replica that confirms commits
 */
export function weaknesses(parts: readonly PartStatus[], synchronous: boolean): string[] {
  const found = parts.filter((p) => p.state !== 'up').map(fault);
  // A part that has not answered in time counts as up here.
  const up = (role: string) =>
    parts.filter((p) => p.role === role && (p.state === 'up' || p.state === 'no answer'));
  const clients = (some: readonly PartStatus[]) => some.reduce((sum, p) => sum + (p.connections ?? 0), 0);

  // A door in doubt accepts clients all the same.
  const doors = parts.filter((p) => p.role === 'door' && p.state !== 'down');
  const doorClients = haproxyLimits(openFilesLimit(doors[0]?.pid ?? 'self')).clients;
  if (doors.length < 2)
    found.push('with one HAProxy process, its loss closes the door until it is restarted');
  else if (clients(doors) > (doors.length - 1) * doorClients) {
    found.push(`${clients(doors)} clients are more than ${doors.length - 1} HAProxy process(es) can take`);
  }
  for (const role of ['bouncer to the primary', 'bouncer to the replicas']) {
    const bouncers = up(role);
    if (bouncers.length < 2) found.push(`fewer than two are left of: ${role}`);
    else if (clients(bouncers) > (bouncers.length - 1) * BOUNCER_CLIENTS) {
      found.push(`${clients(bouncers)} clients are more than ${bouncers.length - 1} of "${role}" can take`);
    }
  }
  if (up('primary').length === 0) found.push('there is no primary');
  if (synchronous) {
    if (up('sync standby').length === 0) found.push('no replica confirms commits, so none would take over');
  } else if (![...up('replica'), ...up('sync standby')].some(promotable)) {
    found.push('no replica is near enough to the primary to take over');
  }
  return found;
}

const fault = ({ name, state, detail }: PartStatus): string =>
  state === 'no answer' ? `${name} ${detail}` : `${name} is ${state}: ${detail}`;

const promotable = (replica: PartStatus): boolean =>
  replica.lagBytes !== null && replica.lagBytes <= CAUGHT_UP_BYTES;
