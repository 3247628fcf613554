/** The calls service's tables. Apart from module.ts, so that a command that needs no API does not load one. */
import { fileURLToPath } from 'node:url';
import { type Migrations, migrate, pendingMigrations } from '#platform/database/migrate.ts';
import type { Pool } from '#platform/database/pool.ts';

export const callsMigrations: Migrations = {
  schema: 'calls',
  folder: fileURLToPath(new URL('./migrations', import.meta.url)),
};

/**
 * Migrating a database that others use as well is the operator's decision, so only the embedded one is migrated unasked.
 * @returns the names of the migrations that ran now
 * @throws Error when another database lacks some
 */
export async function bringUpToDate(pool: Pool, postgres: { readonly embedded: boolean }): Promise<string[]> {
  if (postgres.embedded) return migrate(pool, callsMigrations);
  const pending = await pendingMigrations(pool, callsMigrations);
  if (pending.length > 0) {
    throw new Error(`DATABASE_URL: the database lacks ${pending.length} migrations; run: trunkline migrate`);
  }
  return [];
}
