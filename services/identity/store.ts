/** Statements about API keys. A key itself is never in a statement, only its hash. */
import { sql } from 'kysely';
import { auditTrail } from '#platform/database/audit.ts';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import type { Scope } from './contract.ts';
import type { DB } from './tables.ts';

const build = sqlBuilder<DB>();

/** A key's visible properties. */
export interface KeyRow {
  readonly i_key: number;
  readonly name: string;
  /** The first characters of the key, to recognise it by. */
  readonly prefix: string;
  readonly scope: Scope;
  readonly i_account: number | null;
  /** RFC 3339, as all times here. */
  readonly created_at: string;
  readonly expires_at: string | null;
  readonly revoked_at: string | null;
}

/** A key with the hash by which it is found. */
export interface HashedKey extends KeyRow {
  readonly hash: Buffer;
}

export interface NewKey {
  readonly name: string;
  readonly scope: Scope;
  /** For scope `customer`; null for all others. */
  readonly iAccount: number | null;
  /** RFC 3339; null: never. */
  readonly expiresAt: string | null;
}

const COLUMNS = [
  'i_key',
  'name',
  'prefix',
  'scope',
  'i_account',
  'created_at',
  'expires_at',
  'revoked_at',
] as const;

export const insertKey = (key: NewKey, hash: Buffer, prefix: string): Statement<KeyRow> =>
  build
    .insertInto('identity.api_keys')
    .values({
      ...{ name: key.name, hash, prefix, scope: key.scope },
      ...{ i_account: key.iAccount, expires_at: key.expiresAt },
    })
    .returning(COLUMNS)
    .$narrowType<{ scope: Scope }>()
    .compile();

/** The caller decides whether the key has expired or was revoked: the answers differ. */
export const keyByHash = (hash: Buffer): Statement<KeyRow> =>
  build
    .selectFrom('identity.api_keys')
    .select(COLUMNS)
    .where('hash', '=', hash)
    .$narrowType<{ scope: Scope }>()
    .compile();

export const listAllKeys = (): Statement<HashedKey> =>
  build
    .selectFrom('identity.api_keys')
    .select([...COLUMNS, 'hash'])
    .orderBy('i_key')
    .$narrowType<{ scope: Scope }>()
    .compile();

/** A revoked key keeps its time of revocation. */
export const revokeKeyById = (iKey: number): Statement<HashedKey> =>
  build
    .updateTable('identity.api_keys')
    .set({ revoked_at: sql`coalesce(revoked_at, now())` })
    .where('i_key', '=', iKey)
    .returning([...COLUMNS, 'hash'])
    .$narrowType<{ scope: Scope }>()
    .compile();

/** Held to the end of the transaction, so that two programs that start at once create one first key. */
export const lockKeys = (): Statement<unknown> =>
  sql`LOCK TABLE identity.api_keys IN SHARE ROW EXCLUSIVE MODE`.compile(build);

/** Whether identity has, or has had, its tables on a database. */
export const hasKeys = (): Statement<{ found: boolean }> =>
  sql<{ found: boolean }>`SELECT to_regclass('identity.api_keys') IS NOT NULL AS found`.compile(build);

export const anyKey = (): Statement<{ found: boolean }> =>
  sql<{ found: boolean }>`SELECT EXISTS (SELECT 1 FROM identity.api_keys) AS found`.compile(build);

/**
 * Copies a key from the former place. It keeps its number, unless another key has that number. An existing key takes over
 * its revocation. No row where no change was needed.
 */
export const takeOverKey = (key: HashedKey): Statement<{ i_key: number }> =>
  sql<{ i_key: number }>`
    INSERT INTO identity.api_keys AS own (i_key, name, hash, prefix, scope, i_account, created_at, expires_at, revoked_at)
    SELECT CASE WHEN EXISTS (SELECT FROM identity.api_keys WHERE i_key = ${key.i_key})
             THEN nextval(pg_get_serial_sequence('identity.api_keys', 'i_key')) ELSE ${key.i_key}::bigint END,
           ${key.name}, ${key.hash}, ${key.prefix}, ${key.scope}, ${key.i_account}::bigint, ${key.created_at}::timestamptz,
           ${key.expires_at}::timestamptz, ${key.revoked_at}::timestamptz
    ON CONFLICT (hash) DO UPDATE SET revoked_at = excluded.revoked_at
      WHERE own.revoked_at IS NULL AND excluded.revoked_at IS NOT NULL
    RETURNING i_key`.compile(build);

/** Numbers of new keys come after those of all existing keys. */
export const continueNumbers = (): Statement<unknown> =>
  sql`
    SELECT setval(seq, greatest(nextval(seq), (SELECT max(i_key) FROM identity.api_keys)))
    FROM (SELECT pg_get_serial_sequence('identity.api_keys', 'i_key')::regclass AS seq) AS s`.compile(build);

export const { note: noteAudit, list: listAudit } = auditTrail('identity');
