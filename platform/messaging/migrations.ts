/** The tables of messages: one schema in each database that services stand on. */
import { fileURLToPath } from 'node:url';
import type { BackedUpService } from '#platform/database/backup/take.ts';
import type { Migrations } from '#platform/database/migrate.ts';
import { buryRestored } from './dead_letters.ts';

export const MESSAGING: Migrations = {
  schema: 'messaging',
  folder: fileURLToPath(new URL('./migrations', import.meta.url)),
  makesServiceTables: true,
};

/**
 * Messages in a back-up. What was under way when the back-up was made may have been delivered since, and nobody knows: after a
 * restore it is delivered to nobody by itself (docs/decisions/0036-messages-in-a-back-up.md).
 */
export const BACKED_UP_MESSAGES: BackedUpService = {
  migrations: MESSAGING,
  sums: [],
  comesAndGoes: true,
  afterRestore: buryRestored,
};
