/**
 * Statements about the keys that this service kept in earlier versions. The identity service keeps keys now. For one release,
 * while programs of the earlier version may run, these keys are read, and revoked with those of identity. No key is added.
 */
import { sql } from 'kysely';
import type { KeyRecord } from '#platform/access/key.ts';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import type { Scope } from '#services/identity/contract.ts';
import type { DB } from '../tables.ts';

const build = sqlBuilder<DB>();

/** A key in the table of this service. */
interface FormerKey extends KeyRecord {
  readonly scope: Scope;
  readonly hash: Buffer;
  readonly prefix: string;
  readonly created_at: string;
}

export const formerKeys = {
  byHash: (hash: Buffer): Statement<KeyRecord> =>
    build
      .selectFrom('calls.api_keys')
      .select(['i_key', 'name', 'scope', 'i_account', 'expires_at', 'revoked_at'])
      .where('hash', '=', hash)
      .$narrowType<{ scope: Scope }>()
      .compile(),

  all: (): Statement<FormerKey> =>
    build.selectFrom('calls.api_keys').selectAll().orderBy('i_key').$narrowType<{ scope: Scope }>().compile(),

  /** A revoked key keeps the time of its revocation. */
  revoke: (hash: Buffer): Statement<unknown> =>
    build
      .updateTable('calls.api_keys')
      .set({ revoked_at: sql`coalesce(revoked_at, now())` })
      .where('hash', '=', hash)
      .compile(),
};
