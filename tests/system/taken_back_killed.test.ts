/** Taking an import back and erasing an account, killed again and again: the same command goes on to the same tables. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from '#platform/database/pool.ts';
import { runCommand, startCommand } from '#tests/command.ts';
import { testDatabase } from '#tests/postgres.ts';
import { asteriskRows, tables } from '#tests/promised_tables.ts';

const folder = await mkdtemp(join(tmpdir(), 'trunkline-killed-'));
after(() => rm(folder, { recursive: true, force: true }));

const importOf = (path: string) => ['import', 'cdrs', path, '--create-accounts', '--json'];
const KILLS = 4;

/**
 * Kills a command whenever fewer than so many rows are left, starts it again, and lets the last one end.
 * @param left SQL that counts what the command takes away
 */
async function killedOften(
  { pool, url }: { pool: Pool; url: string },
  command: string[],
  left: string,
): Promise<number[]> {
  const count = async (): Promise<number> => (await pool.query(left)).rows[0].n;
  const whole = await count();
  const leftAfterKill: number[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    const { child, ended } = startCommand(command, { DATABASE_URL: url });
    let over = false;
    void ended.then(() => (over = true));
    const wanted = whole * (1 - kill / KILLS);
    while (!over && (await count()) >= wanted) {
      // The first one is killed before anything is gone.
      if (kill === 0) break;
      await sleep(2);
    }
    if (kill === 0) await sleep(1_000);
    child.kill('SIGKILL');
    assert.equal((await ended).signal, 'SIGKILL', `kill ${kill}: the command had ended before it`);
    leftAfterKill.push(await count());
  }
  const last = await runCommand(command, { DATABASE_URL: url });
  assert.equal(last.code, 0, last.err);
  assert.ok(
    leftAfterKill.filter((n) => n > 0 && n < whole).length >= 2,
    `left after each kill: ${leftAfterKill}`,
  );
  return leftAfterKill;
}

test('an import that is taken back, killed at any moment: as if it had never been', async (t) => {
  const [wrong, other] = [join(folder, 'wrong.csv'), join(folder, 'other.csv')];
  await writeFile(wrong, asteriskRows(0, 30_000));
  await writeFile(other, asteriskRows(20_000, 40_000));
  const database = await testDatabase();
  assert.equal((await runCommand(importOf(wrong), { DATABASE_URL: database.url })).code, 3);
  assert.equal((await runCommand(importOf(other), { DATABASE_URL: database.url })).code, 3);
  const command = ['imports', 'undo', '1', '--yes', '--json'];
  const kept = await killedOften(
    database,
    command,
    'SELECT count(*)::int AS n FROM calls.cdrs WHERE i_import = 1',
  );
  t.diagnostic(`calls left after each kill: ${kept}`);
  const never = await testDatabase();
  await runCommand(importOf(other), { DATABASE_URL: never.url });
  // Who has a call now has it in the line in which it was read first.
  const [left, expected] = [
    await tables(database.url, { lines: false }),
    await tables(never.url, { lines: false }),
  ];
  assert.deepEqual(left, expected);
  const again = await runCommand(command, { DATABASE_URL: database.url });
  assert.deepEqual([again.code, /taken back already/.test(again.err)], [1, true], again.err);
});

/** How many rows each table of all services has, and in which the name stands. */
async function rowsHolding(
  pool: Pool,
  name: string,
): Promise<Record<string, [all: number, holding: number]>> {
  const { rows } = await pool.query(
    `SELECT table_schema || '.' || table_name AS name FROM information_schema.tables
     WHERE table_schema IN ('calls', 'identity') AND table_type = 'BASE TABLE' ORDER BY 1`,
  );
  const counts: Record<string, [number, number]> = {};
  for (const { name: table } of rows) {
    const { rows: found } = await pool.query(
      `SELECT count(*)::int AS all, count(*) FILTER (WHERE t::text ~ $1)::int AS holding FROM ${table} t`,
      [`\\y${name}\\y`],
    );
    counts[table] = [found[0].all, found[0].holding];
  }
  return counts;
}

test('an account that is erased, killed at any moment: nothing of it is left, and all of the others', async (t) => {
  const file = join(folder, 'two.csv');
  await writeFile(file, asteriskRows(0, 40_000, 2));
  const [killed, whole] = [await testDatabase(), await testDatabase()];
  for (const { url } of [killed, whole])
    assert.equal((await runCommand(importOf(file), { DATABASE_URL: url })).code, 3);
  const command = ['accounts', 'erase', 'acct1', '--yes', '--json'];
  const left = await killedOften(
    killed,
    command,
    "SELECT count(*)::int AS n FROM calls.cdrs c JOIN calls.accounts a USING (i_account) WHERE a.code <> 'acct0'",
  );
  t.diagnostic(`calls left after each kill: ${left}`);
  assert.equal((await runCommand(command, { DATABASE_URL: whole.url })).code, 0);
  assert.deepEqual(await tables(killed.url), await tables(whole.url));
  const { 'calls.audit': _, ...counts } = await rowsHolding(killed.pool, 'acct1');
  const { 'calls.audit': __, ...expected } = await rowsHolding(whole.pool, 'acct1');
  assert.deepEqual(counts, expected);
  assert.deepEqual(
    Object.entries(counts).filter(([, [, holding]]) => holding > 0),
    [],
  );
});
