/**
 * What callers of the API see of each part's death and freeze: the longest time without an answer to `GET /cdrs` and to
 * `POST /cdrs`, measured at the service and not at the part. infrastructure/README.md promises the times.
 */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { leaderOf } from '#engines/cluster/patroni.ts';
import { familyOf, freezeFamily, postmasterOf, signal, until } from '#engines/cluster/processes.ts';
import { waitFor, whatIsMissing } from '#engines/cluster/readiness.ts';
import { findTier } from '#engines/cluster/tier.ts';
import { createPool } from '#platform/database/pool.ts';
import { migrateAll } from '#platform/database/upgrade.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { importDemo } from '#services/calls/jobs/demo.ts';
import { SCHEMAS } from '#system';
import { testApi } from '#tests/calls_api.ts';
import { clusterSkip, makeTestCluster } from '#tests/cluster.ts';
import { ask } from '#tests/load.ts';

const PAGE = '/cdrs?i_account=1&limit=20';
const READERS = 6;
const PAUSE_MS = 20;
const NORMAL_MS = 2_000;
const READY_LIMIT_MS = 30_000;
const WHOLE_LIMIT_MS = 120_000;
/** A switch gives up on a post before the program does. */
const POST_LIMIT_MS = 10_000;

type Fault = 'killed' | 'frozen';

interface Case {
  readonly part: string;
  readonly fault: Fault;
  /** How long the part stays away. */
  readonly awayMs: number;
  /** Longest times without an answer. */
  readonly readMs: number;
  readonly writeMs: number;
}

const CASES: readonly Case[] = [
  { part: 'pgr1', fault: 'killed', awayMs: 6_000, readMs: 3_000, writeMs: 3_000 },
  { part: 'pgr1', fault: 'frozen', awayMs: 14_000, readMs: 12_000, writeMs: 3_000 },
  { part: 'pgb1', fault: 'frozen', awayMs: 14_000, readMs: 3_000, writeMs: 12_000 },
  { part: 'a replica', fault: 'killed', awayMs: 6_000, readMs: 2_000, writeMs: 3_000 },
  { part: 'a replica', fault: 'frozen', awayMs: 20_000, readMs: 12_000, writeMs: 3_000 },
  { part: 'the primary', fault: 'killed', awayMs: 40_000, readMs: 4_000, writeMs: 32_000 },
  { part: 'Patroni of the primary', fault: 'killed', awayMs: 6_000, readMs: 2_000, writeMs: 12_000 },
  { part: 'Patroni of the primary', fault: 'frozen', awayMs: 6_000, readMs: 2_000, writeMs: 12_000 },
  { part: 'etcd', fault: 'frozen', awayMs: 10_000, readMs: 2_000, writeMs: 2_000 },
  { part: 'haproxy1', fault: 'killed', awayMs: 6_000, readMs: 3_000, writeMs: 3_000 },
  // The supervisor kills it after three unanswered questions.
  { part: 'haproxy1', fault: 'frozen', awayMs: 25_000, readMs: 12_000, writeMs: 12_000 },
];

const skip = clusterSkip();
suite('the API while a part of the tier is away', { skip, timeout: 900_000 }, async () => {
  if (skip) return;
  const cluster = await makeTestCluster();
  after(() => cluster.destroy());
  await cluster.up();
  const tier = await findTier(cluster.data);
  const pool = createPool({
    url: tier.writeUrl,
    applicationName: 'test',
    size: 3,
    onIdleError: () => undefined,
  });
  after(() => pool.end());
  await migrateAll(pool, SCHEMAS);
  await importDemo(pool, Date.now());
  const api = await testApi(
    { poolSize: 6 },
    { database: { url: tier.writeUrl, pool }, replicaUrls: [tier.readUrl] },
  );
  const operator = await api.key('operator');
  const ingest = await api.key('ingest');
  assert.ok(await until(async () => (await api.get(PAGE, operator)).status === 200, READY_LIMIT_MS));

  /** Readers and a switch that ask without end; `stop` tells the longest time in which none of them was answered. */
  function callers() {
    const startedAt = performance.now();
    const silence = { read: { last: startedAt, longest: 0 }, write: { last: startedAt, longest: 0 } };
    let stopping = false;
    const note = (kind: 'read' | 'write') => {
      const now = performance.now();
      silence[kind].longest = Math.max(silence[kind].longest, now - silence[kind].last);
      silence[kind].last = now;
    };
    const read = async () => {
      while (!stopping) {
        const { status } = await ask({ url: api.calls.url, key: operator, path: PAGE, timeoutS: 2 });
        if (status === 200) note('read');
        await systemClock.sleep(PAUSE_MS);
      }
    };
    const write = async () => {
      for (let number = 0; !stopping; number++) {
        if (await post(number)) note('write');
        await systemClock.sleep(PAUSE_MS);
      }
    };
    const running = [...Array.from({ length: READERS }, read), write(), write()];
    return {
      silence,
      stop: async () => {
        stopping = true;
        await Promise.all(running);
        for (const kind of ['read', 'write'] as const) note(kind);
        return { readMs: silence.read.longest, writeMs: silence.write.longest };
      },
    };
  }

  async function post(number: number): Promise<boolean> {
    const record = {
      account: 'acme',
      call_id: `outage-${process.pid}-${performance.now()}-${number}`,
      cli: '+493023125001',
      cld: '+442079460001',
      start_time: new Date(Date.now() - 60_000).toISOString(),
      duration_s: 5,
      result: 'busy',
    };
    const answer = await fetch(`${api.calls.url}/cdrs`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ingest}`, 'content-type': 'application/json' },
      body: JSON.stringify([record]),
      signal: AbortSignal.timeout(POST_LIMIT_MS),
    }).catch(() => undefined);
    return answer?.status === 200;
  }

  /** The supervised part that a case is about, and the processes that it takes away. */
  async function victim(part: string): Promise<{ held: string; processes: number[] }> {
    const leader = (await leaderOf(tier.layout.nodes))!;
    const replica = tier.layout.nodes.find((node) => node !== leader)!;
    const node = part === 'a replica' ? replica : leader;
    if (part === 'a replica' || part === 'the primary') {
      const patroni = (await tier.processOf(node.name)).pid;
      return {
        held: node.name,
        processes: [...familyOf(patroni), ...familyOf(postmasterOf(node.folder)!.pid)],
      };
    }
    const held = part === 'Patroni of the primary' ? leader.name : part;
    const { pid } = await tier.processOf(held);
    const postgres = part === 'Patroni of the primary' ? familyOf(postmasterOf(leader.folder)!.pid) : [];
    return { held, processes: familyOf(pid).filter((member) => !postgres.includes(member)) };
  }

  for (const { part, fault, awayMs, readMs, writeMs } of CASES) {
    test(`${part} ${fault}: reads work again within ${readMs / 1000} s, posts within ${writeMs / 1000} s`, async (t) => {
      await waitFor(WHOLE_LIMIT_MS, () => whatIsMissing(tier));
      const load = callers();
      await systemClock.sleep(NORMAL_MS);
      const { held, processes } = await victim(part);
      if (fault === 'killed') await tier.hold(held);
      const frozen = fault === 'frozen' ? processes.flatMap((pid) => freezeFamily(pid)) : [];
      if (fault === 'killed') for (const pid of processes) signal(pid, 'SIGKILL');
      try {
        await systemClock.sleep(awayMs);
      } finally {
        for (const pid of frozen) signal(pid, 'SIGCONT');
        if (fault === 'killed') await tier.release(held);
      }
      await systemClock.sleep(NORMAL_MS);
      const longest = await load.stop();
      t.diagnostic(`silent: reads ${Math.round(longest.readMs)} ms, posts ${Math.round(longest.writeMs)} ms`);
      assert.ok(longest.readMs <= readMs, `reads were silent for ${longest.readMs} ms`);
      assert.ok(longest.writeMs <= writeMs, `posts were silent for ${longest.writeMs} ms`);
      await waitFor(WHOLE_LIMIT_MS, () => whatIsMissing(tier));
    });
  }
});
