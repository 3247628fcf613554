/** Who of the program uses a database, as its sessions tell. */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '../statement.ts';

const build = sqlBuilder<unknown>();

/** A health monitor asks more often; a session that a PgBouncer keeps of a service that has stopped is older. */
const RECENT = sql.raw(`interval '30 seconds'`);
/** They look, and hold no table. */
const LOOK_ON = ['monitor', 'doctor'];

export interface DatabaseUser {
  /** `calls`, `identity`, `command`, by the name that it gives its sessions. */
  readonly name: string;
  /** null: on the database's own machine, by a socket. */
  readonly address: string | null;
}

/** What runs on the database beside the session that asks. */
export const usersOfDatabase = (): Statement<DatabaseUser> =>
  sql<DatabaseUser>`
    SELECT DISTINCT name, address FROM (
      SELECT regexp_replace(application_name, '^trunkline-(.*?)(-health)?$', '\\1') AS name, host(client_addr) AS address
      FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid() AND starts_with(application_name, 'trunkline-')
        AND (state <> 'idle' OR coalesce(state_change > now() - ${RECENT}, true))) AS users
    WHERE name <> ALL(${LOOK_ON}::text[])
    ORDER BY name, address`.compile(build);
