import { fileURLToPath } from 'node:url';
import type { Migrations } from '#platform/database/migrate.ts';

export const callsMigrations: Migrations = {
  schema: 'calls',
  folder: fileURLToPath(new URL('./migrations', import.meta.url)),
};
