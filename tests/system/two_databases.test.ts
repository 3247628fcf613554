/** Calls on one PostgreSQL database, identity on another: keys are made, found, copied and revoked; each has its own tables. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { until } from '#engines/cluster/processes.ts';
import { hashKey, randomKey } from '#platform/access/key.ts';
import { runCommand, startCommand } from '#tests/command.ts';
import { emptyDatabase } from '#tests/postgres.ts';

const LIMIT_MS = 30_000;
/** How soon a key that was revoked is refused. */
const REVOKED_WITHIN_MS = 10_000;

const [calls, identity] = [await emptyDatabase(), await emptyDatabase()];
const env = {
  ...{ DATABASE_URL_CALLS: calls.url, DATABASE_URL_IDENTITY: identity.url },
  ...{ CALLS_PORT: '0', LOG_LEVEL: 'warn', IMPORT_TIME_ZONE: 'UTC', DEFAULT_CURRENCY: 'EUR' },
};
const said = async (...args: string[]): Promise<string> => {
  const { code, out, err } = await runCommand(args, env);
  assert.equal(code, 0, `${args.join(' ')}: ${err}`);
  return out.trim();
};
const schemasOf = async ({ pool }: typeof calls) =>
  (
    await pool.query<{ name: string }>(
      "SELECT nspname AS name FROM pg_namespace WHERE nspname IN ('calls', 'identity') ORDER BY 1",
    )
  ).rows.map(({ name }) => name);

test('a service with a database of its own leaves no other one untold', async () => {
  for (const [alone, missing] of [
    ['DATABASE_URL_CALLS', 'DATABASE_URL_IDENTITY'],
    ['DATABASE_URL_IDENTITY', 'DATABASE_URL_CALLS'],
  ] as const) {
    const { code, err } = await runCommand(['keys', 'list'], { [alone]: calls.url });
    assert.equal(code, 1);
    assert.match(err, new RegExp(`DATABASE_URL is missing, or ${missing}`));
  }
  const misspelt = await runCommand(['keys', 'list'], { DATABASE_URL_IDENTTY: calls.url });
  assert.match(
    misspelt.err,
    /DATABASE_URL_IDENTTY: there is no such setting; the nearest is DATABASE_URL_IDENTITY/,
  );
  const replicas = { ...env, DATABASE_REPLICA_URL_CALLS: calls.url, DATABASE_URL_IDENTITY: calls.url };
  assert.match(
    (await runCommand(['keys', 'list'], replicas)).err,
    /DATABASE_URL_IDENTITY: .* other replicas/,
  );
});

test('each has its own tables on its own database', async () => {
  assert.match(await said('migrate'), /ran calls\/0001\S*\n(?:.*\n)*ran identity\/0001_keys/);
  assert.deepEqual(await schemasOf(calls), ['calls']);
  assert.deepEqual(await schemasOf(identity), ['identity']);
  assert.equal(await said('migrate', '--dry-run'), 'up to date');
  const report = await said('doctor');
  assert.match(report, /the database of calls, PostgreSQL \d+.* answers/);
  assert.match(report, /the database of identity, PostgreSQL \d+.* answers/);
});

test('keys are made, found, copied and revoked', async () => {
  await said('accounts', 'create', 'acme', '--currency', 'EUR', '--time-zone', 'UTC', '--country', 'DE');
  const operator = await said('keys', 'create', '--name', 'op', '--scope', 'operator');
  const customer = await said('keys', 'create', '--name', 'acme', '--scope', 'customer', '--account', 'acme');
  const former = randomKey();
  await calls.pool.query(
    "INSERT INTO calls.api_keys (name, hash, prefix, scope) VALUES ('former', $1, $2, 'operator')",
    [hashKey(former), former.slice(0, 8)],
  );

  // As identity left it there, before it had a database of its own.
  const moved = randomKey();
  await calls.pool.query(
    `CREATE SCHEMA identity; CREATE TABLE identity.api_keys (i_key bigint, name text, hash bytea, prefix text, scope text,
       i_account bigint, created_at timestamptz DEFAULT now(), expires_at timestamptz, revoked_at timestamptz)`,
  );
  await calls.pool.query("INSERT INTO identity.api_keys VALUES (1, 'moved', $1, $2, 'operator')", [
    hashKey(moved),
    moved.slice(0, 8),
  ]);

  const service = startCommand(['serve', 'calls'], env);
  after(async () => {
    service.child.kill('SIGTERM');
    await service.ended;
  });
  const url = (await service.said(/ready on http:\S+/)).split(' ').at(-1)!;
  const get = async (path: string, key: string) => {
    const answer = await fetch(url + path, { headers: { authorization: `Bearer ${key}` } });
    return { status: answer.status, body: JSON.parse(await answer.text()) };
  };
  const status = async (key: string) => {
    // An address with many refused keys in a minute is answered 429, whatever its key.
    await sleep(250);
    return (await get('/accounts', key)).status;
  };

  assert.equal(await status(operator), 200);
  assert.deepEqual(
    (await get('/accounts', customer)).body.data.map(({ code }: { code: string }) => code),
    ['acme'],
  );
  assert.equal(await status(former), 401, 'on two databases nothing is read where keys were kept before');
  assert.equal(await said('keys', 'copy'), '2 keys taken over.');
  assert.equal(await said('keys', 'copy'), '0 keys taken over.');
  // What was not found is remembered for some seconds.
  for (const key of [former, moved])
    assert.ok(await until(async () => (await status(key)) === 200, LIMIT_MS));

  const { body } = await get('/monitoring', operator);
  assert.deepEqual(
    body.data.servers.map(({ name, role }: Record<string, string>) => [name, role]),
    [
      ['primary', 'primary'],
      ['identity primary', 'keys'],
    ],
  );

  const listed = JSON.parse(await said('keys', 'list', '--json'));
  assert.deepEqual(listed.map(({ name, account }: Record<string, string>) => [name, account]).toSorted(), [
    ['acme', 'acme'],
    ['former', null],
    ['moved', null],
    ['op', null],
  ]);
  const numberOf = (name: string) => String(listed.find((key: { name: string }) => key.name === name).i_key);
  await said('keys', 'revoke', numberOf('former'));
  assert.ok(await until(async () => (await status(former)) === 401, REVOKED_WITHIN_MS));
  await said('accounts', 'close', 'acme');
  assert.ok(
    await until(async () => (await status(customer)) === 401, REVOKED_WITHIN_MS),
    'its account is closed',
  );
  const trail = await said('audit', 'list', '--json');
  const actions = new Set(JSON.parse(trail).map(({ action }: { action: string }) => action));
  for (const action of ['keys.create', 'keys.revoke', 'accounts.close'])
    assert.ok(actions.has(action), trail);
});

test('while the database of keys is down, keys that are known work, and the service says what is wrong', async (t) => {
  const operator = await said('keys', 'create', '--name', 'op2', '--scope', 'operator');
  const service = startCommand(['serve', 'calls'], env);
  after(async () => {
    service.child.kill('SIGTERM');
    await service.ended;
  });
  const url = (await service.said(/ready on http:\S+/)).split(' ').at(-1)!;
  const ask = (path: string, headers: Record<string, string> = {}) =>
    fetch(url + path, { headers: { authorization: `Bearer ${operator}`, ...headers } });
  assert.equal((await ask('/monitoring')).status, 200);
  const admin = new pg.Client({ connectionString: calls.url });
  await admin.connect();
  const name = new URL(identity.url).pathname.slice(1);
  await admin.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
  t.after(async () => {
    await admin.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`);
    await admin.end();
  });
  await admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [name]);
  const keysServer = async () => {
    const { data } = JSON.parse(await (await ask('/monitoring')).text());
    return { status: data.status, healthy: data.servers.at(-1).healthy };
  };
  assert.ok(await until(async () => !(await keysServer()).healthy, LIMIT_MS));
  assert.equal((await keysServer()).status, 'degraded');
  assert.equal((await fetch(`${url}/health/ready`)).status, 200, 'calls are there');
});

test('a back-up holds a database, and says which services stand elsewhere', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'trunkline-two-'));
  after(() => rm(folder, { recursive: true }));
  const { code, err } = await runCommand(['backup', `${folder}/calls.backup`], env);
  assert.equal(code, 0, err);
  assert.match(err, /identity stands on another database: trunkline backup --of identity/);
  await said('backup', `${folder}/identity.backup`, '--of', 'identity');
  await said('restore', '--verify', `${folder}/calls.backup`);
  await said('restore', '--verify', `${folder}/identity.backup`, '--of', 'identity');
  await said('restore', `${folder}/identity.backup`, '--of', 'identity', '--replace', '--yes');
});
