/** What the monitor tells when parts of a real tier die: real HAProxy, real PgBouncers, strict receivers. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, suite, test } from 'node:test';
import {
  type Receiver,
  type SlackMessage,
  slackReceiver,
  WEBHOOK_SECRET,
  type WebhookMessage,
  webhookReceiver,
} from '#engines/alert_receivers.ts';
import { missingPrograms } from '#engines/cluster/programs.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { createLogger } from '#platform/telemetry/logger.ts';
import type { Channel } from '#services/monitor/channels/channel.ts';
import { slackChannel } from '#services/monitor/channels/slack.ts';
import { webhookChannel } from '#services/monitor/channels/webhook.ts';
import { createMonitor, type Monitor } from '#services/monitor/monitor.ts';
import { eventually, type MonitorTier, startMonitorTier } from '#tests/monitor_tier.ts';

const missing = missingPrograms();
const skip = missing.length > 0 && `not installed: ${missing.join(', ')} (scripts/engines installs them)`;

suite('the monitor at a tier whose parts die', { skip, timeout: 120_000 }, () => {
  let tier: MonitorTier;
  let hook: Receiver<WebhookMessage>;
  let slack: Receiver<SlackMessage>;
  let folder: string;
  let monitor: Monitor;
  let stopping: AbortController;
  let running: Promise<void>;
  const said = () => hook.taken.map(({ message }) => message);
  const toldSo = (count: number) =>
    eventually(`${count} messages, not ${JSON.stringify(said())}`, () => hook.taken.length >= count);

  const open = async (): Promise<Monitor> => {
    const from = 'info' as const;
    const channels: Channel[] = [
      webhookChannel({
        url: hook.url,
        secret: WEBHOOK_SECRET,
        from,
        runbookUrl: undefined,
        clock: systemClock,
      }),
      slackChannel({ webhookUrl: slack.url, from, runbookUrl: 'https://example.com/RUNBOOK.md' }),
    ];
    return createMonitor({
      haproxies: [tier.source],
      services: [],
      doors: [],
      bouncers: [],
      disks: [],
      askDoor: () => Promise.reject(new Error('there is no door')),
      channels,
      stateFile: join(folder, 'state.json'),
      pollIntervalMs: 500,
      heartbeat: false,
      clock: systemClock,
      random: Math.random,
      logger: createLogger('monitor', 'silent'),
    });
  };
  const go = () => {
    stopping = new AbortController();
    running = monitor.run(stopping.signal);
  };
  const halt = async () => {
    stopping.abort();
    await running;
  };

  before(async () => {
    tier = await startMonitorTier();
  });
  after(() => tier?.stop());
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'trunkline-monitor-state-'));
    hook = await webhookReceiver();
    slack = await slackReceiver();
    monitor = await open();
    stopping = new AbortController();
    running = Promise.resolve();
  });
  afterEach(async () => {
    await halt();
    assert.deepEqual([...hook.rejected, ...slack.rejected], []);
    await Promise.all([hook.stop(), slack.stop()]);
    await rm(folder, { recursive: true, force: true });
  });

  test('a killed bouncer: one alert and one recovery, in the words of the reference', async () => {
    go();
    await eventually('a first poll', () => monitor.topology.at !== null);
    await tier.kill('pgb2');
    await toldSo(1);
    tier.start('pgb2');
    await toldSo(2);
    await monitor.poll();
    const [alert, recovery] = hook.taken;
    assert.deepEqual([alert?.title, alert?.message], ['PgBouncer Alert', 'pgb2 is DOWN']);
    assert.equal(recovery?.message, 'pgb2 is back UP');
    assert.match(recovery?.details[0] ?? '', /^pgb2: after \d+ s$/);
    assert.equal(hook.taken.length, 2);
    await eventually('Slack too', () => slack.taken.length === 2);
    assert.deepEqual(
      slack.taken.map(({ attachments }) => attachments[0]?.color),
      ['#f9a825', '#2e7d32'],
    );
    assert.match(
      JSON.stringify(slack.taken[0]),
      /<https:\/\/example\.com\/RUNBOOK\.md#pgbouncerdown\|Runbook>/,
    );
  });

  test('down between two polls: one notice, with the approximate length', async () => {
    await monitor.poll();
    await tier.kill('pgb2');
    await tier.until('pgb2', (row) => row.status === 'DOWN' && row.lastChangeS >= 2);
    tier.start('pgb2');
    await tier.until('pgb2', (row) => row.status === 'UP');
    go();
    await toldSo(1);
    await monitor.poll();
    await monitor.poll();
    assert.deepEqual(said(), ['pgb2 was DOWN for a short time and is UP again']);
    assert.match(hook.taken[0]?.details[0] ?? '', /about [2-9] s, between two polls$/);
  });

  test("the length of an outage is HAProxy's, not that of the polls; an outage that begins seconds after another is reported, too", async () => {
    const downS = async () => {
      let seen = 0;
      await tier.until('pgb2', ({ downtimeS }) => {
        seen = downtimeS;
        return true;
      });
      return seen;
    };
    const before = await downS();
    await monitor.poll();
    await tier.kill('pgb2');
    await tier.until('pgb2', (row) => row.status === 'DOWN' && row.lastChangeS >= 2);
    await monitor.poll();
    tier.start('pgb2');
    await tier.until('pgb2', (row) => row.status === 'UP' && row.lastChangeS >= 4);
    await monitor.poll();
    const after = await downS();
    await tier.kill('pgb2');
    await tier.until('pgb2', (row) => row.status === 'DOWN');
    tier.start('pgb2');
    await tier.until('pgb2', (row) => row.status === 'UP');
    go();
    await toldSo(3);
    assert.deepEqual(said(), [
      'pgb2 is DOWN',
      'pgb2 is back UP',
      'pgb2 was DOWN for a short time and is UP again',
    ]);
    const told = Number(/^pgb2: after (\d+) s$/.exec(hook.taken[1]?.details[0] ?? '')?.[1]);
    assert.ok(Math.abs(told - (after - before)) <= 1, `${told} s of ${after - before}`);
  });

  test('an administrator takes out a part that is DOWN: it is reported so, and never as back UP', async () => {
    go();
    await eventually('a first poll', () => monitor.topology.at !== null);
    await tier.kill('pgb2');
    await toldSo(1);
    await tier.tell('set server bouncers/pgb2 state maint');
    await toldSo(3);
    tier.start('pgb2');
    await tier.tell('set server bouncers/pgb2 state ready');
    await toldSo(4);
    await monitor.poll();
    assert.deepEqual(said(), [
      'pgb2 is DOWN',
      'pgb2 is no longer DOWN, but taken out (MAINT or DRAIN)',
      'pgb2 was taken out by hand (MAINT or DRAIN)',
      'pgb2 is no longer taken out',
    ]);
    await tier.until('pgb2', (row) => row.status === 'UP' && row.check === 'L7OK');
  });

  test('HAProxy is killed: one alert for HAProxy, none for the parts behind it, and its recovery', async () => {
    go();
    await eventually('a first poll', () => monitor.topology.at !== null);
    await tier.kill('haproxy');
    await toldSo(1);
    const polledAt = monitor.topology.at;
    await eventually('another poll', () => monitor.topology.at !== polledAt);
    tier.start('haproxy');
    await toldSo(2);
    await tier.until('pgb2', (row) => row.status === 'UP' && row.check === 'L7OK');
    await monitor.poll();
    assert.deepEqual(said(), ['haproxy1 is DOWN', 'haproxy1 is back UP']);
  });

  test('all connections of HAProxy are in use: the page hangs, the UNIX socket answers, no part is reported as DOWN', async () => {
    await monitor.poll();
    const sockets: Socket[] = [];
    try {
      const port = Number(new URL(tier.source.pageUrl!).port);
      for (let n = 0; n < 60; n++) sockets.push(connect(port, '127.0.0.1').on('error', () => undefined));
      await eventually('the page to hang', () => {
        const asked = fetch(tier.source.pageUrl!, {
          headers: { connection: 'close' },
          signal: AbortSignal.timeout(300),
        });
        return asked.then(
          () => false,
          () => true,
        );
      });
      await monitor.poll();
      const parts = monitor.topology.parts.filter((part) => part.role !== 'monitor');
      assert.deepEqual(new Set(parts.map((part) => part.state)), new Set(['UP']));
      const page = monitor.samples.find((one) => one.name === 'monitor_haproxy_page_up');
      assert.equal(page?.value, 0);
      assert.deepEqual(said(), []);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  });

  test('stopped and started again: earlier events are not reported again, and events in between are', async () => {
    await tier.kill('pgb1');
    await tier.until('pgb1', (row) => row.status === 'DOWN');
    go();
    await toldSo(1);
    await halt();
    monitor = await open();
    go();
    await eventually('a poll', () => monitor.topology.at !== null);
    assert.deepEqual(said(), ['pgb1 is DOWN']);
    await halt();
    tier.start('pgb1');
    await tier.until('pgb1', (row) => row.status === 'UP');
    monitor = await open();
    go();
    await toldSo(2);
    assert.deepEqual(said(), ['pgb1 is DOWN', 'pgb1 is back UP']);
  });
});
