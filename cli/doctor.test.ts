import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { clusterSkip } from '#tests/cluster.ts';
import { testDatabase } from '#tests/postgres.ts';
import { examine } from './doctor.ts';

const { url } = await testDatabase();

test('each replica is checked, and no password is shown', async () => {
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

test('a removed setting is reported, and a missing folder of back-ups is a fault', async () => {
  const missing = join(tmpdir(), 'no such folder');
  const found = async (environment: Record<string, string>) =>
    (await examine({ DATA_DIR: tmpdir(), DATABASE_URL: url, ...environment })).filter(
      ({ state, part }) => state !== 'ok' && ['configuration', 'back-ups'].includes(part),
    );
  assert.deepEqual(await found({ BACKUP_DIR: tmpdir() }), []);
  const [gone, folder] = await found({ BREAKER_EARLY_PROBE: 'on', BACKUP_DIR: missing });
  assert.match(gone!.says, /BREAKER_EARLY_PROBE was removed/);
  assert.deepEqual(
    [folder!.state, folder!.advice?.includes(`install -d -m 700 ${missing}`)],
    ['fault', true],
  );
});

test('a PostgreSQL that writes times in another style than ISO is a fault', async () => {
  const other = new URL(url);
  other.searchParams.set('options', '-c DateStyle=German');
  const findings = await examine({ DATA_DIR: tmpdir(), DATABASE_URL: other.href });
  const fault = findings.find(({ state }) => state === 'fault')!;
  assert.match(fault.says, /DateStyle is German/);
  assert.match(fault.advice!, /SET datestyle = 'ISO, MDY'/);
});

test('a limit of open files that is too low for the clients of the tier is reported with the setting', {
  skip: clusterSkip(),
}, () => {
  const main = fileURLToPath(new URL('../main.ts', import.meta.url));
  const under = (limit: number) => {
    const words = `ulimit -n ${limit} && exec "$0" "$1" doctor --json`;
    const out = execFileSync('/bin/sh', ['-c', words, process.execPath, main], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, DATA_DIR: tmpdir(), DATABASE_URL: url },
    });
    return JSON.parse(out).find((finding: { part: string }) => finding.part === 'tier');
  };
  const low = under(1_024);
  assert.equal(low.state, 'warning');
  assert.match(low.says, /1024 open files a process holds \d+ clients .* not 12000/);
  const needed = Number(/ulimit -Hn (\d+)/.exec(low.advice)?.[1]);
  assert.equal(under(needed).state, 'ok', `${needed} are enough`);
});
