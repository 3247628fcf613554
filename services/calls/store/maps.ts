/** Statements about remembered mappings of CSV columns. */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import type { Mapping } from '../formats/mapping.ts';
import type { DB } from '../tables.ts';

const build = sqlBuilder<DB>();

export const keepMap = (name: string, columns: Mapping['columns']): Statement<unknown> =>
  build
    .insertInto('calls.import_maps')
    .values({ name, columns: JSON.stringify(columns) })
    .onConflict((same) =>
      same
        .column('name')
        .doUpdateSet(({ ref }) => ({ columns: ref('excluded.columns'), updated_at: sql`now()` })),
    )
    .compile();

/**
 * Remembers the mapping of the import that read these rejected rows. A mapping with that name that was remembered later remains.
 * @param iRejecteds the rows
 */
export const keepMapRead = (
  name: string,
  columns: Mapping['columns'],
  iRejecteds: readonly number[],
): Statement<unknown> =>
  sql`
    INSERT INTO calls.import_maps AS was (name, columns) VALUES (${name}, ${JSON.stringify(columns)}::jsonb)
    ON CONFLICT (name) DO UPDATE SET columns = excluded.columns, updated_at = now()
    WHERE was.columns <> excluded.columns AND was.updated_at < (
      SELECT max(i.started_at) FROM calls.rejected_cdrs r
      JOIN calls.imports i ON i.i_import = coalesce(r.aside_before[1], r.i_import)
      WHERE r.i_rejected = ANY(${iRejecteds}::bigint[]))`.compile(build);

export const findMap = (name: string): Statement<{ columns: Mapping['columns'] }> =>
  sql<{ columns: Mapping['columns'] }>`SELECT columns FROM calls.import_maps WHERE name = ${name}`.compile(
    build,
  );
