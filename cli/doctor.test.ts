import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { testDatabase } from '#tests/postgres.ts';
import { examine } from './doctor.ts';

const { url } = await testDatabase();

test('each replica is looked at, and no password is shown', async () => {
  const away = 'postgresql://reader:secret@127.0.0.1:1/trunkline';
  const environment = { DATA_DIR: tmpdir(), DATABASE_URL: url, DATABASE_REPLICA_URL: `${url},${away}` };
  const findings = await examine(environment);
  const states = findings.map(({ part, state }) => [part, state]);
  assert.deepEqual(states.slice(-4), [
    ['postgresql', 'ok'],
    ['schema', 'ok'],
    ['replica 1', 'ok'],
    ['replica 2', 'fault'],
  ]);
  const { says, advice } = findings.at(-1)!;
  assert.match(says, /reader@127\.0\.0\.1:1.*ECONNREFUSED/);
  assert.match(advice!, /DATABASE_REPLICA_URL/);
  const said = JSON.stringify(findings);
  for (const password of ['secret', new URL(url).password]) assert.ok(!said.includes(password), said);
});
