/**
 * What people do at identity's routes: sign in, prove a second factor, see and end sessions, change the password. It asks Better Auth for
 * each step, and adds what that leaves open: limits of guessing over all processes, codes that are good once, passwords that are
 * refused, answers in the product's form.
 */
import { createHmac, randomBytes } from 'node:crypto';
import type { Database, RequestContext } from '#platform/database/database.ts';
import { withSession } from '#platform/database/pool.ts';
import { type Session, transaction } from '#platform/database/session.ts';
import { identityError } from '../errors.ts';
import { accept, hashOfInvitation, refuseKnown } from '../organizations/organizations.ts';
import { type MembershipRow, membershipsOf, openInvitation } from '../organizations/store.ts';
import type { Authority } from './better_auth.ts';
import { ADDRESS_HEADER, cookiePrefixOf, withoutCookie } from './headers.ts';
import { type Passwords, passwordFault } from './passwords.ts';
import { isWrongGuess, type Person, personOf, type Reply, succeeded, type Told } from './replies.ts';
import { forRequest } from './request.ts';
import {
  endSession,
  endSessionOfToken,
  forgetTries,
  giveTryBack,
  isKnownDevice,
  rememberDevice,
  type SessionRow,
  secondsToNextTry,
  sessionsOf,
  takeTry,
  useCode,
} from './store.ts';
import { addressBucket, type Bucket, bucketsOf, personBucket } from './tries.ts';

/** What is known of a request. */
export interface Asking {
  readonly context: RequestContext;
  /** For limits. */
  readonly client: string;
  /** For the list of sessions. */
  readonly ip: string;
  readonly cookie: string;
  readonly userAgent: string;
}

/** What an answer gives, and the cookies that go with it. */
export interface Answered<Data> {
  readonly data: Data;
  readonly cookies: readonly string[];
}

export interface SignedIn {
  /** Undefined: a second factor is wanted first. */
  readonly person?: Person;
  readonly second_factor_wanted: boolean;
}

export interface PeopleNeeds {
  readonly database: Database;
  /** Made with the first request. */
  readonly authority: () => Promise<Authority>;
  readonly passwords: Passwords;
  readonly publicUrl: string;
  /** Keys the hashes of tries, codes and devices. */
  readonly secret: Buffer;
}

export type People = ReturnType<typeof createPeople>;

interface Current {
  readonly person: Person;
  readonly sessionId: string;
  readonly cookies: readonly string[];
}

const DEVICE_BYTES = 24;
/** The longest that browsers keep a cookie. */
const DEVICE_KEPT_S = 400 * 86_400;

export function createPeople({ database, authority, passwords, publicUrl, secret }: PeopleNeeds) {
  const isSecure = publicUrl.startsWith('https:');
  const deviceCookie = `${cookiePrefixOf(publicUrl)}.device`;
  const sessionCookie = `${cookiePrefixOf(publicUrl)}.session_token`;
  /** Better Auth counts no wrong codes of a person who is signed in: a sign-in under way is all that its codes are taken for. */
  const signingIn = (asking: Asking): Asking => ({
    ...asking,
    cookie: withoutCookie(asking.cookie, sessionCookie),
  });
  const hashOf = (...parts: string[]) => createHmac('sha256', secret).update(JSON.stringify(parts)).digest();

  /** Asks Better Auth. @throws what failed within it: the database, too many passwords at once */
  async function ask(asking: Asking, method: 'GET' | 'POST', path: string, body?: object): Promise<Reply> {
    const response = await forRequest(asking.context, async () => {
      const headers: Record<string, string> = {
        cookie: asking.cookie,
        origin: publicUrl,
        'user-agent': asking.userAgent,
        [ADDRESS_HEADER]: asking.ip,
      };
      if (body) headers['content-type'] = 'application/json';
      const url = new URL(`/auth${path}`, publicUrl);
      const request = new Request(url, { method, headers, ...(body && { body: JSON.stringify(body) }) });
      return (await authority()).handler(request);
    });
    const text = await response.text();
    const told = (text.startsWith('{') ? JSON.parse(text) : {}) as Told;
    return { status: response.status, told, cookies: response.headers.getSetCookie() };
  }

  /** Work of identity's own on the primary, in one transaction. */
  async function write<T>(context: RequestContext, work: (session: Session) => Promise<T>): Promise<T> {
    const { value } = await database.withWritePool(context, (pool, signal) =>
      withSession(pool, (session) => transaction(session, work), { signal }),
    );
    return value;
  }

  /** Counts a try. @throws ApiError 429 before the next one is allowed */
  async function takeTries(context: RequestContext, buckets: readonly Bucket[]): Promise<void> {
    await write(context, async (session) => {
      for (const { key, limit } of buckets) {
        if (await session.row(takeTry(key, limit))) continue;
        const wait = await session.row(secondsToNextTry(key));
        throw identityError('too_many_tries', { retryAfterS: wait?.seconds ?? 1 });
      }
    });
  }

  const giveBack = (context: RequestContext, buckets: readonly Bucket[]): Promise<void> =>
    write(context, async (session) => {
      for (const { key } of buckets) await session.run(giveTryBack(key));
    });

  /** A try has succeeded. */
  const clearTries = (context: RequestContext, buckets: readonly Bucket[]): Promise<void> =>
    write(context, async (session) => {
      for (const { key, cleared } of buckets)
        await session.run(cleared ? forgetTries(key) : giveTryBack(key));
    });

  /** Who is signed in. @throws ApiError 401 */
  async function current(asking: Asking): Promise<Current> {
    const { told, cookies } = await ask(asking, 'GET', '/get-session');
    if (!told.user || !told.session) throw identityError('not_signed_in');
    return { person: personOf(told.user), sessionId: told.session.id, cookies };
  }

  /**
   * Does what a guess could do, counted as a try. A success takes the tries back, and so does a failure that tells nothing about the
   * guess: the database is away, too many people sign in.
   */
  async function counted<T>(
    context: RequestContext,
    buckets: readonly Bucket[],
    work: () => Promise<T>,
  ): Promise<T> {
    await takeTries(context, buckets);
    try {
      const done = await work();
      await clearTries(context, buckets);
      return done;
    } catch (error) {
      if (!isWrongGuess(error)) await giveBack(context, buckets).catch(() => undefined);
      throw error;
    }
  }

  /** A step that a signed-in person proves by the password or a code again: guessing is limited. */
  async function provenAgain(asking: Asking, who: Current, prove: () => Promise<Reply>): Promise<Reply> {
    return counted(asking.context, [personBucket(who.person.id, secret)], prove);
  }

  /** Takes a code that Better Auth has found right. @returns false: it has been used already */
  const takeCode = async (context: RequestContext, userId: string, code: string): Promise<boolean> =>
    (await write(context, (session) => session.row(useCode(userId, hashOf('code', userId, code))))) !==
    undefined;

  /** The cookies of a person who is signed in now: this device is known from here on. */
  async function welcome(
    asking: Asking,
    person: Person,
    cookies: readonly string[],
  ): Promise<Answered<SignedIn>> {
    const device = deviceOf(asking) ?? randomBytes(DEVICE_BYTES).toString('base64url');
    await write(asking.context, (session) =>
      session.run(rememberDevice(person.id, hashOf('device', device))),
    );
    const attributes = `Path=/; Max-Age=${DEVICE_KEPT_S}; HttpOnly; SameSite=Lax${isSecure ? '; Secure' : ''}`;
    return {
      data: { person, second_factor_wanted: false },
      cookies: [...cookies, `${deviceCookie}=${device}; ${attributes}`],
    };
  }

  const deviceOf = ({ cookie }: Asking): string | undefined => {
    const found = cookie.split(/; */).find((part) => part.startsWith(`${deviceCookie}=`));
    const value = found?.slice(deviceCookie.length + 1);
    return value && /^[\w-]{32}$/.test(value) ? value : undefined;
  };

  return {
    current: async (asking: Asking): Promise<Answered<Person>> => {
      const { person, cookies } = await current(asking);
      return { data: person, cookies };
    },

    async signIn(asking: Asking, emailAsWritten: string, password: string): Promise<Answered<SignedIn>> {
      const email = emailAsWritten.toLowerCase();
      const { context, client } = asking;
      const device = deviceOf(asking);
      const hash = device === undefined ? undefined : hashOf('device', device);
      // One look-up whether or not there is such a person.
      const known =
        hash && (await database.readForWrite(context, (session) => session.row(isKnownDevice(email, hash))));
      const buckets = bucketsOf({ email, address: client, device: known && hash }, secret);
      const { told, cookies } = await counted(context, buckets, async () => {
        const reply = await ask(asking, 'POST', '/sign-in/email', { email, password });
        return succeeded(reply, { 400: 'wrong_sign_in', 401: 'wrong_sign_in' });
      });
      if (told.twoFactorRedirect) return { data: { second_factor_wanted: true }, cookies };
      return welcome(asking, personOf(told.user!), cookies);
    },

    /** The second step of a sign-in. */
    async secondFactor(asking: Asking, code: string): Promise<Answered<SignedIn>> {
      const reply = await ask(signingIn(asking), 'POST', '/two-factor/verify-totp', { code });
      succeeded(reply, { 400: 'sign_in_again', 401: 'wrong_code' });
      const person = personOf(reply.told.user!);
      if (!(await takeCode(asking.context, person.id, code))) {
        await write(asking.context, (session) => session.run(endSessionOfToken(reply.told.token!)));
        throw identityError('wrong_code');
      }
      return welcome(asking, person, reply.cookies);
    },

    /** The second step of a sign-in without the authenticator app. */
    async recoveryCode(asking: Asking, code: string): Promise<Answered<SignedIn>> {
      const reply = await ask(signingIn(asking), 'POST', '/two-factor/verify-backup-code', { code });
      succeeded(reply, { 400: 'sign_in_again', 401: 'wrong_code' });
      return welcome(asking, personOf(reply.told.user!), reply.cookies);
    },

    async signOut(asking: Asking): Promise<Answered<null>> {
      const { cookies } = await ask(asking, 'POST', '/sign-out', {});
      return { data: null, cookies };
    },

    async sessions(asking: Asking): Promise<Answered<(SessionRow & { current: boolean })[]>> {
      const { person, sessionId, cookies } = await current(asking);
      const rows = await database.readForWrite(asking.context, (session) =>
        session.rows(sessionsOf(person.id)),
      );
      return { data: rows.map((row) => ({ ...row, current: row.id === sessionId })), cookies };
    },

    /** @throws ApiError 404 for a session of somebody else, too */
    async endSession(asking: Asking, id: string): Promise<Answered<null>> {
      const { person, sessionId, cookies } = await current(asking);
      if (id === sessionId) return this.signOut(asking);
      const ended = await write(asking.context, (session) => session.row(endSession(person.id, id)));
      if (!ended) throw identityError('not_found', { message: `You have no session ${id}` });
      return { data: null, cookies };
    },

    organizations: async (asking: Asking): Promise<Answered<MembershipRow[]>> => {
      const { person, cookies } = await current(asking);
      const rows = await database.readForWrite(asking.context, (session) =>
        session.rows(membershipsOf(person.id)),
      );
      return { data: rows, cookies };
    },

    /**
     * Accepts an invitation as the person who is signed in.
     * @throws ApiError 409 when it is for another e-mail
     */
    async acceptInvitation(asking: Asking, code: string): Promise<Answered<null>> {
      const { person, cookies } = await current(asking);
      const { id: userId, email } = person;
      await counted(asking.context, [addressBucket(asking.client, secret)], () =>
        write(asking.context, (session) => accept(session, code, { kind: 'known', userId, email })),
      );
      return { data: null, cookies };
    },

    /** Accepts an invitation as a person who is new. The person then signs in. */
    async joinByInvitation(
      asking: Asking,
      { code, name, password }: { readonly code: string; readonly name: string; readonly password: string },
    ): Promise<Answered<null>> {
      const { context } = asking;
      await counted(context, [addressBucket(asking.client, secret)], async () => {
        // Looked at first, so that strangers can't have passwords hashed.
        const invitation = await database.readForWrite(context, async (session) => {
          const found = await session.row(openInvitation(hashOfInvitation(code)));
          if (found) await refuseKnown(session, found);
          return found;
        });
        if (!invitation) throw identityError('invitation_void');
        await refuseWeak(password, name, invitation.email, 'password');
        const passwordHash = await forRequest(context, () => passwords.hash(password));
        await write(context, (session) => accept(session, code, { kind: 'new', name, passwordHash }));
      });
      return { data: null, cookies: [] };
    },

    /** All other sessions end. */
    async changePassword(asking: Asking, password: string, newPassword: string): Promise<Answered<null>> {
      const who = await current(asking);
      const { name, email } = who.person;
      const [mailbox = ''] = email.split('@');
      const fault = await passwordFault(newPassword, [name, email, mailbox]);
      if (fault)
        throw identityError('weak_password', { message: fault, fields: { fields: ['new_password'] } });
      const body = { currentPassword: password, newPassword, revokeOtherSessions: true };
      const { cookies } = await provenAgain(asking, who, async () =>
        succeeded(await ask(asking, 'POST', '/change-password', body), { 400: 'wrong_password' }),
      );
      return { data: null, cookies };
    },

    /** Begins to turn the second factor on; it is on when a code of the app has been shown. */
    async beginTotp(
      asking: Asking,
      password: string,
    ): Promise<Answered<{ uri: string; recovery_codes: string[] }>> {
      const who = await current(asking);
      if (who.person.second_factor) throw identityError('second_factor_on');
      const { told, cookies } = await provenAgain(asking, who, async () =>
        succeeded(await ask(asking, 'POST', '/two-factor/enable', { password }), { 400: 'wrong_password' }),
      );
      return { data: { uri: told.totpURI!, recovery_codes: told.backupCodes! }, cookies };
    },

    async confirmTotp(asking: Asking, code: string): Promise<Answered<null>> {
      const who = await current(asking);
      if (who.person.second_factor) throw identityError('second_factor_on');
      const { cookies } = await provenAgain(asking, who, async () => {
        const reply = await ask(asking, 'POST', '/two-factor/verify-totp', { code });
        return succeeded(reply, { 400: 'second_factor_off', 401: 'wrong_code' });
      });
      await takeCode(asking.context, who.person.id, code);
      return { data: null, cookies };
    },

    /** New recovery codes; the former ones are void. */
    async newRecoveryCodes(
      asking: Asking,
      password: string,
    ): Promise<Answered<{ recovery_codes: string[] }>> {
      const who = await current(asking);
      if (!who.person.second_factor) throw identityError('second_factor_off');
      const { told, cookies } = await provenAgain(asking, who, async () => {
        const reply = await ask(asking, 'POST', '/two-factor/generate-backup-codes', { password });
        return succeeded(reply, { 400: 'wrong_password' });
      });
      return { data: { recovery_codes: told.backupCodes! }, cookies };
    },
  };
}

/** @param field of the request that has the password */
async function refuseWeak(password: string, name: string, email: string, field: string): Promise<void> {
  const [mailbox = ''] = email.split('@');
  const fault = await passwordFault(password, [name, email, mailbox]);
  if (fault) throw identityError('weak_password', { message: fault, fields: { fields: [field] } });
}
