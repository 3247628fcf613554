import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { testDatabase } from '#tests/postgres.ts';
import { examine, tierNeeds } from './doctor.ts';

const { url } = await testDatabase();

test('each replica is looked at, and no password is shown', async () => {
  const away = 'postgresql://reader:secret@127.0.0.1:1/trunkline';
  const environment = { DATA_DIR: tmpdir(), DATABASE_URL: url, DATABASE_REPLICA_URL: `${url},${away}` };
  const findings = await examine(environment);
  const states = findings.map(({ part, state }) => [part, state]);
  const first = states.findIndex(([part]) => part === 'postgresql');
  assert.deepEqual(states.slice(first, first + 4), [
    ['postgresql', 'ok'],
    ['schema', 'ok'],
    ['replica 1', 'ok'],
    ['replica 2', 'fault'],
  ]);
  const { says, advice } = findings.find(({ part }) => part === 'replica 2')!;
  assert.match(says, /reader@127\.0\.0\.1:1.*ECONNREFUSED/);
  assert.match(advice!, /DATABASE_REPLICA_URL/);
  const said = JSON.stringify(findings);
  for (const password of ['secret', new URL(url).password]) assert.ok(!said.includes(password), said);
});

test('what the tier needs: its engines, and enough open files for its clients, with the setting to change', () => {
  const states = (missing: string[], openFiles: number) =>
    tierNeeds(missing, openFiles).map(({ part, state }) => [part, state]);
  assert.deepEqual(states(['etcd'], 1_024), [['cluster', 'ok']]);
  assert.match(tierNeeds(['etcd'], 1_024)[0]!.says, /etcd.*scripts\/engines/);
  assert.deepEqual(states([], 20_000), [
    ['cluster', 'ok'],
    ['open files', 'ok'],
  ]);
  assert.deepEqual(states([], 4_096).at(-1), ['open files', 'warning']);
  assert.match(tierNeeds([], 4_096).at(-1)!.says, /4096.*ulimit -Hn \d+/);
});
