/** The tier counts as up when writes and reads go through, with every part in its place. */
import pg from 'pg';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { listens } from '../listens.ts';
import { etcdHealth } from './etcd.ts';
import { isUp, statistics } from './haproxy.ts';
import type { Etcd } from './layout.ts';
import { configurationOf, hasSynchronous, isWell, members, setSynchronous } from './patroni.ts';
import { askBroker } from './questions.ts';
import type { Tier } from './tier.ts';

const ETCD_LIMIT_MS = 20_000;
/** A first start makes a database and copies it twice. */
const SERVING_LIMIT_MS = 120_000;
const SYNCHRONOUS_LIMIT_MS = 30_000;
const POLL_MS = 250;
const REQUEST_LIMIT_MS = 2_000;

/** Waits for etcd: a Patroni without etcd gives up. */
export function waitForEtcd(etcd: Etcd, signal?: AbortSignal): Promise<void> {
  const missing = async () => {
    await etcdHealth(etcd, REQUEST_LIMIT_MS);
    return undefined;
  };
  return waitFor(ETCD_LIMIT_MS, missing, signal);
}

/** Waits until writes and reads go through, all bouncers are UP at all doors, and both replicas are attached. */
export async function waitUntilServing(tier: Tier, signal?: AbortSignal): Promise<void> {
  await waitFor(SERVING_LIMIT_MS, () => whatIsMissing(tier), signal);
}

/** The reason why the tier is not complete; undefined when it is. */
export async function whatIsMissing(tier: Tier): Promise<string | undefined> {
  const { layout } = tier;
  const found = await members(layout.nodes);
  if (!found) return 'no Patroni answers yet';
  const well = found.filter(isWell);
  if (!well.some((member) => member.role === 'leader')) return 'no primary yet';
  const waiting = layout.nodes.filter((node) => !well.some((member) => member.name === node.name));
  if (waiting.length > 0) return `${waiting.map((node) => node.name).join(', ')}: not running yet`;
  // Patroni promotes only a replica that has confirmed every commit: without one, the tier survives no crash.
  const { synchronous_mode: synchronous } = await configurationOf(layout.nodes);
  if (synchronous === true && !hasSynchronous(found)) return 'no replica confirms commits yet';
  for (const haproxy of layout.haproxies) {
    const rows = await statistics(haproxy);
    for (const [proxy, atLeast] of Object.entries({
      bouncers: layout.bouncers.filter((bouncer) => bouncer.upstream === 'leader').length,
      read_bouncers: layout.bouncers.filter((bouncer) => bouncer.upstream === 'replicas').length,
      leader: 1,
      replicas: 2,
    })) {
      const up = rows.filter((row) => row.proxy === proxy && !isSum(row.server) && isUp(row)).length;
      if (up < atLeast) return `${haproxy.name}: ${up} of ${atLeast} up in "${proxy}"`;
    }
  }
  // HAProxy takes a moment to see that a server has gone.
  for (const { name, host, port } of layout.bouncers)
    if (!(await listens(host, port))) return `${name} does not listen`;
  await ask(tier.writeUrl, 'SELECT pg_is_in_recovery() AS no');
  for (const broker of layout.brokers) {
    const answered = await askBroker(broker, AbortSignal.timeout(REQUEST_LIMIT_MS)).then(
      () => true,
      () => false,
    );
    if (!answered) return `${broker.name} does not answer yet`;
  }
  await ask(tier.readUrl, 'SELECT NOT pg_is_in_recovery() AS no');
  return undefined;
}

const isSum = (server: string): boolean => server === 'FRONTEND' || server === 'BACKEND';

/** Switches synchronous replication, and when it is switched on waits until a replica confirms commits. */
export async function applySynchronous(tier: Tier, on: boolean): Promise<void> {
  const { nodes } = tier.layout;
  const now = (await configurationOf(nodes)).synchronous_mode === true;
  if (now !== on) await setSynchronous(nodes, tier.secrets, on);
  await waitFor(SYNCHRONOUS_LIMIT_MS, async () => {
    const confirmed = hasSynchronous(await members(nodes));
    return confirmed === on ? undefined : `synchronous replication is not ${on ? 'on' : 'off'} yet`;
  });
}

/** @throws Error when the answer is not a plain no */
async function ask(url: string, sql: string): Promise<void> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: REQUEST_LIMIT_MS,
    query_timeout: REQUEST_LIMIT_MS,
  });
  client.on('error', () => {});
  await client.connect();
  try {
    const { rows } = await client.query<{ no: boolean }>(sql);
    if (rows[0]?.no !== false) throw new Error(`"${sql}" came to the wrong server`);
  } finally {
    void client.end().catch(() => undefined);
  }
}

/** Tries until nothing is missing. @throws Error with the last missing part */
export async function waitFor(
  limitMs: number,
  missing: () => Promise<string | undefined>,
  signal?: AbortSignal,
): Promise<void> {
  const deadline = systemClock.monotonic() + limitMs;
  for (;;) {
    signal?.throwIfAborted();
    const fault = await missing().catch((error: Error) => error.message);
    if (fault === undefined) return;
    if (systemClock.monotonic() > deadline) {
      throw new Error(`the tier did not get ready within ${limitMs / 1_000} s: ${fault}`);
    }
    await systemClock.sleep(POLL_MS);
  }
}
