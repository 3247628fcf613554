/** An import that was killed is seen as interrupted, is undone, and is imported again. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { testApi } from '#tests/calls_api.ts';
import { runCommand, startCommand } from '#tests/command.ts';
import { testDatabase } from '#tests/postgres.ts';
import { asteriskRows, tables } from '#tests/promised_tables.ts';

const folder = await mkdtemp(join(tmpdir(), 'trunkline-killed-import-'));
after(() => rm(folder, { recursive: true, force: true }));

test('a killed import is interrupted, for commands and the API; its undo and its file again end in the same tables', async () => {
  const file = join(folder, 'Master.csv');
  await writeFile(file, asteriskRows(0, 60_000));
  const importOf = ['import', 'cdrs', file, '--create-accounts', '--json'];
  const database = await testDatabase();
  const { pool, url } = database;
  const said = async (...args: string[]) => {
    const { code, out, err } = await runCommand(args, { DATABASE_URL: url });
    assert.equal(code, 0, err);
    return JSON.parse(out);
  };

  const { child, ended } = startCommand(importOf, { DATABASE_URL: url });
  const stored = async () => (await pool.query('SELECT count(*)::int AS n FROM calls.cdrs')).rows[0].n;
  while (child.exitCode === null && (await stored()) === 0) await sleep(2);
  assert.equal((await said('imports', 'list', '--json'))[0].state, 'open', 'while it runs');
  child.kill('SIGKILL');
  assert.equal((await ended).signal, 'SIGKILL', 'the import had ended before it was killed');
  // The minute for which it was held.
  await pool.query("UPDATE calls.imports SET held_until = held_until - interval '1 min'");

  const [killed] = await said('imports', 'list', '--json');
  assert.deepEqual([killed.state, killed.finished_at], ['interrupted', null]);
  const shown = await runCommand(['imports', 'show', String(killed.i_import)], { DATABASE_URL: url });
  assert.match(shown.out, /^import +\d+, interrupted: import its file again, or undo it$/m);
  const api = await testApi({}, { database });
  const { body } = await api.get(`/imports/${killed.i_import}`, await api.key('operator'));
  assert.equal(body.data.state, 'interrupted');

  await said('imports', 'undo', String(killed.i_import), '--yes', '--json');
  assert.equal(await stored(), 0);
  assert.equal((await runCommand(importOf, { DATABASE_URL: url })).code, 3);
  const states = (await said('imports', 'list', '--json')).map((one: { state: string }) => one.state);
  assert.deepEqual(states, ['finished', 'undone']);
  const clean = await testDatabase();
  await runCommand(importOf, { DATABASE_URL: clean.url });
  assert.deepEqual(await tables(url), await tables(clean.url));
});
