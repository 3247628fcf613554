/** What keeps the tier in order, killed and frozen: etcd, the supervisor, the lease. Clients see nothing; the monitor tells. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { webhookReceiver } from '#engines/alert_receivers.ts';
import { freezeFamily, signal } from '#engines/cluster/processes.ts';
import { readState } from '#engines/cluster/state.ts';
import { findTier, type Tier } from '#engines/cluster/tier.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { etcdKeeper, KEEPER_SILENT_S, LEASE_OLD_S, leaseReader } from '#services/monitor/keepers.ts';
import { type Monitor, POLL_INTERVAL_MS } from '#services/monitor/monitor.ts';
import { clusterSkip, makeTestCluster, type TestCluster } from '#tests/cluster.ts';
import { hookedMonitor } from '#tests/hooked_monitor.ts';
import { eventually } from '#tests/monitor_tier.ts';

/** A rule's own time, and ten seconds. */
const TOLD_LIMIT_MS = KEEPER_SILENT_S * 1_000 + 10_000;

suite('the monitor misses what keeps the tier', { skip: clusterSkip(), timeout: 300_000 }, () => {
  let cluster: TestCluster;
  let tier: Tier;
  let monitor: Monitor;
  let hook: Awaited<ReturnType<typeof webhookReceiver>>;
  let running: Promise<void>;
  const stopping = new AbortController();
  const told = (words: RegExp, kind: string) =>
    hook.taken.filter((notice) => words.test(notice.message) && notice.kind === kind).length;
  const stateOf = (id: string) => monitor.topology.parts.find((part) => part.id === id)?.state;

  before(async () => {
    cluster = await makeTestCluster();
    await cluster.up();
    tier = await findTier(cluster.data);
    hook = await webhookReceiver();
    const urls = tier.layout.etcds.map(({ host, port }) => `http://${host}:${port}`);
    monitor = await hookedMonitor(hook.url, {
      keepers: {
        sources: [
          etcdKeeper('etcd', urls[0]!),
          { name: 'supervisor', kind: 'supervisor', ask: () => tier.parts() },
        ],
        readLease: leaseReader(urls),
      },
      stateFile: join(cluster.data, 'monitor.json'),
      pollIntervalMs: POLL_INTERVAL_MS,
    });
    running = monitor.run(stopping.signal);
    await eventually('all are known', async () => {
      await monitor.poll();
      return ['etcd', 'supervisor', 'lease'].every((id) => stateOf(id) === 'UP');
    });
  });
  after(async () => {
    stopping.abort();
    await running;
    await hook?.stop();
    await cluster?.destroy();
  });

  /** Takes one away; waits until that is told once, then puts it back, and waits until that is told, too. */
  async function missed(id: string, words: RegExp, back: RegExp, take: () => Promise<() => Promise<void>>) {
    const [before, backBefore] = [told(words, 'firing'), told(back, 'resolved')];
    const goneAt = systemClock.monotonic();
    const putBack = await take();
    try {
      await eventually('it is told', () => told(words, 'firing') > before);
      const toldMs = systemClock.monotonic() - goneAt;
      assert.ok(toldMs <= TOLD_LIMIT_MS, `told after ${toldMs} ms`);
      assert.equal(stateOf(id), 'DOWN');
    } finally {
      await putBack();
    }
    await eventually('its end is told', () => told(back, 'resolved') > backBefore);
    assert.deepEqual([told(words, 'firing'), stateOf(id)], [before + 1, 'UP']);
  }

  test('etcd is killed: the monitor reports it, and the picture shows the old lease, which nobody renews', async () => {
    await missed('etcd', /^etcd has not answered/, /^etcd answers/, async () => {
      const { pid } = await tier.processOf('etcd');
      await tier.hold('etcd');
      signal(pid, 'SIGKILL');
      return async () => {
        await systemClock.sleep((LEASE_OLD_S + 1 - KEEPER_SILENT_S) * 1_000);
        await monitor.poll();
        assert.equal(stateOf('lease'), 'DOWN');
        await tier.release('etcd');
      };
    });
    assert.equal(told(/lease/, 'firing'), 0, 'a consequence of what is told');
    await eventually('the lease is renewed', async () => {
      await monitor.poll();
      return stateOf('lease') === 'UP';
    });
  });

  test('etcd is frozen: the monitor reports it', async () => {
    await missed('etcd', /^etcd has not answered/, /^etcd answers/, async () => {
      const { pid } = await tier.processOf('etcd');
      await tier.hold('etcd');
      const frozen = freezeFamily(pid);
      return async () => {
        for (const member of frozen) signal(member, 'SIGCONT');
        await tier.release('etcd');
      };
    });
  });

  test('every Patroni is frozen and etcd is healthy: the lease runs out, and the monitor reports it', async () => {
    const frozen: number[] = [];
    for (const { name } of tier.layout.nodes) {
      await tier.hold(name);
      const { pid } = await tier.processOf(name);
      // Patroni alone; PostgreSQL is no member of its group.
      frozen.push(pid);
      signal(pid, 'SIGSTOP');
    }
    const frozenAt = systemClock.monotonic();
    try {
      await systemClock.sleep(LEASE_OLD_S * 1_000);
      await eventually('it is told', () => told(/lease of the primary has not been renewed/, 'firing') === 1);
      const toldMs = systemClock.monotonic() - frozenAt;
      assert.ok(toldMs <= LEASE_OLD_S * 1_000 + 10_000, `told after ${toldMs} ms`);
    } finally {
      for (const pid of frozen) signal(pid, 'SIGCONT');
      for (const { name } of tier.layout.nodes) await tier.release(name);
    }
    await eventually('its end is told', async () => {
      await monitor.poll();
      return told(/lease of the primary is renewed/, 'resolved') === 1;
    });
  });

  test('the supervisor is frozen, then killed: the monitor reports it', async () => {
    const supervisor = async () => (await readState(cluster.data))!.supervisor.pid;
    const words = [/supervisor of the tier has not answered/, /supervisor of the tier answers/] as const;
    const pid = await supervisor();
    await missed('supervisor', ...words, async () => {
      signal(pid, 'SIGSTOP');
      return async () => signal(pid, 'SIGCONT');
    });
    await missed('supervisor', ...words, async () => {
      signal(pid, 'SIGKILL');
      return async () => void (await cluster.up());
    });
  });
});
