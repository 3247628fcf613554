/** What a schema holds, from PostgreSQL's catalogue: so a table that somebody adds is in the next back-up by itself. */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '../statement.ts';

const build = sqlBuilder<unknown>();

/** A table with rows of its own. */
export interface CatalogueTable {
  readonly schema: string;
  readonly name: string;
  /** Those that are stored; none that PostgreSQL computes. */
  readonly columns: readonly string[];
  /** Of a partition: whose it is, in the same schema, and its bounds as PostgreSQL writes them. */
  readonly parent: string | null;
  readonly bounds: string | null;
  readonly pages: number;
}

interface TableRow extends CatalogueTable {
  /** By the tables that reference each other: those that are referenced come first. */
  readonly needs: readonly string[];
}

export interface CatalogueSequence {
  readonly name: string;
  readonly value: string;
  readonly isCalled: boolean;
}

/** All tables of a schema that have rows of their own. What else there is, the migrations make. */
export const listTables = (schema: string): Statement<TableRow> =>
  sql<TableRow>`
    SELECT ${schema}::text AS schema, c.relname::text AS name, p.relname::text AS parent, (pg_relation_size(c.oid) / 8192)::int AS pages,
      pg_get_expr(c.relpartbound, c.oid) AS bounds,
      ARRAY(SELECT attname::text FROM pg_attribute a
            WHERE a.attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum) AS columns,
      ARRAY(SELECT DISTINCT f.relname::text FROM pg_constraint k JOIN pg_class f ON f.oid = k.confrelid
            WHERE k.contype = 'f' AND k.conrelid = coalesce(p.oid, c.oid) AND k.confrelid <> coalesce(p.oid, c.oid)) AS needs
    FROM pg_class c
    LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class p ON p.oid = i.inhparent
    WHERE c.relnamespace = to_regnamespace(${schema}) AND c.relkind = 'r' ORDER BY c.relname COLLATE "C"`.compile(
    build,
  );

export const listSequences = (schema: string): Statement<{ name: string }> =>
  sql<{ name: string }>`
    SELECT c.relname::text AS name FROM pg_class c
    WHERE c.relnamespace = to_regnamespace(${schema}) AND c.relkind = 'S' ORDER BY 1`.compile(build);

/** Where a sequence stands. It does not belong to the snapshot: what was taken from it since is never given again. */
export const sequenceState = (schema: string, name: string): Statement<CatalogueSequence> =>
  sql<CatalogueSequence>`
    SELECT ${name}::text AS name, last_value::text AS value, is_called AS "isCalled"
    FROM ${sql.id(schema, name)}`.compile(build);

export const setSequence = (
  schema: string,
  { name, value, isCalled }: CatalogueSequence,
): Statement<unknown> =>
  sql`SELECT setval(format('%I.%I', ${schema}::text, ${name}::text)::regclass, ${value}::bigint, ${isCalled})`.compile(
    build,
  );

/** Tables in an order in which they can be filled: those that others reference come first. */
export function inOrderOfNeed(rows: readonly TableRow[]): CatalogueTable[] {
  const done = new Set<string>();
  const ordered: CatalogueTable[] = [];
  let left = [...rows];
  while (left.length > 0) {
    const waiting = new Set(left.map((row) => row.parent ?? row.name));
    const ready = left.filter((row) => row.needs.every((need) => done.has(need) || !waiting.has(need)));
    // References in a circle: in any order, and PostgreSQL says what it misses.
    const next = ready.length > 0 ? ready : left;
    for (const { needs: _, ...table } of next) ordered.push(table);
    for (const row of next) done.add(row.name);
    left = left.filter((row) => !done.has(row.name));
  }
  return ordered;
}
