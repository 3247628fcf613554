/**
 * Statements about the keys that this service has kept. They are identity's now; these are read, and revoked with identity's,
 * for one release, as long as programs of the version before may run. No key is added.
 */
import { sql } from 'kysely';
import type { KeyRecord } from '#platform/access/key.ts';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import type { Scope } from '#services/identity/contract.ts';

const build = sqlBuilder<unknown>();

/** A key as this service has kept it. */
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

  /** A key that is revoked already keeps its time. */
  revoke: (hash: Buffer): Statement<unknown> =>
    sql`UPDATE calls.api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE hash = ${hash}`.compile(
      build,
    ),
};
