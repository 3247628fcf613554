/**
 * Statements about the keys that this service kept in earlier versions. The identity service keeps keys now. For one release,
 * while programs of the earlier version may run, these keys are read, and revoked with those of identity. No key is added.
 */
import { sql } from 'kysely';
import type { KeyRecord } from '#platform/access/key.ts';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import type { Scope } from '#services/identity/contract.ts';

const build = sqlBuilder<unknown>();

/** A key in the table of this service. */
interface FormerKey extends KeyRecord {
  readonly scope: Scope;
  readonly hash: Buffer;
  readonly prefix: string;
  readonly created_at: string;
}

export const formerKeys = {
  byHash: (hash: Buffer): Statement<KeyRecord> =>
    sql<KeyRecord>`
      SELECT i_key, name, scope, i_account, expires_at, revoked_at FROM calls.api_keys WHERE hash = ${hash}`.compile(
      build,
    ),

  all: (): Statement<FormerKey> =>
    sql<FormerKey>`
      SELECT i_key, name, hash, prefix, scope, i_account, created_at, expires_at, revoked_at FROM calls.api_keys
      ORDER BY i_key`.compile(build),

  /** A revoked key keeps the time of its revocation. */
  revoke: (hash: Buffer): Statement<unknown> =>
    sql`UPDATE calls.api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE hash = ${hash}`.compile(
      build,
    ),
};
