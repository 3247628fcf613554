/** The tables of messages: one schema in each database that services stand on. */
import { fileURLToPath } from 'node:url';
import type { Migrations } from '#platform/database/migrate.ts';

export const MESSAGING: Migrations = {
  schema: 'messaging',
  folder: fileURLToPath(new URL('./migrations', import.meta.url)),
  makesServiceTables: true,
};
