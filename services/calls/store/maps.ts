/** Statements about remembered mappings of CSV columns. */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import type { Mapping } from '../formats/mapping.ts';

const build = sqlBuilder<unknown>();

export const keepMap = (name: string, columns: Mapping['columns']): Statement<unknown> =>
  sql`
    INSERT INTO calls.import_maps (name, columns) VALUES (${name}, ${JSON.stringify(columns)}::jsonb)
    ON CONFLICT (name) DO UPDATE SET columns = excluded.columns, updated_at = now()`.compile(build);

export const findMap = (name: string): Statement<{ columns: Mapping['columns'] }> =>
  sql<{ columns: Mapping['columns'] }>`SELECT columns FROM calls.import_maps WHERE name = ${name}`.compile(
    build,
  );
