/** Writes the types of each service's tables from its migrations, services/<service>/tables.ts: node scripts/tables.ts */
import { writeFileSync } from 'node:fs';
import { tabledOf } from '#platform/service/definition.ts';
import { SERVICES } from '#system';
import { withMigratedDatabase } from '#tests/postgres.ts';
import { tableTypes, tableTypesFile } from './table_types.ts';

await withMigratedDatabase(async (pool) => {
  for (const { name } of tabledOf(SERVICES))
    writeFileSync(tableTypesFile(name), await tableTypes(pool, name));
});
