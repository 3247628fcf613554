/**
 * Routes for people. They take a cookie instead of a key. Only pages of PUBLIC_URL may use them in a browser: a request that changes
 * something and comes from a page of another origin is refused, signing in as well.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type TSchema, Type } from 'typebox';
import { contextOf } from '#platform/access/http_context.ts';
import { answer, closed, elapsed, failures, NO_QUERY, oneOf, text } from '#platform/http/answers.ts';
import { clientOf } from '#platform/http/client_address.ts';
import type { Server } from '#platform/http/server.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { ORGANIZATION_ROLES, PROVIDER_ROLES } from '../contract.ts';
import { identityError } from '../errors.ts';
import { MAX_PASSWORD_CHARACTERS } from './passwords.ts';
import type { Answered, Asking, People } from './people.ts';

const Person = Type.Object({
  id: Type.String(),
  name: Type.String(),
  email: Type.String(),
  role: Type.Union([oneOf(PROVIDER_ROLES, "Of the provider's people"), Type.Null()]),
  second_factor: Type.Boolean({ description: 'Whether signing in needs a code of an authenticator app' }),
});
const SignedIn = Type.Object({
  person: Type.Optional(Person),
  second_factor_wanted: Type.Boolean({ description: 'The sign-in goes on with POST /auth/second-factor' }),
});
const SessionOfPerson = Type.Object({
  id: Type.String(),
  created_at: Type.String(),
  seen_at: Type.String({ description: 'Last seen, to a quarter of an hour' }),
  expires_at: Type.String(),
  address: Type.Union([Type.String(), Type.Null()]),
  program: Type.Union([Type.String(), Type.Null()], { description: 'The browser' }),
  current: Type.Boolean({ description: 'The session of this request' }),
});
const Membership = Type.Object({
  id: Type.String(),
  name: Type.String(),
  i_account: Type.Integer({ description: 'The account at which it stands' }),
  role: oneOf(ORGANIZATION_ROLES, 'docs/RIGHTS.md has what each may do'),
});
const RecoveryCodes = Type.Array(Type.String(), {
  description: 'Each lets its person in once without the app. They are shown this once',
});

/** The longest address of e-mail. */
const EMAIL_CHARACTERS = 254;
const email = () =>
  Type.String({
    minLength: 3,
    maxLength: EMAIL_CHARACTERS,
    pattern: '^[^@\\s]+@[^@\\s]+$',
    description: 'In any case',
  });
// A character outside of the basic plane counts twice here, and once in passwordFault.
const password = (description: string) =>
  Type.String({ minLength: 1, maxLength: 2 * MAX_PASSWORD_CHARACTERS, description });
const Code = Type.Object({ code: text('The code of the authenticator app', 32) }, closed);
const PasswordAgain = Type.Object({ password: password('The present password') }, closed);

export interface PeopleRoutesNeeds {
  readonly people: People;
  readonly publicUrl: string;
  readonly clock: Clock;
}

const isLocal = ({ hostname }: URL) => hostname === 'localhost' || hostname.endsWith('.localhost');

export async function peopleRoutes(
  server: Server,
  { people, publicUrl, clock }: PeopleRoutesNeeds,
): Promise<void> {
  const url = new URL(publicUrl);
  const needsTls = url.protocol !== 'https:' && !isLocal(url);

  await server.register(async (plugin) => {
    const api = plugin as unknown as Server;
    api.addHook('onRequest', async (request, reply) => {
      reply.header('cache-control', 'no-store');
      if (needsTls) throw identityError('tls_needed');
      if (request.method !== 'GET' && !isOwnPage(request, publicUrl)) throw identityError('foreign_page');
    });

    const asking = (request: FastifyRequest, reply: FastifyReply): Asking => ({
      context: contextOf(request, reply, clock, undefined),
      client: clientOf(request),
      ip: request.ip,
      cookie: request.headers.cookie ?? '',
      userAgent: (request.headers['user-agent'] ?? '').slice(0, PROGRAM_CHARACTERS),
    });
    async function give<Data>(reply: FastifyReply, work: Promise<Answered<Data>>) {
      const { data, cookies } = await work;
      if (cookies.length > 0) reply.header('set-cookie', [...cookies]);
      return { success: true as const, data, duration_ms: elapsed(reply) };
    }
    const schema = <Data extends TSchema>(summary: string, data: Data, signedIn = true) => ({
      tags: ['people'],
      summary,
      security: signedIn ? [{ session: [] }] : [],
      querystring: NO_QUERY,
      response: { 200: answer(data), ...failures(400, 401, 403, 404, 409, 429, 503) },
    });

    const SignIn = Type.Object({ email: email(), password: password('The password') }, closed);
    api.post(
      '/auth/sign-in',
      { schema: { ...schema('Signs in by e-mail and password', SignedIn, false), body: SignIn } },
      (request, reply) =>
        give(reply, people.signIn(asking(request, reply), request.body.email, request.body.password)),
    );
    api.post(
      '/auth/second-factor',
      {
        schema: {
          ...schema('Ends a sign-in by a code of the authenticator app', SignedIn, false),
          body: Code,
        },
      },
      (request, reply) => give(reply, people.secondFactor(asking(request, reply), request.body.code)),
    );
    api.post(
      '/auth/recovery-code',
      { schema: { ...schema('Ends a sign-in by a recovery code', SignedIn, false), body: Code } },
      (request, reply) => give(reply, people.recoveryCode(asking(request, reply), request.body.code)),
    );
    api.post('/auth/sign-out', { schema: schema('Signs out', Type.Null()) }, (request, reply) =>
      give(reply, people.signOut(asking(request, reply))),
    );
    api.get('/auth/session', { schema: schema('Who is signed in', Person) }, (request, reply) =>
      give(reply, people.current(asking(request, reply))),
    );
    api.get(
      '/auth/sessions',
      { schema: schema("A person's sessions", Type.Array(SessionOfPerson)) },
      (request, reply) => give(reply, people.sessions(asking(request, reply))),
    );
    const OneSession = Type.Object({ id: Type.String({ format: 'uuid' }) });
    api.delete(
      '/auth/sessions/:id',
      { schema: { ...schema('Signs out one session', Type.Null()), params: OneSession } },
      (request, reply) => give(reply, people.endSession(asking(request, reply), request.params.id)),
    );
    api.get(
      '/auth/organizations',
      { schema: schema('Organizations of a person, with the role in each', Type.Array(Membership)) },
      (request, reply) => give(reply, people.organizations(asking(request, reply))),
    );
    const Accepted = Type.Object({ code: text('The code of the invitation') }, closed);
    api.post(
      '/auth/invitations/accept',
      { schema: { ...schema('Accepts an invitation', Type.Null()), body: Accepted } },
      (request, reply) => give(reply, people.acceptInvitation(asking(request, reply), request.body.code)),
    );
    const Joined = Type.Object(
      {
        code: text('The code of the invitation'),
        name: text("The person's name"),
        password: password('A password of the own choice'),
      },
      closed,
    );
    api.post(
      '/auth/invitations/join',
      { schema: { ...schema('Accepts an invitation as a new person', Type.Null(), false), body: Joined } },
      (request, reply) => give(reply, people.joinByInvitation(asking(request, reply), request.body)),
    );
    const NewPassword = Type.Object(
      { password: password('The present password'), new_password: password('The new one') },
      closed,
    );
    api.post(
      '/auth/password',
      {
        schema: {
          ...schema('Changes the password, and signs out all other sessions', Type.Null()),
          body: NewPassword,
        },
      },
      (request, reply) => {
        const { password: present, new_password } = request.body;
        return give(reply, people.changePassword(asking(request, reply), present, new_password));
      },
    );
    const Begun = Type.Object({
      uri: Type.String({ description: 'For the authenticator app, as a QR code' }),
      recovery_codes: RecoveryCodes,
    });
    api.post(
      '/auth/totp',
      { schema: { ...schema('Begins to turn the second factor on', Begun), body: PasswordAgain } },
      (request, reply) => give(reply, people.beginTotp(asking(request, reply), request.body.password)),
    );
    api.post(
      '/auth/totp/confirm',
      { schema: { ...schema('Turns the second factor on, by a first code', Type.Null()), body: Code } },
      (request, reply) => give(reply, people.confirmTotp(asking(request, reply), request.body.code)),
    );
    const NewCodes = Type.Object({ recovery_codes: RecoveryCodes });
    api.post(
      '/auth/recovery-codes',
      {
        schema: { ...schema('New recovery codes; the former ones are void', NewCodes), body: PasswordAgain },
      },
      (request, reply) => give(reply, people.newRecoveryCodes(asking(request, reply), request.body.password)),
    );
  });
}

const PROGRAM_CHARACTERS = 300;

/** Whether a request that changes something comes from a page of PUBLIC_URL, or from no page. */
function isOwnPage({ headers }: FastifyRequest, publicUrl: string): boolean {
  if (headers.origin !== undefined) return headers.origin === publicUrl;
  const site = headers['sec-fetch-site'];
  return site === undefined || site === 'same-origin' || site === 'none';
}
