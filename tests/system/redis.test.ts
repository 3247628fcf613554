/** The program with REDIS_URL: its processes count requests together, and it goes on when Redis is gone. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { until } from '#engines/cluster/processes.ts';
import { freePort } from '#engines/postgres.ts';
import { noRedis } from '#engines/redis.ts';
import { startCommand } from '#tests/command.ts';
import { testDatabase } from '#tests/postgres.ts';
import { testRedis } from '#tests/redis.ts';

const LIMIT_MS = 20_000;
const PER_MINUTE = 40;

test('two processes with one REDIS_URL count a key together; when Redis is killed, both go on by themselves', {
  skip: noRedis,
}, async () => {
  const [redis, database] = [await testRedis(), await testDatabase()];
  const start = async (...command: string[]) => {
    const folder = mkdtempSync(join(tmpdir(), 'trunkline-redis-up-'));
    after(() => rmSync(folder, { recursive: true, force: true }));
    const port = await freePort();
    const started = startCommand(command, {
      ...{ DATA_DIR: folder, DATABASE_URL: database.url, CALLS_PORT: String(port) },
      ...{ MONITOR_PORT: String(await freePort()), RATE_LIMIT_PER_MINUTE: String(PER_MINUTE) },
      ...{ REDIS_URL: redis.url, REDIS_PREFIX: 'of-this-test' },
    });
    after(() => started.child.kill('SIGTERM'));
    return { ...started, url: `http://127.0.0.1:${port}` };
  };
  const up = await start('up', '--no-demo');
  await up.said(/cache +REDIS_URL/);
  const [key] = /tl_\S+/.exec(await up.said(/Operator key, shown this once:\s+tl_\S+/))!;
  const serve = await start('serve', 'calls');
  const ask = async ({ url }: typeof up) => {
    const answer = await fetch(`${url}/accounts`, { headers: { authorization: `Bearer ${key}` } });
    const [limit, left] = ['limit', 'remaining'].map((name) =>
      Number(answer.headers.get(`x-ratelimit-${name}`)),
    );
    return [answer.status, limit, left];
  };
  assert.ok(await until(() => ask(serve).then(Boolean, () => false), LIMIT_MS), 'both serve');
  const [, , left] = await ask(up);
  assert.deepEqual(await ask(serve), [200, PER_MINUTE, left! - 1]);
  assert.deepEqual(await ask(up), [200, PER_MINUTE, left! - 2]);

  await redis.kill();
  const alone = PER_MINUTE / 2;
  for (const one of [up, serve]) {
    const [status, limit] = await ask(one);
    assert.deepEqual([status, limit], [200, alone]);
  }
  await redis.start();
  assert.ok(await until(async () => (await ask(up))[1] === PER_MINUTE, LIMIT_MS), 'together again');

  for (const one of [up, serve]) {
    one.child.kill('SIGTERM');
    const { code, out, err } = await one.ended;
    assert.equal(code, 0);
    assert.match(out + err, /Redis is away/);
    assert.match(out + err, /Redis answers/);
    assert.doesNotMatch(out + err, /secret-of-a-test/);
  }
});
