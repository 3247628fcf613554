/** Statements about API keys and the service's secrets. A key itself is never in a statement, only its hash. */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import type { Scope } from '../api/caller.ts';

const build = sqlBuilder<unknown>();

/** A key as it may be shown. */
export interface KeyRow {
  readonly i_key: number;
  readonly name: string;
  /** The first characters of the key, to recognise it by. */
  readonly prefix: string;
  readonly scope: Scope;
  readonly i_account: number | null;
  readonly created_at: string;
  readonly expires_at: string | null;
  readonly revoked_at: string | null;
}

export interface NewKey {
  readonly name: string;
  readonly scope: Scope;
  /** Of scope `customer`; null for all others. */
  readonly iAccount: number | null;
  /** RFC 3339; null: never. */
  readonly expiresAt: string | null;
}

const COLUMNS = sql.raw('i_key, name, prefix, scope, i_account, created_at, expires_at, revoked_at');

export const insertKey = (key: NewKey, hash: Buffer, prefix: string): Statement<KeyRow> =>
  sql<KeyRow>`
    INSERT INTO calls.api_keys (name, hash, prefix, scope, i_account, expires_at)
    VALUES (${key.name}, ${hash}, ${prefix}, ${key.scope}, ${key.iAccount}, ${key.expiresAt})
    RETURNING ${COLUMNS}`.compile(build);

/** Whether it has expired or was revoked is the caller's to see: the answer differs. */
export const keyByHash = (hash: Buffer): Statement<KeyRow> =>
  sql<KeyRow>`SELECT ${COLUMNS} FROM calls.api_keys WHERE hash = ${hash}`.compile(build);

export const listAllKeys = (): Statement<KeyRow> =>
  sql<KeyRow>`SELECT ${COLUMNS} FROM calls.api_keys ORDER BY i_key`.compile(build);

/** A key that is revoked already keeps its time. */
export const revokeKeyById = (iKey: number): Statement<KeyRow> =>
  sql<KeyRow>`
    UPDATE calls.api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE i_key = ${iKey}
    RETURNING ${COLUMNS}`.compile(build);

/** Held to the end of the transaction, so that two programs that start at once make one first key. */
export const lockKeys = (): Statement<unknown> =>
  sql`LOCK TABLE calls.api_keys IN SHARE ROW EXCLUSIVE MODE`.compile(build);

export const anyKey = (): Statement<{ found: boolean }> =>
  sql<{ found: boolean }>`SELECT EXISTS (SELECT 1 FROM calls.api_keys) AS found`.compile(build);

/** The first process makes it, all others find it. */
export const putSecret = (name: string, value: Buffer): Statement<unknown> =>
  sql`INSERT INTO calls.secrets (name, value) VALUES (${name}, ${value}) ON CONFLICT (name) DO NOTHING`.compile(
    build,
  );

export const getSecret = (name: string): Statement<{ value: Buffer }> =>
  sql<{ value: Buffer }>`SELECT value FROM calls.secrets WHERE name = ${name}`.compile(build);
