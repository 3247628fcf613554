/** What becomes of alerts when channels, the disk, the clock or the monitor itself fail. The receivers are strict. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, statfs, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, suite, test } from 'node:test';
import { slackReceiver, WEBHOOK_SECRET, webhookReceiver } from '#engines/alert_receivers.ts';
import { type Clock, systemClock } from '#platform/lifecycle/clock.ts';
import { createFakeClock, type FakeClock } from '#platform/lifecycle/fake_clock.ts';
import { createLogger } from '#platform/telemetry/logger.ts';
import type { Channel } from '#services/monitor/channels/channel.ts';
import { emailChannels } from '#services/monitor/channels/email.ts';
import { pagerDutyChannel } from '#services/monitor/channels/pagerduty.ts';
import { slackChannel } from '#services/monitor/channels/slack.ts';
import { webhookChannel } from '#services/monitor/channels/webhook.ts';
import { SEND_TIMEOUT_MS } from '#services/monitor/deliveries.ts';
import { createMonitor, type Monitor } from '#services/monitor/monitor.ts';
import { mailReceiver, pagerDutyReceiver, ROUTING_KEY } from '#tests/alert_receivers.ts';
import { startCommand } from '#tests/command.ts';
import { type HaproxyPage, startHaproxyPage } from '#tests/haproxy_page.ts';
import { eventually } from '#tests/monitor_tier.ts';

const POLL_MS = 10_000;
const HOUR_MS = 3_600_000;

suite('alerts when something on their way fails', { timeout: 120_000 }, () => {
  let page: HaproxyPage;
  let slack: Awaited<ReturnType<typeof slackReceiver>>;
  let hook: Awaited<ReturnType<typeof webhookReceiver>>;
  let pager: Awaited<ReturnType<typeof pagerDutyReceiver>>;
  let mail: Awaited<ReturnType<typeof mailReceiver>>;
  let folder: string;
  let clock: FakeClock;
  let sendsMayHang: boolean;
  let recipients: readonly string[];
  let pagerKey: string;
  let stopping: AbortController;
  let running: Promise<void>;

  const channels = (): Channel[] => {
    const runbookUrl = 'https://example.com/RUNBOOK.md';
    const from = 'info' as const;
    return [
      slackChannel({ webhookUrl: slack.url, from, runbookUrl }),
      webhookChannel({ url: hook.url, secret: WEBHOOK_SECRET, from, runbookUrl, clock: systemClock }),
      pagerDutyChannel({ url: pager.url, routingKey: pagerKey, from, source: 'test', runbookUrl }),
      ...emailChannels({ smtpUrl: mail.url, sender: 'trunkline@example.com', from, runbookUrl }, recipients),
    ];
  };
  /** Waits pass by the test's clock; limits of reading and sending hold by the real one, or a slow machine would break them. */
  const clockOf = (): Clock => ({
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    sleep: (ms, signal) => clock.sleep(ms, signal),
    after: (ms, ...how) => (sendsMayHang && ms === SEND_TIMEOUT_MS ? clock : systemClock).after(ms, ...how),
  });
  const open = (state = join(folder, 'state.json'), heartbeat = false): Promise<Monitor> =>
    createMonitor({
      haproxies: [{ name: 'haproxy1', pageUrl: page.url, socket: undefined }],
      services: [],
      doors: [],
      bouncers: [],
      disks: [],
      askDoor: () => Promise.reject(new Error('there is no door')),
      channels: channels(),
      stateFile: state,
      pollIntervalMs: POLL_MS,
      heartbeat,
      clock: clockOf(),
      random: () => 1,
      logger: createLogger('monitor', 'silent'),
    });
  const go = (monitor: Monitor) => {
    stopping = new AbortController();
    running = monitor.run(stopping.signal);
  };
  const halt = async () => {
    stopping.abort();
    await running;
  };
  /** Moves time on until something holds, so that polls and pauses between attempts pass. */
  const passUntil = (what: string, holds: () => boolean) =>
    eventually(what, async () => {
      await clock.advance(1_000);
      return holds();
    });
  const said = () => hook.taken.map(({ message }) => message);
  const ofSlack = () => slack.taken.map(({ text }) => text);

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'trunkline-monitor-state-'));
    [page, slack, hook, pager, mail] = await Promise.all([
      startHaproxyPage(['pgb1', 'pgb2', 'pgb3']),
      slackReceiver(),
      webhookReceiver(),
      pagerDutyReceiver(),
      mailReceiver(),
    ]);
    clock = createFakeClock();
    sendsMayHang = false;
    recipients = ['ops@example.com'];
    pagerKey = ROUTING_KEY;
    stopping = new AbortController();
    running = Promise.resolve();
  });
  afterEach(async () => {
    await halt();
    assert.deepEqual(
      [slack, hook, pager, mail].flatMap(({ rejected }) => rejected),
      [],
    );
    await Promise.all([page, slack, hook, pager, mail].map((one) => one.stop()));
    await rm(folder, { recursive: true, force: true });
  });

  test('every channel gets an alert, its acknowledgement and its end', async () => {
    page.servers.pgb2 = 'DOWN';
    page.servers.pgb3 = 'DOWN';
    const monitor = await open();
    go(monitor);
    await passUntil(
      'alerts',
      () => pager.open.size === 2 && [hook, mail, slack].every(({ taken }) => taken.length === 1),
    );
    assert.deepEqual(said(), ['pgb2 is DOWN, pgb3 is DOWN']);
    // What only follows is in the details.
    assert.ok(hook.taken[0]!.details.includes('N-1 is not held: only 1 of bouncers is UP'));
    monitor.tell({
      kind: 'acknowledged',
      severity: 'warning',
      title: 'PgBouncer Alert',
      message: 'ann looks after it <now> & here',
      details: [],
      keys: [Object.keys(monitor.state.alerts.active)[0]!],
      runbook: 'pgbouncerdown',
    });
    page.servers.pgb2 = 'UP';
    page.servers.pgb3 = 'UP';
    await passUntil('recoveries', () => pager.open.size === 0 && mail.taken.length >= 3);
    assert.deepEqual(
      new Set(pager.taken.map(({ event_action }) => event_action)),
      new Set(['trigger', 'acknowledge', 'resolve']),
    );
    const [first] = mail.taken;
    assert.equal(first?.headers.subject, '[warning] PgBouncer Alert: pgb2 is DOWN, pgb3 is DOWN');
    assert.match(first?.text ?? '', /Runbook: https:\/\/example\.com\/RUNBOOK\.md#pgbouncerdown/);
    assert.equal(new Set(mail.taken.map(({ headers }) => headers['message-id'])).size, mail.taken.length);
    assert.equal(monitor.state.deliveries.length, 0);
  });

  test('Slack answers 429: the monitor keeps its Retry-After, other channels do not wait, nothing is lost or reordered', async () => {
    const askedAt: number[] = [];
    slack.misbehave = (attempt) => {
      askedAt.push(clock.monotonic());
      return attempt <= 2 ? { status: 429, headers: { 'retry-after': '30' } } : undefined;
    };
    const monitor = await open();
    page.servers.pgb2 = 'DOWN';
    go(monitor);
    await passUntil('the webhook', () => hook.taken.length === 1);
    page.servers.pgb2 = 'UP';
    await passUntil('the webhook again', () => hook.taken.length === 2);
    await passUntil('Slack', () => slack.taken.length === 2);
    assert.deepEqual(ofSlack(), ['PgBouncer Alert: pgb2 is DOWN', 'PgBouncer Alert: pgb2 is back UP']);
    assert.ok(askedAt[1]! - askedAt[0]! >= 30_000 && askedAt[2]! - askedAt[1]! >= 30_000);
  });

  test('Slack hangs for minutes: polling and the other channels continue, and they report it', async () => {
    let hangs = true;
    sendsMayHang = true;
    slack.misbehave = () => (hangs ? 'hang' : undefined);
    const monitor = await open();
    page.servers.pgb2 = 'DOWN';
    go(monitor);
    await passUntil('the webhook', () => said().includes('slack does not deliver alerts'));
    const polled = monitor.topology.at;
    await clock.advance(SEND_TIMEOUT_MS);
    await passUntil('a poll', () => monitor.topology.at !== polled);
    hangs = false;
    await passUntil('Slack', () => slack.taken.length > 0);
    await passUntil('its recovery', () => said().includes('slack delivers alerts again'));
    assert.equal(ofSlack()[0], 'PgBouncer Alert: pgb2 is DOWN');
    assert.match(
      JSON.stringify(slack.taken[0]),
      /may be a repeat/,
      'a request without an answer may have arrived',
    );
  });

  test('a message that Slack always refuses is given up with an error, and does not block the next', async () => {
    slack.misbehave = (attempt) => (attempt === 1 ? { status: 400 } : undefined);
    const monitor = await open();
    page.servers.pgb2 = 'DOWN';
    go(monitor);
    await passUntil('the webhook', () => hook.taken.length === 2);
    assert.deepEqual(said(), ['pgb2 is DOWN', 'slack refused for good: pgb2 is DOWN']);
    assert.match(hook.taken[1]!.details.join(), /answered 400: misbehaving/);
    page.servers.pgb2 = 'UP';
    await passUntil('Slack', () => slack.taken.length === 1);
    assert.deepEqual(ofSlack(), ['PgBouncer Alert: pgb2 is back UP']);
    assert.equal(monitor.deliveries.counts.get('slack')?.given_up, 1);
  });

  test('all channels always refuse a message: they do not report each other without end', async () => {
    for (const one of [slack, hook, pager]) one.misbehave = () => ({ status: 400 });
    const monitor = await open();
    page.servers.pgb2 = 'DOWN';
    go(monitor);
    await passUntil('the mails', () => mail.taken.length >= 4 && monitor.state.deliveries.length === 0);
    const { counts } = monitor.deliveries;
    assert.deepEqual(
      ['slack', 'webhook', 'pagerduty'].map((name) => counts.get(name)?.delivered),
      [0, 0, 0],
    );
    assert.ok(mail.taken.length < 10);
  });

  test('PagerDuty does not know the key: the incident waits for the right key', async () => {
    page.servers.pgb2 = 'DOWN';
    pagerKey = 'f'.repeat(32);
    go(await open());
    await passUntil('the refusal', () => said().includes('pagerduty does not deliver alerts'));
    await halt();
    assert.match(pager.rejected.splice(0).join(), /routing_key/);
    pagerKey = ROUTING_KEY;
    go(await open());
    await passUntil('the incident', () => [...pager.open].some((key) => key.includes('PgBouncerDown')));
  });

  test('parts that fail at the same time: an incident for each part, in its own words', async () => {
    page.servers.pgb2 = 'DOWN';
    page.servers.pgb1 = 'DOWN';
    go(await open());
    await passUntil('incidents', () => pager.open.size === 2);
    assert.deepEqual(pager.taken.map(({ payload }) => payload?.summary).toSorted(), [
      'PgBouncer Alert: pgb1 is DOWN',
      'PgBouncer Alert: pgb2 is DOWN',
    ]);
    // What only follows is in the details.
    assert.match(JSON.stringify(pager.taken[0]), /N-1 is not held: only 1 of bouncers is UP/);
  });

  test('a heartbeat a day, also over restarts, so that silence does not count as health', async () => {
    const file = join(folder, 'state.json');
    go(await open(file, true));
    await passUntil('the first', () => hook.taken.length === 1 && mail.taken.length === 1);
    await halt();
    go(await open(file, true));
    for (let hour = 0; hour < 23; hour++) await clock.advance(HOUR_MS);
    assert.equal(hook.taken.length, 1);
    await clock.advance(HOUR_MS);
    await passUntil('the second', () => hook.taken.length === 2);
    assert.match(said()[1]!, /^watching: 5 of 5 parts are UP, 0 alerts are active$/);
    assert.deepEqual(pager.taken, [], 'what has no end is no incident');
  });

  test('the mail server is down: the mail comes when the server is back', async () => {
    mail.misbehave = (attempt) => (attempt <= 2 ? { status: 421 } : undefined);
    page.servers.pgb2 = 'DOWN';
    go(await open());
    await passUntil('the mail', () => mail.taken.length === 1);
    assert.equal(mail.taken.length, 1);
  });

  test('a recipient is refused: the others get each mail once, and the refusal is reported', async () => {
    recipients = ['gone@elsewhere.org', 'ops@example.com'];
    page.servers.pgb2 = 'DOWN';
    const monitor = await open();
    go(monitor);
    await passUntil('what is told', () => said().includes('email does not deliver alerts'));
    page.servers.pgb2 = 'UP';
    await passUntil('the recovery', () => mail.taken.length >= 3);
    assert.deepEqual(
      mail.taken.map(({ to, headers }) => `${to} ${headers.subject}`),
      [
        'ops@example.com [warning] PgBouncer Alert: pgb2 is DOWN',
        'ops@example.com [warning] Monitor Alert: email does not deliver alerts',
        'ops@example.com [warning] PgBouncer Alert: pgb2 is back UP',
      ],
    );
    assert.match(mail.rejected.splice(0).join(), /550 5\.7\.1 relaying denied/);
  });

  test('the monitor stops before it delivers an alert: the next start delivers it once', async () => {
    slack.misbehave = () => ({ status: 503 });
    page.servers.pgb2 = 'DOWN';
    go(await open());
    await passUntil('the webhook', () => hook.taken.length === 1);
    await halt();
    slack.misbehave = undefined;
    const again = await open();
    go(again);
    await passUntil('Slack', () => slack.taken.length === 1);
    await passUntil('an empty queue', () => again.state.deliveries.length === 0);
    assert.deepEqual(said(), ['pgb2 is DOWN']);
    assert.deepEqual(ofSlack(), ['PgBouncer Alert: pgb2 is DOWN']);
  });

  test('the state file is cut in half: it is moved away and reported, and parts that are DOWN are reported again', async () => {
    page.servers.pgb2 = 'DOWN';
    go(await open());
    await passUntil('the alert', () => hook.taken.length === 1 && slack.taken.length === 1);
    await halt();
    const file = join(folder, 'state.json');
    const whole = await readFile(file, 'utf8');
    await truncate(file, Math.floor(Buffer.byteLength(whole) / 2));
    go(await open());
    await passUntil('what is told', () => hook.taken.length === 3);
    assert.deepEqual(said().slice(1), [
      'the state file was damaged: the monitor starts with an empty state',
      'pgb2 is DOWN',
    ]);
    const aside = (await readdir(folder)).filter((name) => name.includes('damaged'));
    assert.equal(aside.length, 1);
    assert.match(hook.taken[1]!.details.join(' '), /are reported again/);
    await eventually('a whole file again', async () => {
      return JSON.parse(await readFile(file, 'utf8').catch(() => '{}')).version === JSON.parse(whole).version;
    });
  });

  test('an invalid state file of any kind: the monitor starts with an empty state, reports it, and still sends alerts', async () => {
    const file = join(folder, 'state.json');
    page.servers.pgb2 = 'DOWN';
    const told = await open();
    go(told);
    await passUntil(
      'the alert, to every channel',
      () => hook.taken.length === 1 && told.state.deliveries.length === 0,
    );
    await halt();
    const whole = JSON.parse(await readFile(file, 'utf8'));
    const nonsense: unknown[] = [
      null,
      [],
      { ...whole, saved_at: 1e300 },
      { ...whole, version: 'two' },
      { ...whole, alerts: { active: {} } },
      { ...whole, deliveries: [null] },
      { ...whole, alerts: { ...whole.alerts, history: [{ ...whole.alerts.active[0], since: 'once' }] } },
      { ...whole, outages: { processes: { haproxy1: null }, endedAt: {} } },
    ];
    for (const [index, body] of nonsense.entries()) {
      await writeFile(file, JSON.stringify(body));
      hook.taken.splice(0);
      go(await open());
      await passUntil(`what is told of ${index}`, () => hook.taken.length === 2);
      assert.deepEqual(
        said(),
        ['the state file was damaged: the monitor starts with an empty state', 'pgb2 is DOWN'],
        String(index),
      );
      await halt();
    }
    await writeFile(file, JSON.stringify({ ...whole, version: whole.version + 1 }));
    hook.taken.splice(0);
    go(await open());
    await passUntil('what is said of a later version', () => hook.taken.length === 2);
    assert.equal(said()[0], 'the state file is of a later version: the monitor starts with an empty state');
    await halt();
    await writeFile(file, JSON.stringify(whole));
    hook.taken.splice(0);
    const again = await open();
    await again.poll();
    assert.equal(again.state.deliveries.length, 0, 'a whole one is believed');
  });

  test('a state file cannot be read: alerts are sent, and the fault is reported', async () => {
    const file = join(folder, 'state.json');
    await mkdir(file);
    page.servers.pgb2 = 'DOWN';
    go(await open());
    await passUntil('what is told', () => hook.taken.length === 2);
    assert.deepEqual(said(), [
      'the state file was damaged: the monitor starts with an empty state',
      'pgb2 is DOWN',
    ]);
    assert.match(hook.taken[0]!.details.join(), /is a directory and no file/);
  });

  test('a damaged state file on a read-only disk: alerts are sent, and both faults are reported', async (t) => {
    const disk = await mkdtemp(join(tmpdir(), 'trunkline-monitor-ro-'));
    try {
      execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', disk], { stdio: 'ignore' });
    } catch {
      await rm(disk, { recursive: true });
      return t.skip('a disk of its own needs the right to mount one');
    }
    page.servers.pgb2 = 'DOWN';
    try {
      await writeFile(join(disk, 'state.json'), '{"version":1,');
      execFileSync('mount', ['-o', 'remount,ro', disk]);
      go(await open(join(disk, 'state.json')));
      await passUntil('what is told', () => hook.taken.length === 3);
      assert.deepEqual(said(), [
        'the state file was damaged: the monitor starts with an empty state',
        'pgb2 is DOWN',
        'the monitor cannot write its state file: after a restart it may repeat alerts',
      ]);
    } finally {
      await halt();
      execFileSync('umount', [disk]);
      await rm(disk, { recursive: true });
    }
  });

  test('the clock is set back by an hour: nothing is repeated, and the reported outage has its true length', async () => {
    page.servers.pgb2 = 'DOWN';
    const monitor = await open();
    go(monitor);
    await passUntil('the alert', () => hook.taken.length === 1);
    clock.setWallClock(clock.now() - HOUR_MS);
    await clock.advance(2 * POLL_MS);
    page.servers.pgb2 = 'UP';
    await passUntil('the recovery', () => hook.taken.length === 2);
    assert.deepEqual(said(), ['pgb2 is DOWN', 'pgb2 is back UP']);
    const lasted = Number(/after (\d+) s$/.exec(hook.taken[1]!.details[0]!)?.[1]);
    assert.ok(lasted >= 20 && lasted < 600, `${lasted} s`);
    await halt();
    page.servers.pgb2 = 'DOWN';
    clock = createFakeClock(clock.now() - HOUR_MS);
    go(await open());
    await passUntil('the next alert', () => hook.taken.length === 3);
    page.servers.pgb2 = 'UP';
    await passUntil('its recovery', () => hook.taken.length === 4);
    const next = Number(/after (\d+) s$/.exec(hook.taken[3]!.details[0]!)?.[1]);
    assert.ok(next >= 0 && next < 600, `${next} s, over a restart with the clock set back`);
  });

  test('the disk is full: alerts are sent, the fault is reported, and the file is written when there is space', async (t) => {
    const disk = join(folder, 'disk');
    await rm(disk, { recursive: true, force: true });
    execFileSync('mkdir', [disk]);
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', disk], { stdio: 'ignore' });
    } catch {
      return t.skip('a small disk of its own needs the right to mount one');
    }
    try {
      const file = join(disk, 'state.json');
      go(await open(file));
      await eventually('a file', () => readFile(file).then(Boolean, () => false));
      const { bavail, bsize } = await statfs(disk);
      await writeFile(join(disk, 'ballast'), Buffer.alloc(bavail * bsize));
      page.servers.pgb2 = 'DOWN';
      await passUntil('the alert', () => said().includes('pgb2 is DOWN'));
      await passUntil('that it is told', () =>
        said().some((words) => words.includes('cannot write its state')),
      );
      assert.doesNotMatch(await readFile(file, 'utf8'), /pgb2 is DOWN/, 'the old file is still whole');
      await rm(join(disk, 'ballast'));
      await passUntil('the end of it', () => said().includes('the monitor writes its state file again'));
      await halt();
      assert.match(await readFile(file, 'utf8'), /pgb2 is DOWN/);
      assert.equal(said().filter((words) => words === 'pgb2 is DOWN').length, 1);
    } finally {
      await halt();
      execFileSync('umount', [disk]);
    }
  });

  test('the monitor is killed between sending and recording: it sends the message again with the same id, and says so in Slack', async () => {
    const env = {
      DATA_DIR: folder,
      MONITOR_PORT: '0',
      IDENTITY_PORT: '0',
      MONITOR_POLL_MS: '200',
      CALLS_PORT: '0',
      MONITOR_HAPROXY: `haproxy1=${page.url}`,
      SLACK_WEBHOOK_URL: slack.url,
      ALERT_WEBHOOK_URL: hook.url,
      ALERT_WEBHOOK_SECRET: WEBHOOK_SECRET,
      LOG_LEVEL: 'warn',
      // Without the log, whose success would write the state as well.
      ALERT_ROUTES: 'log:critical',
    };
    // Both take the message, and are not heard any more.
    slack.silent = true;
    hook.silent = true;
    page.servers.pgb2 = 'DOWN';
    // One poll only: nothing but the attempt itself has it written down that there was one.
    const first = startCommand(['serve', 'monitor'], { ...env, MONITOR_POLL_MS: '600000' });
    await eventually('both have it', () => slack.taken.length === 1 && hook.taken.length === 1);
    first.child.kill('SIGKILL');
    await first.ended;
    slack.silent = false;
    hook.silent = false;
    const second = startCommand(['serve', 'monitor'], env);
    await eventually('both again', () => slack.taken.length === 2 && hook.taken.length === 2);
    page.servers.pgb2 = 'UP';
    await eventually('the recovery', () => slack.taken.length === 3 && hook.taken.length === 3);
    second.child.kill('SIGTERM');
    assert.equal((await second.ended).code, 0);
    assert.deepEqual(said(), ['pgb2 is DOWN', 'pgb2 is DOWN', 'pgb2 is back UP']);
    assert.equal(hook.taken[0]?.webhookId, hook.taken[1]?.webhookId);
    assert.deepEqual(
      slack.taken.map((message) => JSON.stringify(message).includes('may be a repeat')),
      [false, true, false],
    );
  });
});
