/**
 * Better Auth, as identity uses it: e-mail and password, sessions and TOTP, on the tables of identity's migrations. It is loaded with
 * the first request of a person, since it takes 60 MB and a second; an installation that only has keys never loads it.
 *
 * No path of it is reachable by itself: routes.ts asks it, one route for each thing that people may do.
 */
import { betterAuth } from 'better-auth';
import { twoFactor } from 'better-auth/plugins/two-factor';
import type { Database } from '#platform/database/database.ts';
import { versionOf } from './encryption_keys.ts';
import { guardedKysely } from './guarded_kysely.ts';
import { ADDRESS_HEADER, cookiePrefixOf } from './headers.ts';
import { MAX_PASSWORD_CHARACTERS, MIN_PASSWORD_CHARACTERS, type Passwords } from './passwords.ts';

/** A session ends so long after its last request. */
export const SESSION_IDLE_S = 12 * 3_600;
/** So often at most, a request moves the end of its session. */
const SESSION_TOUCHED_EVERY_S = 15 * 60;

export interface BetterAuthNeeds {
  readonly publicUrl: string;
  readonly keys: readonly string[];
  readonly database: Database;
  readonly passwords: Passwords;
}

/** What better_auth answers requests by. */
export interface Authority {
  handler(request: Request): Promise<Response>;
}

const TIMES = { createdAt: 'created_at', updatedAt: 'updated_at' } as const;

export async function createAuthority(needs: BetterAuthNeeds): Promise<Authority> {
  const { publicUrl, keys, passwords } = needs;
  const isSecure = publicUrl.startsWith('https:');
  const auth = betterAuth({
    appName: 'Trunkline',
    baseURL: publicUrl,
    basePath: '/auth',
    trustedOrigins: [publicUrl],
    secrets: keys.map((value) => ({ version: versionOf(value), value })),
    database: { db: guardedKysely(needs.database, 'identity'), type: 'postgres' },
    emailAndPassword: {
      enabled: true,
      disableSignUp: true,
      minPasswordLength: MIN_PASSWORD_CHARACTERS,
      maxPasswordLength: MAX_PASSWORD_CHARACTERS,
      password: {
        hash: passwords.hash,
        verify: ({ password, hash }) => passwords.verify(password, hash),
      },
    },
    user: {
      modelName: 'users',
      fields: { emailVerified: 'email_verified', ...TIMES },
      additionalFields: { role: { type: 'string', required: false, input: false } },
    },
    session: {
      modelName: 'sessions',
      fields: {
        userId: 'user_id',
        expiresAt: 'expires_at',
        ipAddress: 'ip_address',
        userAgent: 'user_agent',
        ...TIMES,
      },
      expiresIn: SESSION_IDLE_S,
      updateAge: SESSION_TOUCHED_EVERY_S,
    },
    account: {
      modelName: 'credentials',
      fields: {
        userId: 'user_id',
        providerId: 'provider_id',
        accountId: 'account_id',
        accessToken: 'access_token',
        refreshToken: 'refresh_token',
        idToken: 'id_token',
        accessTokenExpiresAt: 'access_token_expires_at',
        refreshTokenExpiresAt: 'refresh_token_expires_at',
        ...TIMES,
      },
    },
    verification: { modelName: 'verifications', fields: { expiresAt: 'expires_at', ...TIMES } },
    plugins: [
      twoFactor({
        issuer: 'Trunkline',
        schema: {
          user: { fields: { twoFactorEnabled: 'two_factor_enabled' } },
          twoFactor: {
            modelName: 'second_factors',
            fields: {
              userId: 'user_id',
              backupCodes: 'backup_codes',
              failedVerificationCount: 'failed_verification_count',
              lockedUntil: 'locked_until',
            },
          },
        },
      }),
    ],
    // Limits are identity's own (tries.ts): they hold over all processes.
    rateLimit: { enabled: false },
    telemetry: { enabled: false },
    // What fails is thrown to the route, which logs it; what people get wrong is in the request's log line.
    logger: { disabled: true },
    onAPIError: { throw: true },
    advanced: {
      cookiePrefix: cookiePrefixOf(publicUrl),
      useSecureCookies: false,
      defaultCookieAttributes: { secure: isSecure, httpOnly: true, sameSite: 'lax', path: '/' },
      ipAddress: { ipAddressHeaders: [ADDRESS_HEADER] },
      database: { generateId: 'uuid' },
      disableOriginCheck: false,
    },
  });
  await auth.$context;
  return auth;
}
