/** What the monitor tells of the embedded PostgreSQL, which is killed and started again between two polls. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { webhookReceiver } from '#engines/alert_receivers.ts';
import { startOfPostgres } from '#engines/postgres.ts';
import { type PostgresEvent, supervisePostgres } from '#engines/postgres_supervisor.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { hookedMonitor } from '#tests/hooked_monitor.ts';
import { eventually } from '#tests/monitor_tier.ts';

/** No poll comes by itself while an outage lasts. */
const POLL_INTERVAL_MS = 600_000;
const TOLD = /^PostgreSQL was DOWN for (\d+) s and is UP again$/;

test('each kill of the embedded PostgreSQL is reported when it serves again, with the length of the outage', {
  timeout: 120_000,
}, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'trunkline-monitor-embedded-'));
  const hook = await webhookReceiver();
  const stopping = new AbortController();
  const events: { event: PostgresEvent; at: number }[] = [];
  const postgres = await supervisePostgres({ folder, database: 'it' }, systemClock, (event) =>
    events.push({ event, at: systemClock.monotonic() }),
  );
  const count = (event: PostgresEvent) => events.filter((one) => one.event === event).length;
  const monitor = await hookedMonitor(hook.url, {
    server: { name: 'primary', read: () => startOfPostgres(folder) },
    stateFile: join(folder, 'monitor.json'),
    pollIntervalMs: POLL_INTERVAL_MS,
  });
  const running = monitor.run(stopping.signal);
  try {
    await eventually('a first poll', () => monitor.topology.at !== null);
    for (const kill of [1, 2]) {
      await systemClock.sleep(1_500);
      const pid = Number((await startOfPostgres(folder))?.split(' ')[0]);
      const killedAt = systemClock.monotonic();
      process.kill(pid, 'SIGKILL');
      await eventually('it serves again', () => count('restarted') === kill);
      const lastedS = (systemClock.monotonic() - killedAt) / 1_000;
      await eventually('it is told', () => hook.taken.length === kill);
      const seconds = Number(TOLD.exec(hook.taken.at(-1)?.message ?? '')?.[1]);
      assert.ok(Math.abs(seconds - lastedS) <= 2.5, `${hook.taken.at(-1)?.message}, not ${lastedS}`);
    }
    assert.equal(monitor.state.alerts.history.filter(({ rule }) => rule === 'PostgresDown').length, 2);
  } finally {
    stopping.abort();
    await running;
    await postgres.stop();
    await hook.stop();
    await rm(folder, { recursive: true, force: true });
  }
});
