/** A secret that all processes of a service share, kept in the service's own table `secrets`. */
import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { type Pool, withSession } from '#platform/database/pool.ts';
import { sqlBuilder } from '#platform/database/statement.ts';

const build = sqlBuilder<unknown>();

/** The first process makes it, all others find it. */
export function sharedSecret(pool: Pool, schema: string, name: string, bytes: number): Promise<Buffer> {
  const table = sql.id(schema, 'secrets');
  return withSession(pool, async (session) => {
    await session.run(
      sql`INSERT INTO ${table} (name, value) VALUES (${name}, ${randomBytes(bytes)}) ON CONFLICT (name) DO NOTHING`.compile(
        build,
      ),
    );
    const found = sql<{ value: Buffer }>`SELECT value FROM ${table} WHERE name = ${name}`;
    return (await session.row(found.compile(build)))!.value;
  });
}
