/** What calls tells other services: in the transaction of the change, and nothing of what is not new. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Value } from 'typebox/value';
import { until } from '#engines/cluster/processes.ts';
import type { Pool } from '#platform/database/pool.ts';
import { callRow, testImportSource } from '#tests/calls.ts';
import { startCommand } from '#tests/command.ts';
import { type TestDatabase, testDatabase } from '#tests/postgres.ts';
import { writeAsteriskRows } from '../../bench/asterisk_rows.ts';
import { closeAccount, renameAccount, reopenAccount } from './accounts/account_life.ts';
import { moveAccount } from './accounts/account_moves.ts';
import { changeAccount, createAccount } from './accounts/accounts.ts';
import { accountCreated, callsImported } from './contract.ts';
import { takeIn } from './intake/intake.ts';

const BY = { id: 'terminal:test', name: 'test' };
const NEW = { name: 'A name', currency: 'EUR', timeZone: 'UTC', country: 'DE' };
const LISTENER = fileURLToPath(new URL('../../tests/imports_listener.ts', import.meta.url));
const LIMIT_MS = 20_000;
/** Several batches. */
const ROWS = 100_000;

const NO_EVENTS = `
  CREATE FUNCTION test_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused by the test'; END $$;
  CREATE TRIGGER test_refuse BEFORE INSERT ON messaging.events EXECUTE FUNCTION test_refuse()`;

const eventsOf = async (pool: Pool, topic = '%') =>
  (
    await pool.query<{ topic: string; key: string; body: Record<string, unknown> }>(
      'SELECT topic, key, body FROM messaging.events WHERE topic LIKE $1 ORDER BY i_event',
      [topic],
    )
  ).rows;

test('a batch tells its source, its accounts, its time and its counts; one that brings nothing new tells nobody', async () => {
  const { pool } = await testDatabase();
  const importSource = await testImportSource(pool);
  await pool.query('TRUNCATE messaging.events');
  const at = (time: string) => callRow({ callId: time, startTime: Date.parse(time) });
  const rows = [at('2026-11-02T10:00:00Z'), at('2026-11-01T10:00:00Z'), at('2026-11-03T10:00:00Z')];
  await takeIn(pool, importSource, rows);
  const [told, ...more] = await eventsOf(pool, 'calls.imported');
  assert.equal(more.length, 0);
  assert.equal(told!.key, importSource.source);
  const [{ i_account }] = (await pool.query('SELECT DISTINCT i_account FROM calls.cdrs')).rows;
  assert.deepEqual(told!.body, {
    source: importSource.source,
    accounts: [i_account],
    from: '2026-11-01T10:00:00.000Z',
    to: '2026-11-03T10:00:00.000Z',
    counts: { stored: 3, completed: 0, rejected: 0 },
  });
  assert.ok(Value.Check(callsImported.body, told!.body));
  await takeIn(pool, importSource, rows);
  assert.equal((await eventsOf(pool, 'calls.imported')).length, 1);
  await pool.query(NO_EVENTS);
  await assert.rejects(takeIn(pool, importSource, [at('2026-11-04T10:00:00Z')]), /refused by the test/);
  const calls = await pool.query('SELECT 1 FROM calls.cdrs');
  assert.equal(calls.rowCount, 3, 'calls and what is told of them are one transaction');
});

test('an account is told when it is made, and after each change, with what it is then', async () => {
  const { pool } = await testDatabase();
  const made = await createAccount(pool, { ...NEW, code: 'acme' }, null, BY);
  await createAccount(pool, { ...NEW, code: 'reseller' }, null, BY);
  await changeAccount(pool, 'acme', { country: 'AT' }, BY);
  await changeAccount(pool, 'acme', { country: 'AT' }, BY);
  await renameAccount(pool, 'acme', 'acme-2', BY);
  await moveAccount(pool, 'acme-2', { to: 'reseller', apply: false }, BY);
  await moveAccount(pool, 'acme-2', { to: 'reseller', apply: true }, BY);
  await closeAccount(pool, 'acme-2', undefined, BY);
  await reopenAccount(pool, 'acme-2', BY);
  const events = (await eventsOf(pool)).filter(({ key }) => key === String(made.i_account));
  assert.deepEqual(
    events.map(({ topic, body }) => [topic, body.code, body.country, body.closed_from === null]),
    [
      ['account.created', 'acme', 'DE', true],
      ['account.changed', 'acme', 'AT', true],
      ['account.changed', 'acme-2', 'AT', true],
      ['account.changed', 'acme-2', 'AT', true],
      ['account.changed', 'acme-2', 'AT', false],
      ['account.changed', 'acme-2', 'AT', true],
    ],
  );
  for (const { body } of events) assert.ok(Value.Check(accountCreated.body, body));
  assert.ok(!JSON.stringify(events).includes('A name'));
});

function listen({ url }: TestDatabase, since: 'now' | 'kept') {
  const child = spawn(process.execPath, [LISTENER, url, since], { stdio: ['ignore', 'pipe', 'inherit'] });
  after(() => child.kill('SIGKILL'));
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  return {
    subscribed: () => until(async () => out.includes('subscribed\n'), LIMIT_MS),
    heard: () => out.split('\n').filter((line) => line.startsWith('{')),
  };
}

test('an import killed after it has committed is heard of by other processes, from now on and from the beginning', async () => {
  const database = await testDatabase();
  const folder = await mkdtemp(join(tmpdir(), 'trunkline-events-'));
  after(() => rm(folder, { recursive: true, force: true }));
  const fromNow = listen(database, 'now');
  assert.ok(await fromNow.subscribed());
  const importSource = await testImportSource(database.pool);
  const count = async () => (await eventsOf(database.pool, 'calls.imported')).length;
  const file = join(folder, 'Master.csv');
  await writeAsteriskRows(file, ROWS);
  const importer = startCommand(['import', 'cdrs', file, '--create-accounts'], {
    ...{ DATABASE_URL: database.url, DATA_DIR: folder, IMPORT_TIME_ZONE: 'UTC', DEFAULT_CURRENCY: 'EUR' },
  });
  assert.ok(await until(async () => (await count()) > 0, LIMIT_MS), 'a batch is committed');
  importer.child.kill('SIGKILL');
  await once(importer.child, 'exit');
  const committed = await count();
  assert.ok(await until(async () => fromNow.heard().length === committed, LIMIT_MS));
  const fromBeginning = listen(database, 'kept');
  assert.ok(await until(async () => fromBeginning.heard().length === committed, LIMIT_MS));
  assert.deepEqual(fromBeginning.heard(), fromNow.heard());
  await takeIn(database.pool, importSource, [callRow({ callId: 'later' })]);
  for (const one of [fromNow, fromBeginning])
    assert.ok(await until(async () => one.heard().length === committed + 1, LIMIT_MS));
});
