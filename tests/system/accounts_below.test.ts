/** `trunkline accounts create --parent`: what the new account takes over, and what it says of that. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Ended, runCommand } from '#tests/command.ts';
import { testDatabase } from '#tests/postgres.ts';

const { url } = await testDatabase();
const settings = { DATABASE_URL: url, DEFAULT_CURRENCY: 'EUR', IMPORT_TIME_ZONE: 'UTC' };
const create = (...args: string[]): Promise<Ended> => runCommand(['accounts', 'create', ...args], settings);

async function made(...args: string[]): Promise<{ place: unknown[]; said: string }> {
  const { code, out, err } = await create(...args, '--json');
  assert.equal(code, 0, err);
  const { parent, currency, time_zone, country } = JSON.parse(out);
  return { place: [parent, currency, time_zone, country], said: err };
}

test('an account below another has its currency, time zone and country unless told, and says which', async () => {
  const top = await made('acme', '--currency', 'GBP', '--time-zone', 'Europe/London', '--country', 'GB');
  assert.deepEqual(top.place, [null, 'GBP', 'Europe/London', 'GB']);
  assert.doesNotMatch(top.said, /taken over/);

  const sales = await made('acme-sales', '--parent', 'acme');
  assert.deepEqual(sales.place, ['acme', 'GBP', 'Europe/London', 'GB']);
  assert.match(sales.said, /taken over from acme: currency GBP, time zone Europe\/London, country GB;/);

  const usa = await made(
    'acme-usa',
    '--parent',
    'acme',
    '--currency',
    'USD',
    '--time-zone',
    'America/New_York',
  );
  assert.deepEqual(usa.place, ['acme', 'USD', 'America/New_York', 'GB']);
  assert.match(usa.said, /taken over from acme: country GB;/);

  const lab = await made('lab', '--parent', 'acme-usa', '--country', 'US');
  assert.deepEqual(lab.place, ['acme-usa', 'USD', 'America/New_York', 'US']);
  assert.match(lab.said, /taken over from acme-usa: currency USD, time zone America\/New_York;/);
});

test('a parent without a country gives none; one that does not exist makes no account', async () => {
  assert.deepEqual((await made('plain')).place, [null, 'EUR', 'UTC', null]);
  const below = await made('below', '--parent', 'plain');
  assert.deepEqual(below.place, ['plain', 'EUR', 'UTC', null]);
  assert.match(below.said, /taken over from plain: currency EUR, time zone UTC;/);
  const told = ['--currency', 'EUR', '--time-zone', 'UTC', '--country', 'DE'];
  assert.doesNotMatch((await made('told', '--parent', 'plain', ...told)).said, /taken over/);
  const nobody = await create('child', '--parent', 'nobody');
  assert.equal(nobody.code, 1);
  assert.match(nobody.err, /no account has the code "nobody"/);
  assert.equal((await runCommand(['accounts', 'show', 'child'], settings)).code, 1);
});
