/** The monitor's API as a client uses it, with `trunkline status` and `trunkline alerts test`. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { slackReceiver } from '#engines/alert_receivers.ts';
import { freePort } from '#engines/postgres.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { createLifetime } from '#platform/lifecycle/lifetime.ts';
import { type RunningService, startService } from '#platform/service/service.ts';
import { createLogger } from '#platform/telemetry/logger.ts';
import { runCommand, startCommand } from '#tests/command.ts';
import { type HaproxyPage, startHaproxyPage } from '#tests/haproxy_page.ts';
import { eventually } from '#tests/monitor_tier.ts';
import { assertAnswer, tryMalformedRequests, tryOddRequests } from '#tests/odd_requests.ts';
import { requestBytes, sendRaw } from '#tests/raw_http.ts';
import { REQUESTS_PER_MINUTE, STREAMS_OF_ADDRESS } from './routes.ts';
import { monitor as definition } from './service.ts';
import type { MonitorSettings } from './settings.ts';
import { readStateFile } from './state_file.ts';

/** A limit for hanging tests. The suites start the program some ten times, which is slow on a busy machine. */
const HANG_LIMIT_MS = 300_000;

suite('the API of the monitor', { timeout: HANG_LIMIT_MS }, () => {
  const lifetime = createLifetime(() => undefined);
  let data: string;
  let page: HaproxyPage;
  let slack: Awaited<ReturnType<typeof slackReceiver>>;
  let service: RunningService;
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
    service = await startService(
      definition,
      {
        settings: {
          host: '127.0.0.1',
          corsOrigins: [],
          port: 0,
          folder: join(data, 'monitor'),
          key: undefined,
          haproxies: [{ name: 'haproxy1', pageUrl: page.url, socket: undefined }],
          services: [],
          doors: [],
          bouncers: [],
          disks: [],
          pollIntervalMs: 200,
          heartbeat: false,
          trustedProxies: [],
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
        } satisfies MonitorSettings as MonitorSettings,
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

  test('everything except health and figures needs the key, which only this user can read', async () => {
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
    assert.match(slack.taken[1]!.text, /ann acknowledged: pgb2 is DOWN/);
    page.servers.pgb2 = 'UP';
    await eventually('its end', async () => (await call('GET', '/alerts')).body.data.active.length === 0);
    const past = (await call('GET', '/alerts')).body.data.history[0];
    assert.deepEqual([past.id, past.state], [alert.id, 'resolved']);
  });

  test('a silence needs an end in the future, and holds back alerts', async () => {
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

  test('one address has a limited number of event streams at once', async () => {
    const ends = new AbortController();
    const headers = { authorization: `Bearer ${key}`, accept: 'text/event-stream' };
    const open = () => fetch(`${service.url}/topology`, { headers, signal: ends.signal });
    const opened = await Promise.all(Array.from({ length: STREAMS_OF_ADDRESS + 1 }, open));
    assert.equal(opened.filter(({ status }) => status === 200).length, STREAMS_OF_ADDRESS);
    const refused = opened.find(({ status }) => status === 429);
    assert.ok(Number(refused?.headers.get('retry-after')) >= 1);
    ends.abort();
  });

  test('trunkline status and trunkline alerts test', async () => {
    const env = { DATA_DIR: data };
    const status = await runCommand(['status', '--url', service.url], env);
    assert.equal(status.code, 0, status.err);
    assert.match(status.out, /^bouncers\/pgb2 +bouncer +UP/m);
    const before = slack.taken.length;
    const list = await runCommand(['alerts', 'list', '--url', service.url], env);
    assert.equal(list.code, 0, list.err);
    assert.match(list.out, /^(?:there was no alert yet|since +state)/);
    const book = JSON.parse((await runCommand(['alerts', 'list', '--url', service.url, '--json'], env)).out);
    assert.ok(Array.isArray(book.active) && Array.isArray(book.history));
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
    assert.match(alone.err, /no monitor answers at http:\/\/127\.0\.0\.1:\d+: start it.*MONITOR_PORT/);
  });

  test('the OpenAPI document has every route, and the figures of the monitor exist', async () => {
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
    const security = await readFile(new URL('../../docs/SECURITY.md', import.meta.url), 'utf8');
    const told = [...security.matchAll(/^\| `(\S+) (\S+)` \| (key|open) \|$/gm)].map(
      ([, method, path, who]) => `${method!.toLowerCase()} ${path} ${who}`,
    );
    const isOpen = (route: string) => route.startsWith('get /health');
    assert.deepEqual(
      told.sort(),
      routes.map((route) => `${route} ${isOpen(route) ? 'open' : 'key'}`).sort(),
      'docs/SECURITY.md',
    );
    const metrics = await (await fetch(`${service.url}/metrics`)).text();
    assert.match(metrics, /^monitor_haproxy_page_up\{instance="haproxy1",service="monitor"\} 1$/m);
  });

  test('an end that is no instant, or too far away, is refused before anything is stored', async () => {
    const silence = { match: { rule: 'PostgresDown' }, by: 'ann', reason: 'none' };
    const before = (await call('GET', '/alerts')).body.data.silences.length;
    for (const until of [
      '+275760-09-13T00:00:00Z',
      '9999-12-31T23:59:59Z',
      '2030-02-30T00:00:00Z',
      '2030-01-01',
    ]) {
      const { status, body } = await call('POST', '/silences', { ...silence, until });
      assert.deepEqual([status, body.code], [400, 'bad_silence'], until);
    }
    const { status, body } = await call('GET', '/alerts');
    assert.deepEqual([status, body.data.silences.length], [200, before]);
  });

  test('a body that is not UTF-8 is refused with the position', async () => {
    const answer = await fetch(`${service.url}/silences`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: Buffer.from('{"match":{"rule":"PostgresDown"},"by":"J\xfcrgen","reason":"x"}', 'latin1'),
    });
    const { code, error } = (await answer.json()) as { code: string; error: string };
    assert.deepEqual([answer.status, code], [400, 'bad_request']);
    assert.match(error, /not UTF-8, as JSON must be: the byte 0xFC at position 40/);
  });

  // The last test, since its silence stays.
  test('odd requests are answered in the one form, and none is a fault of the monitor', async () => {
    await tryOddRequests(service.url, key, 500);
    await tryMalformedRequests(service.url, '/silences');
    const silence = await sendRaw(
      service.url,
      requestBytes('DELETE', `/silences/${'s'.repeat(201)}`, { authorization: `Bearer ${key}` }),
    );
    assertAnswer(silence, 'DELETE', 'a long id');
    assert.equal(silence?.status, 414);
  });
});

/** A monitor with nothing to watch, and a state file of an earlier version. */
async function bareMonitor(state?: object) {
  const folder = await mkdtemp(join(tmpdir(), 'trunkline-monitor-bare-'));
  if (state) await writeFile(join(folder, 'state.json'), JSON.stringify(state));
  const lifetime = createLifetime(() => undefined);
  const key = 'a-key-of-more-than-twenty-characters';
  const settings: MonitorSettings = {
    ...{
      host: '127.0.0.1',
      corsOrigins: [],
      port: 0,
      folder,
      key,
      haproxies: [],
      services: [],
      doors: [],
      bouncers: [],
      disks: [],
      heartbeat: false,
      trustedProxies: [],
    },
    routes: { log: 'info', slack: 'info', webhook: 'info', email: 'info', pagerduty: 'info' },
    ...{ slackWebhookUrl: undefined, pagerDutyKey: undefined, pagerDutyUrl: '', webhookUrl: undefined },
    ...{ webhookSecret: undefined, smtpUrl: undefined, emailFrom: undefined, emailTo: [] },
    ...{ runbookUrl: undefined, pollIntervalMs: 60_000 },
  };
  let aheadMs = 0;
  const clock = { ...systemClock, now: () => systemClock.now() + aheadMs };
  const service = await startService(
    definition,
    { settings, clock, random: Math.random, logger: createLogger('test', 'silent') },
    lifetime,
  );
  return {
    get: (path: string, bearer = key) =>
      fetch(service.url + path, { headers: { authorization: `Bearer ${bearer}` } }),
    setClock: (ms: number) => {
      aheadMs = ms;
    },
    stop: async () => {
      await lifetime.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

test('requests without the key count against the limit of their address, not by the wall clock', async () => {
  const monitor = await bareMonitor();
  const statuses = new Map<number, number>();
  let last: Response | undefined;
  for (let n = 0; n < REQUESTS_PER_MINUTE + 5; n++) {
    last = await monitor.get('/alerts', 'wrong');
    await last.arrayBuffer();
    statuses.set(last.status, (statuses.get(last.status) ?? 0) + 1);
  }
  assert.deepEqual(
    [...statuses],
    [
      [401, REQUESTS_PER_MINUTE],
      [429, 5],
    ],
  );
  assert.equal((await monitor.get('/alerts')).status, 429, 'the key cannot be found by trying');
  monitor.setClock(-10 * 86_400_000);
  const refused = await monitor.get('/alerts');
  assert.ok(Number(refused.headers.get('retry-after')) <= 60, String(refused.headers.get('retry-after')));
  await monitor.stop();
});

test('a silence without a sensible end, as earlier versions accepted it, is loaded, shown, and can be ended', async () => {
  const { state } = await readStateFile(join(tmpdir(), 'no such file'), 0);
  const silence = { match: { rule: 'PostgresDown' }, by: 'ann', reason: 'x' };
  const untils = [8.64e15, 8.64e15 + 5_000];
  const silences = untils.map((until, n) => ({ ...silence, id: `s${n}`, until }));
  const monitor = await bareMonitor({
    ...state,
    alerts: { ...state.alerts, silences },
    saved_at: Date.now(),
  });
  const answer = await monitor.get('/alerts');
  assert.equal(answer.status, 200);
  const { data } = (await answer.json()) as { data: { silences: { until: string }[] } };
  assert.deepEqual(
    data.silences.map(({ until }) => until.slice(0, 11)),
    ['+275760-09-', '+275760-09-'],
  );
  await monitor.stop();
});

suite('secrets of the monitor', { timeout: HANG_LIMIT_MS }, () => {
  test('no secret is in the log, the API or a command after any failure', async () => {
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
      IDENTITY_PORT: '0',
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
        ...[['status'], ['status', '--json'], ['alerts', 'list'], ['alerts', 'test', '--json']].map(
          async (words) => {
            const { out, err } = await runCommand([...words, '--url', url], env);
            return out + err;
          },
        ),
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
