/** What versions before would read as more rights keeps them from running, by whichever way it is stored. */
import assert from 'node:assert/strict';
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  availableMigrations,
  type Migrations,
  namesIn,
  pendingMigrations,
} from '#platform/database/migrate.ts';
import type { Pool } from '#platform/database/pool.ts';
import { SCHEMAS } from '#system';
import { testDatabase } from '#tests/postgres.ts';
import { closeAccount } from './accounts/account_life.ts';
import { moveAccount } from './accounts/account_moves.ts';
import { createAccount } from './accounts/accounts.ts';
import { eraseAccount } from './erasure/erase_account.ts';
import { calls } from './service.ts';

type Stored = readonly [what: string, migration: string, store: (pool: Pool) => Promise<unknown>];

const BY = { id: 'terminal:test', name: 'test' };
const NEW = { name: 'x', currency: 'EUR', timeZone: 'Europe/Berlin', country: null };
const ERASE = { by: BY, apply: true, schemas: SCHEMAS.map(({ schema }) => schema), onProgress: () => {} };

/** What is stored by people, and the migration that versions know it from. */
const MARKED: readonly Stored[] = [
  [
    'a moved account',
    '0020_moved_accounts',
    (pool) => moveAccount(pool, 'acme', { to: 'globex', from: '2026-10-01', apply: true }, BY),
  ],
  [
    'a move that is written without the program',
    '0020_moved_accounts',
    (pool) =>
      pool.query(
        `INSERT INTO calls.account_parents (i_account, i_parent, since, until) VALUES (1, 2, '-infinity', 'infinity')`,
      ),
  ],
];

/** Every version that runs with these tables knows it. */
const UNMARKED: readonly Stored[] = [
  ['a closed account', '0012_closed_accounts', (pool) => closeAccount(pool, 'acme', '2026-10-01', BY)],
  ['an erased account', '0014_erasures', (pool) => eraseAccount(pool, 'acme', ERASE)],
];

/** The migrations of the last version that lacks one. */
async function versionBefore(migration: string): Promise<Migrations> {
  const folder = await mkdtemp(join(tmpdir(), 'trunkline-before-'));
  after(() => rm(folder, { recursive: true }));
  for (const file of await readdir(calls.migrations.folder))
    if (file < migration) await cp(join(calls.migrations.folder, file), join(folder, file));
  return { ...calls.migrations, folder };
}

for (const [what, migration, store] of MARKED) {
  test(`${what} keeps versions before ${migration} from running, and no other`, async () => {
    const { pool } = await testDatabase();
    for (const code of ['acme', 'globex']) await createAccount(pool, { ...NEW, code }, null, BY);
    const before = await versionBefore(migration);
    const knowing = await versionBefore('0024');
    assert.deepEqual(await pendingMigrations(pool, before), []);
    await store(pool);
    await assert.rejects(
      pendingMigrations(pool, before),
      new RegExp(`later version \\(calls/${migration}_used_breaking\\)`),
    );
    for (const version of [knowing, calls.migrations])
      assert.deepEqual(await pendingMigrations(pool, version), []);
  });
}

for (const [what, migration, store] of UNMARKED) {
  test(`${what} keeps no version from running that has ${migration}`, async () => {
    const { pool } = await testDatabase();
    await createAccount(pool, { ...NEW, code: 'acme' }, null, BY);
    await store(pool);
    assert.deepEqual(await namesIn(pool, 'calls'), await availableMigrations(calls.migrations));
  });
}
