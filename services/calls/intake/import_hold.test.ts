/** A running import is told from an interrupted one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { withSession } from '#platform/database/pool.ts';
import { createFakeClock } from '#platform/lifecycle/fake_clock.ts';
import { testImportSource } from '#tests/calls.ts';
import { testDatabase } from '#tests/postgres.ts';
import { IMPORT_HELD_S, importByNumber } from '../store/imports.ts';
import { finishImport } from '../store/intake.ts';
import { holdImports, RENEW_MS } from './import_hold.ts';
import { openPostSource } from './import_source.ts';

const { pool } = await testDatabase();
const stateOf = async (iImport: number) =>
  (await withSession(pool, (session) => session.row(importByNumber(iImport))))!.state;
const pass = (seconds: number) =>
  pool.query('UPDATE calls.imports SET held_until = held_until - make_interval(secs => $1)', [seconds]);
const finish = (iImport: number) => withSession(pool, (session) => session.run(finishImport(iImport)));

test('an import is open while it is held, and interrupted once its holder is gone', async () => {
  const clock = createFakeClock();
  const { iImport } = await testImportSource(pool);
  assert.equal(await stateOf(iImport), 'open', 'from its first moment');
  const hold = holdImports(pool, clock);
  hold.add(iImport);
  for (let renewal = 0; renewal < 3; renewal++) {
    await pass(IMPORT_HELD_S);
    assert.equal(await stateOf(iImport), 'interrupted');
    await clock.advance(RENEW_MS);
    for (let tries = 0; tries < 200 && (await stateOf(iImport)) !== 'open'; tries++) await sleep(10);
    assert.equal(await stateOf(iImport), 'open', `renewal ${renewal}`);
  }
  await hold.leave();
  assert.equal(await stateOf(iImport), 'interrupted', 'one that failed says so at once');
  assert.equal(clock.pendingTimers, 0);
});

test('a finished import is finished, whoever holds it; a switch that posts is always open', async () => {
  const { iImport } = await testImportSource(pool);
  const hold = holdImports(pool, createFakeClock());
  hold.add(iImport);
  await finish(iImport);
  await hold.leave();
  await pass(IMPORT_HELD_S);
  assert.equal(await stateOf(iImport), 'finished');
  const options = { file: 'POST /cdrs', format: 'posted', source: 'api', readOptions: {}, newAccounts: null };
  const posts = await openPostSource(pool, options);
  await pass(2 * IMPORT_HELD_S);
  assert.equal(await stateOf(posts.iImport), 'open');
});

test('an import of a version before, which holds none, counts as running for a day', async () => {
  const { rows } = await pool.query(
    `INSERT INTO calls.imports (file, format, source, known_before, noted, options)
     VALUES ('/old.csv', 'asterisk', 'asterisk', false, true, '{}') RETURNING i_import`,
  );
  const [{ i_import: iImport }] = rows;
  assert.equal(await stateOf(iImport), 'open');
  await pass(86_400);
  assert.equal(await stateOf(iImport), 'interrupted');
});
