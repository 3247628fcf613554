/** Keys moved here from the calls service: old ones work, and a program of the version before may run beside this one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { hashKey, type KeyRecord, randomKey } from '#platform/access/key.ts';
import { type Actor, THE_PROGRAM } from '#platform/database/audit.ts';
import type { Pool } from '#platform/database/pool.ts';
import { migrateAll } from '#platform/database/upgrade.ts';
import { formerKeys } from '#services/calls/store/former_keys.ts';
import { keyPlaces } from '#system';
import { testApi } from '#tests/calls_api.ts';
import { testDatabase } from '#tests/postgres.ts';
import { createFirstKey, createKey, listKeys, revokeKey, takeOverKeys } from './keys.ts';
import { identity } from './service.ts';

/** How soon a key that was revoked is refused by every process. */
const REVOKED_WITHIN_MS = 10_000;
const by: Actor = { id: 'terminal:anna', name: 'anna on db1' };

/** Makes a key as a program of the version before does. */
async function keyOfBefore(pool: Pool, name: string): Promise<{ key: string; i_key: number }> {
  const key = randomKey();
  const { rows } = await pool.query(
    "INSERT INTO calls.api_keys (name, hash, prefix, scope) VALUES ($1, $2, $3, 'operator') RETURNING i_key",
    [name, hashKey(key), key.slice(0, 8)],
  );
  return { key, i_key: Number(rows[0].i_key) };
}

/** A database as the version before leaves it, with two keys; brought up to date. */
async function upgraded() {
  const database = await testDatabase();
  const { pool } = database;
  await pool.query('DROP SCHEMA identity CASCADE');
  const valid = await keyOfBefore(pool, 'valid');
  const revoked = await keyOfBefore(pool, 'revoked');
  await pool.query('UPDATE calls.api_keys SET revoked_at = now() WHERE i_key = $1', [revoked.i_key]);
  await migrateAll(pool, [identity.migrations]);
  return { database, pool, valid, revoked };
}

test('a process of the version before and one of this agree on every key, within 10 seconds', async () => {
  const { database, pool, valid, revoked } = await upgraded();
  const now = await testApi({}, { database });
  // The version before looks keys up in the table of calls alone.
  const before = await testApi(
    {},
    {
      database,
      findKey: (on, hash): Promise<KeyRecord | undefined> =>
        on.read('calls', (session) => session.row(formerKeys.byHash(hash))),
    },
  );
  const iAccount = await now.account('acme');
  const path = `/cdrs?i_account=${iAccount}`;
  const statuses = async (key: string) =>
    [(await before.get(path, key)).status, (await now.get(path, key)).status] as const;
  const becomes = async (key: string, wanted: readonly [number, number]) => {
    const until = performance.now() + REVOKED_WITHIN_MS;
    let seen = await statuses(key);
    while (String(seen) !== String(wanted) && performance.now() < until) {
      await sleep(200);
      seen = await statuses(key);
    }
    assert.deepEqual(seen, wanted);
  };

  assert.deepEqual(await statuses(valid.key), [200, 200], 'a key that was there before');
  assert.deepEqual(await statuses(revoked.key), [401, 401], 'a key that was revoked before');

  const later = await keyOfBefore(pool, 'made by the version before, beside this one');
  assert.deepEqual(await statuses(later.key), [200, 200]);

  assert.equal((await revokeKey(keyPlaces(pool), valid.i_key, by))?.i_key, valid.i_key);
  assert.equal(
    (await revokeKey(keyPlaces(pool), later.i_key, by))?.name,
    later.key && 'made by the version before, beside this one',
  );
  await becomes(valid.key, [401, 401]);
  await becomes(later.key, [401, 401]);

  const revokedThere = await keyOfBefore(pool, 'revoked by the version before');
  assert.deepEqual(await statuses(revokedThere.key), [200, 200]);
  await pool.query('UPDATE calls.api_keys SET revoked_at = now() WHERE i_key = $1', [revokedThere.i_key]);
  await becomes(revokedThere.key, [401, 401]);

  const wanted = { name: 'of this version', scope: 'operator', iAccount: null, expiresAt: null } as const;
  const { key } = await createKey(keyPlaces(pool), wanted, by);
  assert.equal((await now.get(path, key)).status, 200);
});

test('the migration copies keys with their numbers, and leaves room for those of the version before', async () => {
  const { pool, valid, revoked } = await upgraded();
  const listed = await listKeys(keyPlaces(pool));
  assert.deepEqual(
    listed.map(({ i_key, name, revoked_at }) => [i_key, name, revoked_at !== null]),
    [
      [valid.i_key, 'valid', false],
      [revoked.i_key, 'revoked', true],
    ],
  );
  const wanted = { name: 'new', scope: 'operator', iAccount: null, expiresAt: null } as const;
  const made = await createKey(keyPlaces(pool), wanted, by);
  const later = await keyOfBefore(pool, 'later');
  assert.ok(made.i_key > later.i_key);
  const numbers = (await listKeys(keyPlaces(pool))).map(({ i_key }) => i_key);
  assert.deepEqual(numbers, [valid.i_key, revoked.i_key, later.i_key, made.i_key]);
  const { rows } = await pool.query('SELECT count(*)::int AS count FROM calls.api_keys');
  assert.equal(rows[0].count, 3, 'no key is added where they were kept before');
});

test('keys of another server are taken over once, each with its number or, where that is taken, a new one', async () => {
  const [here, there] = [await testDatabase(), await testDatabase()];
  const places = { ...keyPlaces(here.pool), calls: { ...keyPlaces(there.pool).calls, pool: there.pool } };
  const wanted = { name: 'made here', scope: 'operator', iAccount: null, expiresAt: null } as const;
  await createKey(places, wanted, THE_PROGRAM);
  const first = await keyOfBefore(there.pool, 'first there');
  const second = await keyOfBefore(there.pool, 'second there');
  assert.equal(await takeOverKeys(places), 2);
  assert.equal(await takeOverKeys(places), 0);
  const names = (await listKeys(places)).map(({ name }) => name);
  assert.deepEqual(names.toSorted(), ['first there', 'made here', 'second there']);
  assert.equal(await createFirstKey(places), undefined, 'there are keys');
  const iFirst = (await listKeys(places)).find(({ name }) => name === 'first there')!.i_key;
  await revokeKey(places, iFirst, by);
  const { rows } = await there.pool.query('SELECT i_key, revoked_at FROM calls.api_keys ORDER BY i_key');
  assert.deepEqual(
    rows.map(({ i_key, revoked_at }) => [Number(i_key), revoked_at !== null]),
    [
      [first.i_key, true],
      [second.i_key, false],
    ],
  );
});
