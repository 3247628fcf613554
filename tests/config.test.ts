import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ConfigError, settingGroups } from '#config';
import { environmentName } from '#platform/config/settings.ts';
import { readConfig, SERVICES } from '#system';
import { runCommand } from '#tests/command.ts';

test('an empty environment gives the standard values', () => {
  const config = readConfig({ CORS_ORIGINS: '', CALLS_PORT: '' });
  assert.equal(config.calls.port, 3006);
  assert.deepEqual(config.CORS_ORIGINS, []);
  assert.equal(config.DATABASE_URL, undefined);
});

test('every fault is reported at once, with what would be right and without passwords', () => {
  const environment = {
    CALLS_PORT: '70000',
    DATABASE_URL: 'mysql://root:secret@localhost/x',
    RABBITMQ_URL: 'amqp://trunkline:secret@mq1:5672,amqp://other:secret@mq2:5672',
    CORS_ORIGINS: 'https://a.example/path',
    TRUSTED_PROXIES: '10.0.0.1,0.0.0.0/0',
    IMPORT_TIME_ZONE: 'Mars/Olympus',
    LOG_LEVEL: 'loud',
    MONITOR_HAPROXY: 'haproxy1=ftp://admin:secret@localhost/stats',
    MONITOR_BOUNCERS: 'elsewhere:pgb1=postgresql://stats:secret@localhost/pgbouncer',
    MONITOR_SERVICES: 'calls=ftp://admin:secret@localhost',
    CALLS_SOURCES: '[{"path": "Master.csv"}, {"path": "/a", "time_zone": "Mars/Olympus", "folow": 1}]',
  };
  assert.throws(
    () => readConfig(environment),
    (error) => {
      assert.ok(error instanceof ConfigError);
      for (const part of [
        'CALLS_PORT: "70000" is not a whole number from 0 to 65535',
        'DATABASE_URL: its value is not a URL that begins with postgres:// or postgresql://',
        'RABBITMQ_URL: its value is not amqp://user:password@host:port, or several that differ in host and port alone',
        'CORS_ORIGINS: "https://a.example/path" is not origins such as https://console.example.com, separated by commas (an origin has no slash or path at its end: https://a.example)',
        'and not every address',
        'IMPORT_TIME_ZONE: "Mars/Olympus" is not a time zone',
        'LOG_LEVEL: "loud" is not one of: fatal,',
        'MONITOR_HAPROXY: its value is not such as',
        'MONITOR_BOUNCERS: its value is not such as',
        'CALLS_SOURCES:',
        'entry 1: "time_zone" is missing',
        'entry 1: "path" must be an absolute path',
        'entry 2: there is no key "folow"',
        'entry 2: "time_zone" must be a time zone of the IANA database',
      ]) {
        assert.ok(error.message.includes(part), `${part}\n in ${error.message}`);
      }
      assert.ok(!error.message.includes('secret'));
      return true;
    },
  );
});

test('RabbitMQ is one node or several, by one user', () => {
  const of = (RABBITMQ_URL: string) => readConfig({ RABBITMQ_URL }).RABBITMQ_URL;
  for (const right of ['amqp://u:p@mq1', 'amqps://u:p@mq1:5671, amqps://u:p@mq2:5671'])
    assert.equal(of(right), right);
  for (const wrong of [
    'mq1:5672',
    'http://mq1',
    'amqp://',
    'amqp://u:p@mq1,',
    'amqp://u:p@mq1,amqps://u:p@mq2',
  ])
    assert.throws(() => of(wrong), /RABBITMQ_URL/, wrong);
});

test('settings that need each other are looked for together, and all that are missing are told at once', () => {
  const faultsOf = (environment: Record<string, string>): string[] => {
    try {
      readConfig(environment);
      return [];
    } catch (error) {
      assert.ok(error instanceof ConfigError);
      return error.message.split('\n').slice(1);
    }
  };
  const URL = 'https://example.com/x';
  const SECRET = `whsec_${'a'.repeat(32)}`;
  const groups: readonly [whole: Record<string, string>, alone: readonly string[]][] = [
    [{ ALERT_WEBHOOK_URL: URL, ALERT_WEBHOOK_SECRET: SECRET }, []],
    [{ JWKS_URL: URL, JWT_ISSUER: 'i', JWT_AUDIENCE: 'a' }, []],
    [{ SMTP_URL: 'smtp://localhost', ALERT_EMAIL_FROM: 'a@b', ALERT_EMAIL_TO: 'c@d' }, ['SMTP_URL']],
    [{ DATABASE_URL: 'postgresql://x/y', DATABASE_REPLICA_URL: 'postgresql://z/y' }, ['DATABASE_URL']],
  ];
  for (const [whole, alone] of groups) {
    assert.deepEqual(faultsOf(whole), []);
    for (const [name, value] of Object.entries(whole)) {
      const faults = faultsOf({ [name]: value });
      assert.equal(faults.length, alone.includes(name) ? 0 : 1, `${name} alone: ${faults}`);
      // An empty variable counts as one that is not set.
      if (alone.includes(name)) continue;
      const empty = Object.fromEntries(Object.keys(whole).map((other) => [other, '']));
      assert.deepEqual(faultsOf({ ...empty, [name]: value }), faults);
    }
  }
  assert.deepEqual(
    faultsOf({
      ALERT_WEBHOOK_URL: URL,
      JWKS_URL: URL,
      ALERT_EMAIL_TO: 'c@d',
      DATABASE_REPLICA_URL: 'postgresql://z/y',
      POOL_SIZE: '4',
      CALLS_HEAVY_SLOTS: '5',
      LOG_LEVEL: 'loud',
    }).map((line) => line.trim().replace(/:? .*/, '')),
    [
      'LOG_LEVEL',
      'DATABASE_REPLICA_URL',
      'JWKS_URL',
      'ALERT_WEBHOOK_URL',
      'ALERT_EMAIL_TO',
      'CALLS_HEAVY_SLOTS',
    ],
  );
});

test('the program says so before anything starts', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'trunkline-config-'));
  const data = join(folder, 'data');
  const { code, err } = await runCommand(['up'], {
    DATA_DIR: data,
    ALERT_WEBHOOK_URL: 'https://example.com',
    JWKS_URL: 'https://example.com',
    CALLS_SOURCES: '[{"path": "/srv/drop", "time_zone": "UTC", "after": "move"}, {"time_zone": "UTC"}]',
  });
  assert.equal(code, 1);
  assert.match(err, /CALLS_SOURCES: .*entry 1: "after" must be/s);
  assert.match(err, /entry 2: "path" is missing/);
  assert.match(err, /JWKS_URL needs JWT_ISSUER and JWT_AUDIENCE/);
  assert.match(err, /ALERT_WEBHOOK_URL needs ALERT_WEBHOOK_SECRET/);
  assert.equal(existsSync(data), false);
  await rm(folder, { recursive: true });
});

test('what holds a password or a key by its name is marked as a secret, in every service', () => {
  const unmarked = settingGroups(SERVICES).flatMap((group) =>
    Object.entries(group.table)
      .filter(
        ([name, { secret }]) => !secret && /URL|KEY|SECRET|PASSWORD|TOKEN/.test(environmentName(group, name)),
      )
      .map(([name]) => environmentName(group, name)),
  );
  assert.deepEqual(unmarked, []);
});
