import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import pg from 'pg';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { findPostgres, startPostgres } from './postgres.ts';
import { supervisePostgres } from './postgres_supervisor.ts';

const folder = await mkdtemp(join(tmpdir(), 'trunkline-postgres-'));
after(() => rm(folder, { recursive: true, force: true }));
const options = { folder: join(folder, 'a folder'), database: 'it' };

async function ask(url: string): Promise<number> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query('SELECT 42 AS n')).rows[0].n;
  } finally {
    await client.end();
  }
}

test('the first user starts it, others join, the last user stops it', async () => {
  const all = await Promise.all([1, 2, 3].map(() => startPostgres(options)));
  assert.equal(new Set(all.map((one) => one.pid)).size, 1);
  assert.equal(await ask(all[0]!.url), 42);
  await all[0]!.stop();
  await all[1]!.stop();
  assert.equal(await findPostgres(options.folder, 'it'), all[2]!.url);
  await all[2]!.stop();
  assert.equal(await findPostgres(options.folder, 'it'), undefined);
});

test('a killed server comes back at its old address, with its data', async () => {
  const events: string[] = [];
  const again = Promise.withResolvers<void>();
  const kept = await supervisePostgres(options, systemClock, (event) => {
    events.push(event);
    if (event === 'restarted') again.resolve();
  });
  const client = new pg.Client({ connectionString: kept.url });
  client.on('error', () => undefined);
  await client.connect();
  await client.query('CREATE TABLE kept AS SELECT 1 AS n');
  const joined = await startPostgres(options);
  process.kill(joined.pid, 'SIGKILL');
  await again.promise;
  assert.equal(await ask(kept.url), 42);
  assert.ok(events.includes('died'));
  await joined.stop();
  await kept.stop();
  assert.equal(await findPostgres(options.folder, 'it'), undefined);
});
