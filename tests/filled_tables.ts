/** Rows in every table of every service, found from the catalogue: so a table that is added is filled as well. */
import type { Pool } from '#platform/database/pool.ts';
import { SCHEMAS } from '#system';

export interface FilledColumn {
  /** With its schema. */
  readonly table: string;
  readonly column: string;
  /** As PostgreSQL names it. */
  readonly type: string;
}

/** What the rules of a table want, whatever schema it is in; all else is filled by its type. */
const WANTED: Readonly<Record<string, string>> = {
  'users.email': `'a@example.com'`,
  'users.role': `'operator'`,
  'invitations.email': `'a@example.com'`,
  'invitations.role': `'owner'`,
  'memberships.role': `'owner'`,
  'accounts.currency': "'EUR'",
  'accounts.country': "'DE'",
  'accounts.i_parent': 'NULL',
  'account_parents.i_parent': 'NULL',
  'account_parents.since': "'-infinity'",
  'erasures.kind': "'code'",
  'api_keys.scope': "'operator'",
  'api_keys.i_account': 'NULL',
  'heartbeat.id': 'true',
  'provisional_rows.i_rejected': 'NULL',
  'rejected_cdrs.taken_by': 'NULL',
  'rejected_cdrs.discarded_at': 'NULL',
  'imports.undo_began_at': 'NULL',
  'imports.undone_at': 'NULL',
};

const TYPED: Readonly<Record<string, string>> = {
  bigint: '7',
  smallint: '7',
  integer: '7',
  numeric: '1.5',
  boolean: 'true',
  bytea: "'\\x00ff'",
  date: "'2026-10-05'",
  json: `'{"a": "b"}'`,
  jsonb: `'{"a": "b"}'`,
  'timestamp with time zone': "'2026-10-05T10:00:00.123456Z'",
  uuid: "'0197b1a0-0000-7000-8000-000000000001'",
  xid8: "'7'",
  int8multirange: "'{[1,5),[7,8)}'",
  'integer[]': 'ARRAY[7]',
  'text[]': "ARRAY['a', 'b,\"c']",
};

/** Tables that a service fills by its own means. */
const OWN = ['migrations', 'migrations_lock'];

/** Tables that are no partitions, with their schemas, as the catalogue lists them. */
export async function tablesOf(pool: Pool): Promise<string[]> {
  const { rows } = await pool.query<{ name: string }>(
    `SELECT relnamespace::regnamespace || '.' || relname AS name FROM pg_class
     WHERE relnamespace = ANY($1::regnamespace[]) AND relkind IN ('r', 'p') AND NOT relispartition
       AND relname <> ALL($2) ORDER BY 1`,
    [SCHEMAS.map(({ schema }) => schema), OWN],
  );
  return rows.map(({ name }) => name);
}

export async function columnsOf(pool: Pool, table: string): Promise<FilledColumn[]> {
  const { rows } = await pool.query<FilledColumn>(
    `SELECT $1::text AS table, attname AS column, format_type(atttypid, NULL) AS type FROM pg_attribute
     WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''`,
    [table],
  );
  return rows;
}

/**
 * Adds a row to every table, its references unchecked.
 * @param valueFor SQL of a column's value; undefined: what its type has
 */
export async function fillTables(
  pool: Pool,
  valueFor: (column: FilledColumn) => string | undefined = () => undefined,
): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    await client.query('SET LOCAL session_replication_role = replica');
    for (const table of await tablesOf(pool)) {
      const columns = await columnsOf(pool, table);
      const values = columns.map((column) => {
        const wanted = WANTED[`${table.split('.')[1]}.${column.column}`] ?? valueFor(column);
        return wanted ?? TYPED[column.type] ?? `'${column.column.slice(0, 2).toUpperCase()}'`;
      });
      await client.query(
        `INSERT INTO ${table} (${columns.map(({ column }) => `"${column}"`).join(', ')})
         OVERRIDING SYSTEM VALUE VALUES (${values.join(', ')}) ON CONFLICT DO NOTHING`,
      );
    }
    await client.query('COMMIT');
  } finally {
    client.release();
  }
}
