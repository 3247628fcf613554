/** Following while the database is away: it waits, tells so, and goes on from where the rows are stored. */
import assert from 'node:assert/strict';
import { appendFile, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { followSources } from '#services/calls/follow/follow.ts';
import { prepareSources } from '#services/calls/follow/prepare.ts';
import { readSources } from '#services/calls/follow/sources.ts';
import { followedRow } from '#tests/followed_file.ts';
import { ownDatabase, ownPostgresSkip } from '#tests/own_postgres.ts';

const LIMIT_MS = 60_000;
const rows = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => followedRow(from + i)).join('');

async function until(what: string, isSo: () => Promise<boolean> | boolean): Promise<void> {
  const begun = performance.now();
  while (!(await isSo())) {
    assert.ok(performance.now() - begun < LIMIT_MS, `not within ${LIMIT_MS} ms: ${what}`);
    await sleep(50);
  }
}

test('a killed database loses no row that is written, or rotated away, meanwhile', {
  skip: ownPostgresSkip,
}, async () => {
  const database = await ownDatabase();
  const { pool } = database;
  const folder = await mkdtemp(join(tmpdir(), 'trunkline-follow-down-'));
  after(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'Master.csv');
  await writeFile(path, rows(0, 10));
  const stop = new AbortController();
  after(() => stop.abort());
  const told: string[] = [];
  const followed = followSources(
    { pool, clock: systemClock, warn: (_path, words) => told.push(words) },
    await prepareSources(pool, readSources(JSON.stringify([{ path, time_zone: 'UTC' }])), {
      currency: 'EUR',
    }),
    stop.signal,
  );
  const stored = async () =>
    (await pool.query('SELECT count(*) AS n FROM calls.cdrs').catch(() => ({ rows: [{ n: -1 }] }))).rows[0].n;
  await until('rows are stored', async () => (await stored()) === 10);
  for (let round = 0; round < 2; round++) {
    const from = 10 + round * 30;
    await database.kill();
    await appendFile(path, rows(from, from + 10));
    await until('it is told', () => followed.statuses[0]!.state === 'failing');
    await rename(path, `${path}.${2 * round + 1}`);
    await writeFile(path, rows(from + 10, from + 20));
    await sleep(700);
    // One that comes and goes while nobody can look.
    await rename(path, `${path}.${2 * round + 2}`);
    await writeFile(path, rows(from + 20, from + 30));
    await database.start();
    await until('all is stored', async () => (await stored()) === from + 30);
    await until('all is well', () => followed.statuses[0]!.state === 'following');
  }
  stop.abort(new Error('stop'));
  await followed.done;
  const calls = await pool.query('SELECT call_id FROM calls.cdrs ORDER BY start_time');
  assert.equal(new Set(calls.rows.map(({ call_id }) => call_id)).size, 70);
  assert.ok(told.includes('is read again'), told.join('\n'));
});
