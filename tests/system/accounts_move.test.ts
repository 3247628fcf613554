/** `trunkline accounts move`: what it says of a move, tried, done and refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Ended, runCommand } from '#tests/command.ts';
import { testDatabase } from '#tests/postgres.ts';

const { url } = await testDatabase();
const settings = { DATABASE_URL: url, DEFAULT_CURRENCY: 'EUR', IMPORT_TIME_ZONE: 'Europe/Berlin' };
const run = (...args: string[]): Promise<Ended> => runCommand(['accounts', ...args], settings);

async function said(...args: string[]): Promise<string> {
  const { code, out, err } = await run(...args);
  assert.equal(code, 0, err);
  return out + err;
}

test('a move is tried, done and shown, with what it replaces and what the account keeps; one without a goal is refused', async () => {
  await said('create', 'acme');
  await said('create', 'globex', '--currency', 'USD', '--time-zone', 'America/New_York');
  await said('create', 'branch', '--parent', 'acme');
  await said('create', 'desk', '--parent', 'branch');

  const tried = await said('move', 'branch', '--to', 'globex', '--from', '2026-10-05', '--dry-run');
  assert.match(
    tried,
    /branch would stand below globex from 2026-10-04T22:00:00Z on;.*\(below acme just then\)/,
  );
  assert.match(tried, /Accounts below it that move with it: 1\./);
  assert.match(
    tried,
    /branch keeps its own values where globex has others: currency EUR \(there USD\), time zone Europe\/Berlin \(there America\/New_York\)/,
  );
  assert.match(tried, /Nothing is changed/);
  assert.equal(JSON.parse(await said('show', 'branch', '--json')).parent, 'acme');

  await said('move', 'branch', '--to', 'globex', '--from', '2098-01-01');
  const done = await said('move', 'branch', '--top', '--from', '2026-10-05');
  assert.match(done, /branch stands below nobody from 2026-10-04T22:00:00Z on/);
  assert.match(done, /It replaces the move of 2097-12-31T23:00:00Z: below globex/);
  assert.match(done, /below acme until 2026-10-04T22:00:00Z\n.*below nobody from 2026-10-04T22:00:00Z on/);
  assert.match(await said('move', 'branch', '--top'), /stands below nobody at .* already/);

  const asJson = JSON.parse(await said('move', 'branch', '--to', 'acme', '--from', '2026-10-05', '--json'));
  assert.deepEqual(
    [asJson.to, asJson.before, asJson.account.parents, asJson.dry_run],
    ['acme', null, [], false],
  );
  for (const [args, words] of [
    [['branch'], /--to with the code of an account, or --top/],
    [['branch', '--to', 'acme', '--top'], /--to with the code of an account, or --top/],
    [['branch', '--to', 'desk'], /"desk" is "branch" itself or stands below it/],
    [['branch', '--to', 'acme', '--from', '2026-13-01'], /or a date such as/],
  ] as const) {
    const { code, err } = await run('move', ...args);
    assert.equal(code, 1);
    assert.match(err, words);
  }
});
