/** People sign in, prove a second factor, see and end sessions: through HTTP, on a real PostgreSQL. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Browser, PUBLIC_URL, testIdentity, totp } from '#tests/identity_api.ts';

const identity = await testIdentity();
const { pool } = identity.database;

/** A browser with a signed-in operator of its own. */
async function signedIn(email: string) {
  const { id, password } = await identity.operator(email);
  const browser = identity.browser();
  assert.equal((await browser.signIn(email, password)).status, 200);
  return { id, email, password, browser };
}

/** The same, with the second factor on. The code of the next half minute is unused, and good already. */
async function withSecondFactor(email: string) {
  const person = await signedIn(email);
  const begun = await person.browser.ask('POST', '/auth/totp', { password: person.password });
  assert.equal(begun.status, 200, JSON.stringify(begun.body));
  const { uri, recovery_codes: recoveryCodes } = begun.body.data;
  const confirmed = await person.browser.ask('POST', '/auth/totp/confirm', { code: totp(uri) });
  assert.equal(confirmed.status, 200, JSON.stringify(confirmed.body));
  return { ...person, uri: uri as string, recoveryCodes: recoveryCodes as string[] };
}

const sessionCount = async (id: string) =>
  (await pool.query('SELECT count(*)::int AS n FROM identity.sessions WHERE user_id = $1', [id])).rows[0].n;
const freeAll = () => pool.query('DELETE FROM identity.sign_in_tries');
const sessionCookie = (browser: Browser) => browser.cookies.get('trunkline.session_token');

test('a person signs in in any case of letters, is told who is signed in, and signs out', async () => {
  const { password } = await identity.operator('anna@example.com');
  const browser = identity.browser();
  assert.equal((await browser.ask('GET', '/auth/session')).body.code, 'not_signed_in');
  const signed = await browser.signIn('Anna@Example.COM', password);
  assert.equal(signed.status, 200, JSON.stringify(signed.body));
  assert.equal(signed.body.data.second_factor_wanted, false);
  const cookie = signed.headers.getSetCookie().find((line) => line.startsWith('trunkline.session_token='));
  assert.match(cookie!, /HttpOnly/i);
  assert.match(cookie!, /SameSite=Lax/i);
  assert.equal(signed.headers.get('cache-control'), 'no-store');
  const { data } = (await browser.ask('GET', '/auth/session')).body;
  assert.deepEqual(
    { ...data, id: '' },
    {
      id: '',
      name: 'Anna Weber',
      email: 'anna@example.com',
      role: 'operator',
      second_factor: false,
    },
  );
  const copied = sessionCookie(browser)!;
  assert.equal((await browser.ask('POST', '/auth/sign-out')).status, 200);
  assert.equal((await browser.ask('GET', '/auth/session')).status, 401);
  const thief = identity.browser();
  thief.cookies.set('trunkline.session_token', copied);
  assert.equal((await thief.ask('GET', '/auth/session')).status, 401, 'a cookie from before the sign-out');
});

test("a session that a stranger has chosen beforehand does not become the person's", async () => {
  const stranger = await signedIn('stranger@example.com');
  const { password } = await identity.operator('fixed@example.com');
  const browser = identity.browser();
  const planted = sessionCookie(stranger.browser)!;
  browser.cookies.set('trunkline.session_token', planted);
  await browser.signIn('fixed@example.com', password);
  assert.notEqual(sessionCookie(browser), planted);
  const asStranger = await stranger.browser.ask('GET', '/auth/session');
  assert.equal(asStranger.body.data.email, 'stranger@example.com');
});

test('an unknown e-mail and a wrong password get the same answer, whatever is wrong with them', async () => {
  await identity.operator('known@example.com');
  const said = [];
  for (const [email, password] of [
    ['known@example.com', 'wrong password, long enough'],
    ['unknown@example.com', 'wrong password, long enough'],
    ['known@example.com', 'x'],
    ['unknown@example.com', 'x'],
    ['known@example.com', 'x'.repeat(200)],
    ['unknown@example.com', 'x'.repeat(200)],
    ['not an address@x', 'wrong password, long enough'],
  ] as const) {
    const { status, body, headers } = await identity.browser().signIn(email, password);
    said.push({ status, code: body.code, error: body.error, cookies: headers.getSetCookie() });
    await freeAll();
  }
  const [first, ...others] = said;
  assert.equal(first!.code, 'wrong_sign_in');
  assert.equal(
    others.pop()!.status,
    400,
    'an address that can not be one is told so by the schema, known or not',
  );
  for (const other of others) assert.deepEqual(other, first);
});

test('an unknown e-mail costs a password hash as well, so that time tells nothing', async () => {
  await identity.operator('slow@example.com');
  /** Processor time of a sign-in, so that other load of the machine does not count. */
  const cost = async (email: string) => {
    const before = process.cpuUsage();
    for (let i = 0; i < 4; i++) await identity.browser().signIn(email, 'wrong password, long enough');
    const { user, system } = process.cpuUsage(before);
    await freeAll();
    return user + system;
  };
  await cost('slow@example.com');
  const known = await cost('slow@example.com');
  const unknown = await cost('nobody-here@example.com');
  // Without a hash it is a tenth.
  assert.ok(unknown > known / 3 && known > unknown / 3, `known ${known} µs, unknown ${unknown} µs`);
});

test('nobody can sign up, and no path of Better Auth is reachable', async () => {
  const browser = identity.browser();
  for (const path of [
    ...[
      '/auth/sign-up/email',
      '/auth/sign-in/email',
      '/auth/get-session',
      '/auth/list-sessions',
      '/auth/update-user',
    ],
    ...[
      '/auth/two-factor/verify-totp',
      '/auth/two-factor/disable',
      '/auth/change-email',
      '/auth/request-password-reset',
    ],
  ])
    for (const method of ['GET', 'POST'])
      assert.equal((await browser.ask(method, path, method === 'POST' ? {} : undefined)).status, 404, path);
});

test('signing in with the second factor takes a code, and each code is good once, however many come at once', async () => {
  const { id, email, password, uri } = await withSecondFactor('codes@example.com');
  const waiting = [];
  for (let i = 0; i < 4; i++) {
    const browser = identity.browser();
    const begun = await browser.signIn(email, password);
    assert.deepEqual(begun.body.data, { second_factor_wanted: true });
    assert.equal((await browser.ask('GET', '/auth/session')).status, 401, 'half a sign-in is none');
    waiting.push(browser);
  }
  const before = await sessionCount(id);
  const code = totp(uri, 1);
  const said = await Promise.all(
    waiting.map((browser) => browser.ask('POST', '/auth/second-factor', { code })),
  );
  assert.deepEqual(said.map(({ status }) => status).toSorted(), [200, 401, 401, 401]);
  for (const [index, { status, headers }] of said.entries()) {
    const session = await waiting[index]!.ask('GET', '/auth/session');
    assert.equal(session.status, status, 'who was refused has no session');
    if (status !== 200) assert.deepEqual(headers.getSetCookie(), []);
  }
  assert.equal(await sessionCount(id), before + 1);
  const later = identity.browser();
  await later.signIn(email, password);
  assert.equal((await later.ask('POST', '/auth/second-factor', { code })).body.code, 'wrong_code');
});

test('a code that has turned the second factor on does not sign in', async () => {
  const person = await signedIn('fresh@example.com');
  const { uri } = (await person.browser.ask('POST', '/auth/totp', { password: person.password })).body.data;
  const code = totp(uri);
  assert.equal((await person.browser.ask('POST', '/auth/totp/confirm', { code })).status, 200);
  const browser = identity.browser();
  await browser.signIn(person.email, person.password);
  assert.equal((await browser.ask('POST', '/auth/second-factor', { code })).body.code, 'wrong_code');
});

test('five wrong codes end a sign-in', async () => {
  const { email, password, uri } = await withSecondFactor('guess@example.com');
  const browser = identity.browser();
  await browser.signIn(email, password);
  for (let i = 0; i < 5; i++)
    assert.equal((await browser.ask('POST', '/auth/second-factor', { code: '000000' })).status, 401);
  const right = await browser.ask('POST', '/auth/second-factor', { code: totp(uri, 1) });
  assert.equal(right.body.code, 'sign_in_again');
});

test('codes of a sign-in are taken for a sign-in alone: a stolen session can not find one out', async () => {
  const { browser, uri, recoveryCodes } = await withSecondFactor('oracle@example.com');
  const right = await browser.ask('POST', '/auth/second-factor', { code: totp(uri, 1) });
  assert.equal(right.body.code, 'sign_in_again');
  const recovery = await browser.ask('POST', '/auth/recovery-code', { code: recoveryCodes[0]! });
  assert.equal(recovery.body.code, 'sign_in_again');
  assert.equal((await browser.ask('GET', '/auth/session')).status, 200);
});

test('a recovery code lets in once, at once as well, and new ones make the former void', async () => {
  const { browser: own, email, password, recoveryCodes } = await withSecondFactor('recovery@example.com');
  const [first, second] = recoveryCodes;
  const waiting = await Promise.all(
    [0, 1, 2].map(async () => {
      const browser = identity.browser();
      await browser.signIn(email, password);
      return browser;
    }),
  );
  const said = await Promise.all(
    waiting.map((browser) => browser.ask('POST', '/auth/recovery-code', { code: first! })),
  );
  assert.equal(
    said.filter(({ status }) => status === 200).length,
    1,
    JSON.stringify(said.map(({ body }) => body)),
  );
  const renewed = await own.ask('POST', '/auth/recovery-codes', { password });
  assert.equal(renewed.status, 200, JSON.stringify(renewed.body));
  const another = identity.browser();
  await another.signIn(email, password);
  assert.equal((await another.ask('POST', '/auth/recovery-code', { code: second! })).status, 401);
  const [fresh] = renewed.body.data.recovery_codes;
  assert.equal((await another.ask('POST', '/auth/recovery-code', { code: fresh })).status, 200);
});

test('TOTP secrets and recovery codes do not stand in the database', async () => {
  const { id, uri, recoveryCodes } = await withSecondFactor('secret@example.com');
  const { rows } = await pool.query('SELECT * FROM identity.second_factors WHERE user_id = $1', [id]);
  const stored = JSON.stringify(rows);
  assert.ok(!stored.includes(recoveryCodes[0]!));
  assert.ok(!stored.includes(new URL(uri).searchParams.get('secret')!));
});

test('a person sees the sessions and ends one; those of somebody else do not exist', async () => {
  const anna = await signedIn('sessions@example.com');
  const phone = identity.browser();
  await phone.signIn(anna.email, anna.password, { 'user-agent': 'Phone' });
  const other = await signedIn('other-sessions@example.com');
  const { data } = (await anna.browser.ask('GET', '/auth/sessions')).body;
  assert.equal(data.length, 2);
  assert.equal(data.filter(({ current }: { current: boolean }) => current).length, 1);
  assert.ok(!JSON.stringify(data).includes(sessionCookie(phone)!.split('.')[0]!), 'no token is shown');
  const ofPhone = data.find(({ program }: { program: string }) => program === 'Phone');
  assert.equal((await other.browser.ask('DELETE', `/auth/sessions/${ofPhone.id}`)).status, 404);
  assert.equal((await phone.ask('GET', '/auth/session')).status, 200);
  assert.equal((await anna.browser.ask('DELETE', `/auth/sessions/${ofPhone.id}`)).status, 200);
  assert.equal((await phone.ask('GET', '/auth/session')).status, 401);
  assert.equal((await anna.browser.ask('GET', '/auth/session')).status, 200);
});

test('a session ends 12 hours after its last request', async () => {
  const { id, browser } = await signedIn('idle@example.com');
  const { rows } = await pool.query(
    'SELECT extract(epoch FROM expires_at - now()) / 3600 AS hours FROM identity.sessions WHERE user_id = $1',
    [id],
  );
  assert.ok(Math.abs(Number(rows[0].hours) - 12) < 0.1);
  await pool.query(
    "UPDATE identity.sessions SET expires_at = now() - interval '1 second' WHERE user_id = $1",
    [id],
  );
  assert.equal((await browser.ask('GET', '/auth/session')).status, 401);
});

test('a new password ends all other sessions, and is refused when it is breached, short or made of the name', async () => {
  const { email, password, browser } = await signedIn('change@example.com');
  const phone = identity.browser();
  await phone.signIn(email, password);
  const change = (present: string, next: string) =>
    browser.ask('POST', '/auth/password', { password: present, new_password: next });
  for (const weak of [
    'short',
    'password1234!',
    'Manchester-2026',
    'qwertyuiopqwertyuiop',
    'Change@Example.com',
    '--Anna Weber--1',
  ])
    assert.equal((await change(password, weak)).body.code, 'weak_password', weak);
  assert.equal((await change('wrong', 'a long sentence of mine')).body.code, 'wrong_password');
  assert.equal((await change(password, 'a long sentence of mine')).status, 200);
  assert.equal((await browser.ask('GET', '/auth/session')).status, 200);
  assert.equal((await phone.ask('GET', '/auth/session')).status, 401);
  assert.equal((await identity.browser().signIn(email, password)).status, 401);
  assert.equal((await identity.browser().signIn(email, 'a long sentence of mine')).status, 200);
  const { rows } = await pool.query(
    'SELECT password FROM identity.credentials JOIN identity.users u ON u.id = user_id WHERE email = $1',
    [email],
  );
  assert.match(rows[0].password, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
});

test('a page of another origin can sign nobody in or out', async () => {
  const { email, password, browser } = await signedIn('csrf@example.com');
  const foreign = { origin: 'https://evil.example' };
  assert.equal((await identity.browser().signIn(email, password, foreign)).body.code, 'foreign_page');
  assert.equal((await browser.ask('POST', '/auth/sign-out', undefined, foreign)).body.code, 'foreign_page');
  assert.equal((await browser.ask('POST', '/auth/sign-out', undefined, { origin: 'null' })).status, 403);
  const form = await fetch(`${identity.url}/auth/sign-in`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', origin: PUBLIC_URL },
    body: `email=${email}&password=${password}`,
  });
  assert.equal(form.status, 415);
  const crossSite = await fetch(`${identity.url}/auth/sign-out`, {
    method: 'POST',
    headers: { 'sec-fetch-site': 'cross-site' },
  });
  assert.equal(crossSite.status, 403);
  assert.equal((await browser.ask('GET', '/auth/session')).status, 200);
});

test('what a signed-in person proves again can not be guessed without end', async () => {
  const { password, browser } = await signedIn('again@example.com');
  for (let i = 0; i < 10; i++)
    assert.equal(
      (await browser.ask('POST', '/auth/totp', { password: `wrong ${i}` })).body.code,
      'wrong_password',
    );
  const limited = await browser.ask('POST', '/auth/totp', { password });
  assert.equal(limited.body.code, 'too_many_tries');
  assert.ok(Number(limited.headers.get('retry-after')) >= 1);
  await freeAll();
});

test('the document tells of each route, its answers and who may use it', async () => {
  const { body } = await identity.browser().ask('GET', '/openapi.json');
  const told = Object.entries<Record<string, { security: object[]; responses: object }>>(body.paths)
    .filter(([path]) => path.startsWith('/auth/'))
    .flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { security, responses }]) => {
        assert.ok('200' in responses && '401' in responses);
        return `${method} ${path}${security.length > 0 ? ' signed in' : ''}`;
      }),
    );
  assert.deepEqual(told.toSorted(), [
    'delete /auth/sessions/{id} signed in',
    'get /auth/organizations signed in',
    'get /auth/session signed in',
    'get /auth/sessions signed in',
    'post /auth/invitations/accept signed in',
    'post /auth/invitations/join',
    'post /auth/password signed in',
    'post /auth/recovery-code',
    'post /auth/recovery-codes signed in',
    'post /auth/second-factor',
    'post /auth/sign-in',
    'post /auth/sign-out signed in',
    'post /auth/totp signed in',
    'post /auth/totp/confirm signed in',
  ]);
});
