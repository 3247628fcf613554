import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { configurationFiles, readTemplate } from './configuration.ts';
import { composeLayout, HAPROXIES_MAX, localLayout, PORT_BLOCK, portsOf } from './layout.ts';
import { haproxyLimits, limitsFault } from './limits.ts';
import { scramKeys, scramSecret } from './scram.ts';
import { fillIn, placeholdersOf } from './template.ts';

const secrets = {
  superuser: 's1',
  replication: 's2',
  rewind: 's3',
  app: 's4',
  rest: 's5',
  bouncerAdmin: 's6',
  bouncerStats: 's7',
  check: 's8',
  broker: 's9',
  brokerCookie: 's10',
};
const common = {
  secrets,
  synchronous: true,
  postgresPrograms: '/pg/bin',
  haproxyMaxconn: 9_950,
  haproxyClients: 9_550,
};

test('a template is filled in, and a name without a value is refused', () => {
  const slot = (name: string) => `$${`{${name}}`}`;
  const filled = fillIn(`a ${slot('ONE')} b ${slot('TWO_2')} ${slot('…')} $X`, { ONE: 1, TWO_2: 'zwei' });
  assert.equal(filled, `a 1 b zwei ${slot('…')} $X`);
  assert.throws(() => fillIn(slot('MISSING'), {}), /MISSING/);
  assert.deepEqual(placeholdersOf(slot('A') + slot('B') + slot('A')), ['A', 'B']);
});

test('both layouts fill every template wholly, and passwords stand only where they are needed', () => {
  for (const layout of [localLayout({ data: '/x', haproxies: 2, rabbitmq: true }), composeLayout()]) {
    const files = configurationFiles({ layout, ...common });
    assert.equal(new Set(files.map((file) => file.path)).size, files.length);
    for (const { path, text } of files) {
      assert.deepEqual(placeholdersOf(text), [], path);
      const password = /\bs[4678]\b/.exec(text);
      assert.equal(password, null, `${path} has the password of a SCRAM secret in plain text`);
    }
    const names = files.map((file) => file.path.split('/').at(-1));
    for (const part of [
      ...layout.bouncers.map((b) => `${b.name}.ini`),
      ...layout.haproxies.map((h) => `${h.name}.cfg`),
    ]) {
      assert.ok(names.includes(part), part);
    }
  }
});

test('every configuration file in infrastructure/ is a template that the tier uses', () => {
  const files = configurationFiles({
    layout: localLayout({ data: '/x', haproxies: 1, rabbitmq: true }),
    ...common,
  });
  const firstLines = files.map((file) => file.text.split('\n', 1)[0]);
  const root = fileURLToPath(new URL('../../infrastructure/', import.meta.url));
  for (const folder of ['haproxy', 'pgbouncer', 'postgres', 'patroni', 'rabbitmq']) {
    for (const name of readdirSync(join(root, folder)).filter((file) =>
      /\.(cfg|ini|txt|conf|sql|yml)$/.test(file),
    )) {
      const first = readTemplate(`${folder}/${name}`)
        .split('\n', 1)[0]!
        .replace(/\$\{.*/, '');
      assert.ok(
        firstLines.some((line) => line!.startsWith(first)),
        `${folder}/${name}`,
      );
    }
  }
});

test('every name in the templates is documented in infrastructure/README.md', () => {
  const explained = readTemplate('README.md');
  const root = fileURLToPath(new URL('../../infrastructure/', import.meta.url));
  const missing = ['haproxy', 'pgbouncer', 'postgres', 'patroni', 'rabbitmq']
    .flatMap((folder) => readdirSync(join(root, folder)).map((name) => `${folder}/${name}`))
    .flatMap((file) => placeholdersOf(readTemplate(file)))
    // infrastructure/README.md names PGB1_ADDRESS for all of its kind.
    .filter((name) => !explained.includes(`\`${name.replace(/^(PGB|PGR|NODE)\d/, '$11')}\``));
  assert.deepEqual([...new Set(missing)], []);
});

test('a block of ports has no port twice and stays within itself', () => {
  const layout = localLayout({ data: '/x', portBase: 21_000, haproxies: HAPROXIES_MAX, rabbitmq: true });
  const ports = portsOf(layout).map(({ port }) => port);
  assert.equal(new Set(ports).size, ports.length);
  assert.ok(ports.every((port) => port >= 21_000 && port < 21_000 + PORT_BLOCK));
  const wellKnown = portsOf(localLayout({ data: '/x', haproxies: HAPROXIES_MAX, rabbitmq: true })).map(
    ({ port }) => port,
  );
  assert.equal(new Set(wellKnown).size, wellKnown.length);
  assert.ok([5432, 5433, 8404, 6432].every((port) => wellKnown.includes(port)));
});

test('a folder too deep for sockets and odd numbers are refused', () => {
  assert.throws(() => localLayout({ data: `/${'x'.repeat(100)}`, haproxies: 2 }), /too long/);
  assert.throws(() => localLayout({ data: '/x', haproxies: 0 }), /HAProxy/);
  assert.throws(() => localLayout({ data: '/x', haproxies: 2, portBase: 65_530 }), /port base/);
});

test('limits: a limit too low for the clients is refused with the setting to change, and that setting is high enough', () => {
  assert.equal(limitsFault(20_000, 2, 12_000), undefined);
  const fault = limitsFault(20_000, 1, 12_000);
  const needed = Number(/ulimit -Hn (\d+)/.exec(fault?.advice ?? '')?.[1]);
  assert.ok(needed > 20_000);
  assert.equal(limitsFault(needed, 1, 12_000), undefined);
  assert.notEqual(limitsFault(needed - 2, 1, 12_000), undefined);
  assert.match(limitsFault(1_024, 2, 12_000)?.advice ?? '', /ulimit/);
  const { maxconn, clients } = haproxyLimits(20_000);
  assert.ok(maxconn * 2 < 20_000 && clients < maxconn);
});

test('SCRAM keys of the example in RFC 7677', () => {
  const keys = scramKeys('pencil', Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'), 4_096);
  // The server signature of the example is HMAC(ServerKey, AuthMessage); the RFC gives this signature and no keys.
  const message =
    'n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,' +
    's=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0';
  const hmac = (key: Buffer) => createHmac('sha256', key).update(message).digest();
  assert.equal(hmac(keys.serverKey).toString('base64'), '6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=');
  const proof = hmac(keys.storedKey).map((byte, i) => byte ^ keys.clientKey[i]!);
  assert.equal(Buffer.from(proof).toString('base64'), 'dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=');
});

test('a SCRAM secret is the same each time, and another for another user or password', () => {
  const secret = scramSecret('trunkline', 'pencil');
  assert.match(secret, /^SCRAM-SHA-256\$4096:[\w+/=]{24}\$[\w+/=]{44}:[\w+/=]{44}$/);
  assert.equal(scramSecret('trunkline', 'pencil'), secret);
  assert.notEqual(scramSecret('other', 'pencil'), secret);
  assert.notEqual(scramSecret('trunkline', 'pen'), secret);
});
