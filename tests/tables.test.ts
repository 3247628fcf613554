/** The types of tables that statements are written against are those of the migrations. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { tabledOf } from '#platform/service/definition.ts';
import { SERVICES } from '#system';
import { testDatabase } from '#tests/postgres.ts';
import { tableTypes, tableTypesFile } from '../scripts/table_types.ts';

const { pool } = await testDatabase();

for (const { name } of tabledOf(SERVICES))
  test(`${tableTypesFile(name)} is as the migrations are; else run: node scripts/tables.ts`, async () => {
    assert.equal(readFileSync(tableTypesFile(name), 'utf8'), await tableTypes(pool, name));
  });
