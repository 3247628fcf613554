import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { testDatabase } from '#tests/postgres.ts';
import { type Migrations, migrate, pendingInAll, ranMigrations } from './migrate.ts';
import { migrateAll, wayBack } from './upgrade.ts';

const { pool } = await testDatabase();

/** A version's migrations of a schema that has some name; each makes a table of its own. */
async function versionOf(schema: string, names: readonly string[]): Promise<Migrations> {
  const folder = await mkdtemp(join(tmpdir(), 'trunkline-upgrade-'));
  after(() => rm(folder, { recursive: true }));
  for (const name of names)
    await writeFile(join(folder, `${name}.sql`), `CREATE TABLE ${schema}.t${name} ()`);
  return { schema, folder, makesServiceTables: true };
}

const mark = (schema: string, migration: string) =>
  pool.query(`INSERT INTO ${schema}.migrations VALUES ($1, $2)`, [
    `${migration}_used_breaking`,
    new Date().toISOString(),
  ]);

const runsOn = async (...schemas: Migrations[]) => (await wayBack(pool, schemas)).runsOn;

test('what an upgrade is told of the version before is told after it as well, and when it was cut off', async () => {
  for (const [before, second, third, from, expected] of [
    [['1'], ['1', '2'], ['1', '2', '3'], undefined, true],
    [['1'], ['1', '2_breaking'], ['1', '2_breaking', '3'], undefined, false],
    [['1'], ['1', '2'], ['1', '2'], '2', false],
    [['1', '2'], ['1', '2', '3'], ['1', '2', '3'], '2', true],
  ] as const) {
    const names = `way_${before.length}_${second.at(-1)}_${from ?? 0}`;
    const [one, two] = [`${names}_a`, `${names}_b`];
    const version = async (migrations: readonly string[], ofTwo: readonly string[]) => [
      { ...(await versionOf(one, migrations)), ...(from && { runsWithLaterFrom: from }) },
      await versionOf(two, ofTwo),
    ];
    const first = await version(before, ['1']);
    assert.equal(await runsOn(...first), null, 'nothing ran before');
    await migrateAll(pool, first);
    assert.equal(await runsOn(...first), null, 'there was no version before');

    const later = await version(second, ['1', '2']);
    assert.equal(await runsOn(...later), expected, `${names}, ahead`);
    // Cut off between its schemas: the second one fails.
    const broken = await versionOf(two, ['1']);
    await writeFile(join(broken.folder, '2.sql'), 'SELECT 1 / 0');
    await assert.rejects(migrateAll(pool, [later[0]!, broken]));
    assert.deepEqual(await pendingInAll(pool, later), [`${two}/2`]);
    assert.equal(await runsOn(...later), expected, `${names}, cut off`);
    await migrateAll(pool, later);
    assert.equal(await runsOn(...later), expected, `${names}, over`);
    await migrateAll(pool, later);
    assert.equal(await runsOn(...later), expected, `${names}, and started again`);

    // The next upgrade is one of its own, also where it touches one schema alone.
    const next = await version(third, ['1', '2', '3']);
    assert.equal(await runsOn(...next), true, `${names}, the next one`);
    await migrateAll(pool, next);
    assert.equal(await runsOn(...next), true, `${names}, after the next one`);
  }
});

test('what an older version would misread keeps that version from running, and no version that knows it', async () => {
  const old = await versionOf('marked', ['1']);
  const present = await versionOf('marked', ['1', '2', '3']);
  await migrateAll(pool, [old]);
  await migrateAll(pool, [present]);
  assert.equal(await runsOn(present), true);
  assert.deepEqual(await migrate(pool, old), []);
  await mark('marked', '2');
  assert.deepEqual(await wayBack(pool, [present]), { runsOn: false, because: ['marked/2_used_breaking'] });
  await assert.rejects(migrate(pool, old), /belongs to a later version \(marked\/2_used_breaking\)/);
  assert.deepEqual(await ranMigrations(pool, present), ['1', '2', '3']);

  // One that knows what is marked, but no marks, refuses them too.
  await migrateAll(pool, [await versionOf('unaware', ['1', '2'])]);
  const unaware = { ...(await versionOf('unaware', ['1', '2', '4'])), knowsMarksFrom: '4' };
  await migrateAll(pool, [unaware]);
  assert.equal(await runsOn(unaware), true);
  await mark('unaware', '2');
  assert.deepEqual(await wayBack(pool, [unaware]), { runsOn: false, because: ['unaware/2_used_breaking'] });

  // Later versions run, migrate, and are gone back from: all of them know it.
  const later = await versionOf('marked', ['1', '2', '3', '4']);
  assert.deepEqual(await migrateAll(pool, [present]), []);
  assert.equal(await runsOn(later), true);
  assert.deepEqual(await migrateAll(pool, [later]), ['marked/4']);
  assert.equal(await runsOn(later), true);
  assert.deepEqual(await migrate(pool, present), []);
});

test('a migration that comes before one that has run is refused by name', async () => {
  const one = await versionOf('renumbered', ['1', '3']);
  await migrate(pool, one);
  const other = await versionOf('renumbered', ['1', '2', '3']);
  await assert.rejects(
    migrate(pool, other),
    /renumbered\/2 has not run, but renumbered\/3, which comes after it/,
  );
});
