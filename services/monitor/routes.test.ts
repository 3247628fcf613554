/** The monitor's API as a client meets it, and `trunkline status` and `trunkline alerts test` with it. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { freePort } from '#engines/postgres.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { createLifetime } from '#platform/lifecycle/lifetime.ts';
import { createLogger } from '#platform/telemetry/logger.ts';
import { slackReceiver } from '#tests/alert_receivers.ts';
import { runCommand, startCommand } from '#tests/command.ts';
import { type HaproxyPage, startHaproxyPage } from '#tests/haproxy_page.ts';
import { eventually } from '#tests/monitor_tier.ts';
import { type MonitorService, startMonitor } from './module.ts';

suite('the API of the monitor', { timeout: 60_000 }, () => {
  const lifetime = createLifetime(() => undefined);
  let data: string;
  let page: HaproxyPage;
  let slack: Awaited<ReturnType<typeof slackReceiver>>;
  let service: MonitorService;
  let key: string;

  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at field by field
  type Answer = { status: number; body: any };
  const call = async (method: string, path: string, body?: object, bearer = key): Promise<Answer> => {
    const answer = await fetch(service.url + path, {
      method,
      headers: { authorization: `Bearer ${bearer}`, ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    return { status: answer.status, body: await answer.json() };
  };

  before(async () => {
    data = await mkdtemp(join(tmpdir(), 'trunkline-monitor-api-'));
    [page, slack] = await Promise.all([startHaproxyPage(['pgb1', 'pgb2', 'pgb3']), slackReceiver()]);
    service = await startMonitor(
      {
        settings: {
          host: '127.0.0.1',
          port: 0,
          folder: join(data, 'monitor'),
          key: undefined,
          haproxies: [{ name: 'haproxy1', pageUrl: page.url, socket: undefined }],
          services: [],
          pollIntervalMs: 200,
          heartbeat: false,
          routes: { log: 'info', slack: 'info', webhook: 'info', email: 'info', pagerduty: 'info' },
          slackWebhookUrl: slack.url,
          pagerDutyKey: undefined,
          pagerDutyUrl: '',
          webhookUrl: undefined,
          webhookSecret: undefined,
          smtpUrl: undefined,
          emailFrom: undefined,
          emailTo: [],
          runbookUrl: undefined,
        },
        clock: systemClock,
        random: Math.random,
        logger: createLogger('monitor', 'silent'),
      },
      lifetime,
    );
    key = (await readFile(join(data, 'monitor', 'key'), 'utf8')).trim();
    await eventually('ready', async () => (await call('GET', '/health/ready')).status === 200);
  });
  after(async () => {
    await lifetime.stop();
    await Promise.all([page.stop(), slack.stop()]);
    await rm(data, { recursive: true, force: true });
  });

  test('everything but health and figures wants the key, which only this user can read', async () => {
    assert.equal((await stat(join(data, 'monitor', 'key'))).mode & 0o077, 0);
    const routes = [
      ['GET', '/alerts'],
      ['GET', '/topology'],
      ['POST', '/silences'],
      ['DELETE', '/silences/s1'],
      ['POST', '/alerts/test'],
      ['POST', '/alerts/a1/acknowledge'],
    ] as const;
    for (const [method, path] of routes) {
      for (const bearer of ['', `${key}x`]) {
        const { status, body } = await call(method, path, undefined, bearer);
        assert.deepEqual([status, body.code], [401, 'unauthorized'], `${method} ${path}`);
      }
    }
  });

  test('an alert through its life: active, acknowledged, history', async () => {
    page.servers.pgb2 = 'DOWN';
    await eventually('Slack', () => slack.taken.length === 1);
    const { body } = await call('GET', '/alerts');
    const [alert] = body.data.active;
    assert.deepEqual(
      [alert.message, alert.state, alert.announced, alert.labels, alert.runbook],
      ['pgb2 is DOWN', 'firing', true, { proxy: 'bouncers', server: 'pgb2' }, 'pgbouncerdown'],
    );
    const path = `/alerts/${alert.id}/acknowledge`;
    assert.equal((await call('POST', path, {})).status, 400);
    assert.equal((await call('POST', '/alerts/a99/acknowledge', { by: 'ann' })).status, 404);
    const acknowledged = await call('POST', path, { by: 'ann', note: 'on it' });
    assert.equal(acknowledged.body.data.acknowledged.by, 'ann');
    await eventually('Slack again', () => slack.taken.length === 2);
    assert.match(slack.taken[1]!.text, /ann looks after it: pgb2 is DOWN/);
    page.servers.pgb2 = 'UP';
    await eventually('its end', async () => (await call('GET', '/alerts')).body.data.active.length === 0);
    const past = (await call('GET', '/alerts')).body.data.history[0];
    assert.deepEqual([past.id, past.state], [alert.id, 'resolved']);
  });

  test('a silence needs an end in the future, and keeps still', async () => {
    const silence = { match: { server: 'pgb3' }, by: 'ann', reason: 'upgrade' };
    for (const until of ['2020-01-01T00:00:00Z', 'tomorrow', '2099-01-01']) {
      assert.equal((await call('POST', '/silences', { ...silence, until })).status, 400, until);
    }
    const until = new Date(Date.now() + 600_000).toISOString();
    assert.equal((await call('POST', '/silences', { ...silence, match: {}, until })).status, 400);
    assert.equal((await call('POST', '/silences', { ...silence, until })).status, 200);
    for (const match of [
      { rule: 'PgbouncerDown' },
      { sever: 'warning' },
      { severity: 'fatal' },
      { rule: 'PgBouncerDown', service: 'calls' },
    ]) {
      const { status, body } = await call('POST', '/silences', { ...silence, match, until });
      assert.deepEqual([status, body.code], [400, 'bad_silence'], JSON.stringify(match));
    }
    const mistaken = await call('POST', '/silences', { ...silence, match: { severity: 'critical' }, until });
    const ended = await call('DELETE', `/silences/${mistaken.body.data.id}`);
    assert.deepEqual([ended.status, ended.body.data.id], [200, mistaken.body.data.id]);
    assert.equal((await call('DELETE', `/silences/${mistaken.body.data.id}`)).status, 404);
    assert.equal((await call('GET', '/alerts')).body.data.silences.length, 1);
    const before = slack.taken.length;
    page.servers.pgb3 = 'DOWN';
    await eventually('the alert', async () => {
      const { body } = await call('GET', '/alerts');
      return body.data.active.some((alert: { silenced_by?: string }) => alert.silenced_by);
    });
    page.servers.pgb3 = 'UP';
    await eventually('its end', async () => (await call('GET', '/alerts')).body.data.active.length === 0);
    assert.equal(slack.taken.length, before);
  });

  test('the topology as a document and as events', async () => {
    const { body } = await call('GET', '/topology');
    assert.deepEqual(
      body.data.parts.map(({ id, role, state }: Record<string, string>) => [id, role, state]),
      [
        ['monitor', 'monitor', 'UP'],
        ['haproxy1', 'haproxy', 'UP'],
        ['bouncers/pgb1', 'bouncer', 'UP'],
        ['bouncers/pgb2', 'bouncer', 'UP'],
        ['bouncers/pgb3', 'bouncer', 'UP'],
      ],
    );
    assert.ok(body.data.edges.some((edge: { to: string; connections: number }) => edge.connections === 5));
    const leave = new AbortController();
    const headers = { authorization: `Bearer ${key}`, accept: 'text/event-stream' };
    const events = await fetch(`${service.url}/topology`, { headers, signal: leave.signal });
    assert.match(events.headers.get('content-type') ?? '', /^text\/event-stream/);
    let text = '';
    for await (const chunk of events.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      if (text.split('\n\n').length > 2) break;
    }
    leave.abort();
    const [first, second] = text
      .split('\n\n')
      .map((event) => JSON.parse(event.replace(/^data: /, '') || 'null'));
    assert.equal(first.parts.length, 5);
    assert.notEqual(first.at, second.at);
  });

  test('trunkline status and trunkline alerts test', async () => {
    const env = { DATA_DIR: data };
    const status = await runCommand(['status', '--url', service.url], env);
    assert.equal(status.code, 0, status.err);
    assert.match(status.out, /^bouncers\/pgb2 +bouncer +UP/m);
    const before = slack.taken.length;
    const sent = await runCommand(['alerts', 'test', '--url', service.url], env);
    assert.deepEqual([sent.code, slack.taken.length], [0, before + 1], sent.err);
    assert.match(sent.out, /^slack +delivered/m);
    slack.misbehave = () => ({ status: 404 });
    const failed = await runCommand(['alerts', 'test', '--url', service.url, '--json'], env);
    slack.misbehave = undefined;
    assert.equal(failed.code, 1);
    const outcome = JSON.parse(failed.out).find(({ channel }: { channel: string }) => channel === 'slack');
    assert.match(outcome.error, /answered 404/);
    const refused = await runCommand(['status', '--url', service.url, '--key', 'wrong'], env);
    assert.match(refused.err, /answers 401/);
    const nobody = `http://127.0.0.1:${await freePort()}`;
    const alone = await runCommand(['status', '--url', nobody], env);
    assert.deepEqual([alone.code, alone.out], [1, '']);
    assert.match(alone.err, /no monitor answers at http:\/\/127\.0\.0\.1:\d+: start it/);
  });

  test('the document tells of every route, and the figures of the monitor are there', async () => {
    const { body: document } = await call('GET', '/openapi.json');
    const routes = Object.entries<object>(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    for (const route of [
      'get /alerts',
      'post /alerts/{id}/acknowledge',
      'post /silences',
      'delete /silences/{id}',
      'get /topology',
    ])
      assert.ok(routes.includes(route), `${route} is not in ${routes}`);
    const metrics = await (await fetch(`${service.url}/metrics`)).text();
    assert.match(metrics, /^monitor_haproxy_page_up\{instance="haproxy1",service="monitor"\} 1$/m);
  });
});

suite('secrets of the monitor', { timeout: 60_000 }, () => {
  test('none is in the log, the API or a command, whatever fails', async () => {
    const data = await mkdtemp(join(tmpdir(), 'trunkline-monitor-secrets-'));
    const secrets = { page: 'hush-page', path: 'hush-path', hook: 'hush-hook', mail: 'hush-mail' };
    const sign = Buffer.alloc(32, 'hush-sign').toString('base64');
    const pagerKey = 'hushhushhushhushhushhushhushhush';
    const key = 'hush-key-of-the-monitor';
    const refusing = createServer((_request, response) => response.writeHead(404).end('no_service'));
    await new Promise<void>((resolve) => refusing.listen(0, '127.0.0.1', resolve));
    const at = `127.0.0.1:${(refusing.address() as AddressInfo).port}`;
    const command = startCommand(['serve', 'monitor'], {
      DATA_DIR: data,
      MONITOR_PORT: '0',
      MONITOR_KEY: key,
      MONITOR_POLL_MS: '200',
      CALLS_PORT: '0',
      LOG_LEVEL: 'debug',
      MONITOR_HAPROXY: `haproxy1=http://admin:${secrets.page}@${at}/stats`,
      MONITOR_SERVICES: `calls=http://admin:${secrets.page}@127.0.0.1:1`,
      SLACK_WEBHOOK_URL: `http://${at}/services/${secrets.path}`,
      ALERT_WEBHOOK_URL: `http://trunkline:${secrets.hook}@${at}/hook`,
      ALERT_WEBHOOK_SECRET: `whsec_${sign}`,
      PAGERDUTY_URL: `http://${at}/v2/enqueue`,
      PAGERDUTY_ROUTING_KEY: pagerKey,
      SMTP_URL: `smtp://trunkline:${secrets.mail}@127.0.0.1:1`,
      ALERT_EMAIL_FROM: 'trunkline@example.com',
      ALERT_EMAIL_TO: 'ops@example.com',
      ALERT_ROUTES: 'pagerduty:info,email:info',
    });
    try {
      const [, url = ''] =
        /listening at (http:\S+?)"/.exec(await command.said(/listening at http:\S+?"/)) ?? [];
      for (const channel of ['slack', 'webhook', 'pagerduty', 'email'])
        await command.said(`${channel} did not take an alert`);
      const env = { DATA_DIR: data, MONITOR_KEY: key };
      const told = await Promise.all([
        ...['/alerts', '/topology', '/metrics', '/health', '/openapi.json'].map(async (path) => {
          const headers = { authorization: `Bearer ${key}` };
          return (await fetch(url + path, { headers })).text();
        }),
        ...[['status'], ['status', '--json'], ['alerts', 'test', '--json']].map(async (words) => {
          const { out, err } = await runCommand([...words, '--url', url], env);
          return out + err;
        }),
      ]);
      command.child.kill('SIGTERM');
      const { out, err } = await command.ended;
      assert.match(told[0]!, /haproxy1 is DOWN/);
      assert.match(told[1]!, /the statistics page answers 404/);
      for (const text of [out, err, ...told]) {
        for (const secret of [...Object.values(secrets), sign, pagerKey, key])
          assert.ok(!text.includes(secret), `${secret} is in: ${text.slice(0, 2_000)}`);
      }
    } finally {
      command.child.kill('SIGKILL');
      await command.ended;
      refusing.close();
      await rm(data, { recursive: true, force: true });
    }
  });
});
