/** Statements about people, beside those of Better Auth: sessions in a list, tries to sign in, used codes, known devices. */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import type { TryLimit } from './tries.ts';

const build = sqlBuilder<unknown>();

/** A session as its person sees it. */
export interface SessionRow {
  readonly id: string;
  /** RFC 3339, as all times here. */
  readonly created_at: string;
  readonly seen_at: string;
  readonly expires_at: string;
  readonly address: string | null;
  readonly program: string | null;
}

export const sessionsOf = (userId: string): Statement<SessionRow> =>
  sql<SessionRow>`
    SELECT id, created_at, updated_at AS seen_at, expires_at, ip_address AS address, user_agent AS program
    FROM identity.sessions WHERE user_id = ${userId} AND expires_at > now() ORDER BY updated_at DESC, id`.compile(
    build,
  );

/** @returns a row when the person has this session */
export const endSession = (userId: string, id: string): Statement<{ id: string }> =>
  sql<{ id: string }>`
    DELETE FROM identity.sessions WHERE id = ${id} AND user_id = ${userId} RETURNING id`.compile(build);

export const endSessionOfToken = (token: string): Statement<unknown> =>
  sql`DELETE FROM identity.sessions WHERE token = ${token}`.compile(build);

/** How long a code stays used: longer than Better Auth accepts it, which is for its own half minute and those beside it. */
const CODE_USED_S = 120;

/** No row: the code has been used already. */
export const useCode = (userId: string, hash: Buffer): Statement<{ used: true }> =>
  sql<{ used: true }>`
    INSERT INTO identity.used_codes AS used (user_id, hash) VALUES (${userId}, ${hash})
    ON CONFLICT (user_id, hash) DO UPDATE SET used_at = now()
      WHERE used.used_at < now() - make_interval(secs => ${CODE_USED_S})
    RETURNING true AS used`.compile(build);

/** Whether a person with this e-mail has signed in on a device before. */
export const isKnownDevice = (email: string, hash: Buffer): Statement<{ known: true }> =>
  sql<{ known: true }>`
    SELECT true AS known FROM identity.known_devices AS device JOIN identity.users ON users.id = device.user_id
    WHERE users.email = ${email} AND device.hash = ${hash}`.compile(build);

export const rememberDevice = (userId: string, hash: Buffer): Statement<unknown> =>
  sql`
    INSERT INTO identity.known_devices (user_id, hash) VALUES (${userId}, ${hash})
    ON CONFLICT (user_id, hash) DO UPDATE SET used_at = now()`.compile(build);

/**
 * Counts a try, before it is known how it ends: so of tries at once no more pass than are free.
 * @returns no row when no further try is allowed yet
 */
export const takeTry = (
  bucket: Buffer,
  { free, firstWaitS, longestWaitS, forgottenS }: TryLimit,
): Statement<{ tries: number }> =>
  sql<{ tries: number }>`
    INSERT INTO identity.sign_in_tries AS t (bucket, tries, last_at, blocked_until) VALUES (${bucket}, 1, now(), now())
    ON CONFLICT (bucket) DO UPDATE SET
      last_at = now(),
      tries = CASE WHEN t.last_at < now() - make_interval(secs => ${forgottenS}) THEN 1 ELSE t.tries + 1 END,
      blocked_until = CASE
        WHEN t.last_at < now() - make_interval(secs => ${forgottenS}) OR t.tries + 1 < ${free}::integer THEN now()
        ELSE now() + make_interval(secs => least(${longestWaitS}::float8, ${firstWaitS}::float8 * 2 ^ least(t.tries + 1 - ${free}::integer, 20)))
      END
    WHERE t.blocked_until <= now()
    RETURNING tries`.compile(build);

export const secondsToNextTry = (bucket: Buffer): Statement<{ seconds: number }> =>
  sql<{ seconds: number }>`
    SELECT greatest(1, ceil(extract(epoch FROM blocked_until - now())))::integer AS seconds
    FROM identity.sign_in_tries WHERE bucket = ${bucket}`.compile(build);

/** After a success: nothing is held against this bucket any more. */
export const forgetTries = (bucket: Buffer): Statement<unknown> =>
  sql`DELETE FROM identity.sign_in_tries WHERE bucket = ${bucket}`.compile(build);

/** After a success: the try itself does not count; those of others do. */
export const giveTryBack = (bucket: Buffer): Statement<unknown> =>
  sql`
    UPDATE identity.sign_in_tries SET tries = greatest(tries - 1, 0), blocked_until = now()
    WHERE bucket = ${bucket}`.compile(build);

/** What has ended and is of no use any more. */
export const forgetEnded = (): readonly Statement<unknown>[] => [
  sql`DELETE FROM identity.sessions WHERE expires_at < now()`.compile(build),
  sql`DELETE FROM identity.verifications WHERE expires_at < now()`.compile(build),
  sql`DELETE FROM identity.used_codes WHERE used_at < now() - interval '1 hour'`.compile(build),
  sql`DELETE FROM identity.sign_in_tries WHERE last_at < now() - interval '1 day'`.compile(build),
  sql`DELETE FROM identity.known_devices WHERE used_at < now() - interval '400 days'`.compile(build),
];

/** A person, as commands show one. */
export interface UserRow {
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly role: 'operator' | 'support' | null;
  readonly second_factor: boolean;
  readonly created_at: string;
  readonly sessions: number;
}

export const listUsers = (): Statement<UserRow> =>
  sql<UserRow>`
    SELECT id, name, email, role, two_factor_enabled AS second_factor, created_at,
      (SELECT count(*)::integer FROM identity.sessions WHERE user_id = users.id AND expires_at > now()) AS sessions
    FROM identity.users ORDER BY email`.compile(build);

/** No row: there is a person with this e-mail. */
export const insertOperator = (email: string, name: string): Statement<{ id: string }> =>
  sql<{ id: string }>`
    INSERT INTO identity.users (name, email, email_verified, role) VALUES (${name}, ${email}, true, 'operator')
    ON CONFLICT (email) DO NOTHING RETURNING id`.compile(build);

/** Makes a known person an operator without a second factor. No row: there is nobody with this e-mail. */
export const resetToOperator = (email: string): Statement<{ id: string }> =>
  sql<{ id: string }>`
    UPDATE identity.users SET role = 'operator', two_factor_enabled = false, email_verified = true, updated_at = now()
    WHERE email = ${email} RETURNING id`.compile(build);

/** Everything by which a person signs in or is signed in. */
export const forgetAccess = (userId: string): readonly Statement<unknown>[] => [
  sql`DELETE FROM identity.sessions WHERE user_id = ${userId}`.compile(build),
  sql`DELETE FROM identity.second_factors WHERE user_id = ${userId}`.compile(build),
  sql`DELETE FROM identity.known_devices WHERE user_id = ${userId}`.compile(build),
  sql`DELETE FROM identity.credentials WHERE user_id = ${userId} AND provider_id = 'credential'`.compile(
    build,
  ),
  // Challenges that wait for a second factor.
  sql`DELETE FROM identity.verifications WHERE value = ${userId}`.compile(build),
];

/** In the form in which Better Auth looks for it. */
export const insertPassword = (userId: string, hash: string): Statement<unknown> =>
  sql`
    INSERT INTO identity.credentials (user_id, provider_id, account_id, password)
    VALUES (${userId}, 'credential', ${userId}, ${hash})`.compile(build);
