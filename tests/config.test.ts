import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError, readConfig } from '#config';

test('an empty environment gives the standard values', () => {
  const config = readConfig({ CORS_ORIGINS: '', CALLS_PORT: '' });
  assert.equal(config.CALLS_PORT, 3006);
  assert.deepEqual(config.CORS_ORIGINS, []);
  assert.equal(config.DATABASE_URL, undefined);
});

test('every fault is reported at once, with what would be right and without passwords', () => {
  const environment = {
    CALLS_PORT: '70000',
    DATABASE_URL: 'mysql://root:secret@localhost/x',
    CORS_ORIGINS: 'https://a.example/path',
    IMPORT_TIME_ZONE: 'Mars/Olympus',
    LOG_LEVEL: 'loud',
    MONITOR_HAPROXY: 'haproxy1=ftp://admin:secret@localhost/stats',
    MONITOR_SERVICES: 'calls=ftp://admin:secret@localhost',
  };
  assert.throws(
    () => readConfig(environment),
    (error) => {
      assert.ok(error instanceof ConfigError);
      for (const part of [
        'CALLS_PORT: "70000" is not a whole number from 0 to 65535',
        'DATABASE_URL: what it is set to is not a URL that begins with postgres:// or postgresql://',
        'CORS_ORIGINS: "https://a.example/path" is not origins',
        'IMPORT_TIME_ZONE: "Mars/Olympus" is not a time zone',
        'LOG_LEVEL: "loud" is not one of: fatal,',
        'MONITOR_HAPROXY: what it is set to is not such as',
      ]) {
        assert.ok(error.message.includes(part), `${part}\n in ${error.message}`);
      }
      assert.ok(!error.message.includes('secret'));
      return true;
    },
  );
});
