/** Which database a command uses where none is named: never a new and empty one in place of the program's own. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { identify } from '#engines/processes.ts';
import { runCommand } from '#tests/command.ts';

const folder = await mkdtemp(join(tmpdir(), 'trunkline-which-'));
after(() => rm(folder, { recursive: true, force: true }));

/** The state of a tier whose supervisor lives: this process stands for it. */
const running = JSON.stringify({
  supervisor: identify(process.pid),
  settings: { portBase: null, haproxies: 2, clients: 12_000 },
  ready: true,
  parts: {},
});
const secrets = JSON.stringify({ app: 'secret-of-the-tier' });

/** Makes a DATA_DIR with these files in its `cluster` folder; a null makes a folder where the file should be. */
async function dataDirectory(name: string, files: Record<string, string | null>): Promise<string> {
  const data = join(folder, name);
  await mkdir(join(data, 'cluster'), { recursive: true });
  for (const [file, text] of Object.entries(files)) {
    const path = join(data, 'cluster', file);
    await (text === null ? mkdir(path) : writeFile(path, text));
  }
  return data;
}

const COMMANDS = [
  ['accounts', 'list'],
  ['keys', 'list'],
  ['import', 'rejected', 'list'],
  ['import', 'cdrs', 'tests/samples/carrier.csv'],
];

const UNCLEAR: Record<string, { files: Record<string, string | null>; says: RegExp }> = {
  'secrets that are missing': { files: { 'state.json': running }, says: /secrets\.json/ },
  'secrets that cannot be read': {
    files: { 'state.json': running, 'secrets.json': null },
    says: /EISDIR|directory/,
  },
  'secrets that are damaged': {
    files: { 'state.json': running, 'secrets.json': secrets.slice(0, -4) },
    says: /secrets\.json is damaged/,
  },
  'a state that is damaged': {
    files: { 'state.json': running.slice(0, 20), 'secrets.json': secrets },
    says: /state\.json can't be read/,
  },
  'a state that cannot be read': { files: { 'state.json': null }, says: /state\.json can't be read/ },
  'a tier that was stopped': {
    files: { 'secrets.json': secrets },
    says: /does not run.*trunkline cluster up/,
  },
  'what a killed supervisor left': {
    files: { 'secrets.json': secrets, 'state.json': running.replace(/"startedAt":"\d+"/, '"startedAt":"1"') },
    says: /does not run.*trunkline cluster up/,
  },
};

for (const [name, { files, says }] of Object.entries(UNCLEAR)) {
  test(`${name}: every command says so, and makes no database`, async () => {
    const data = await dataDirectory(name.replaceAll(' ', '-'), files);
    for (const command of COMMANDS) {
      const { code, out, err } = await runCommand(command, { DATA_DIR: data });
      assert.deepEqual([code, out], [1, ''], `${command.join(' ')}: ${err}`);
      assert.match(err, says);
      assert.doesNotMatch(err, /secret-of-the/);
    }
    assert.deepEqual(await readdir(data), ['cluster']);
  });
}

test('no tier is no tier: the embedded database is made', async () => {
  const data = join(folder, 'none');
  const { code, err } = await runCommand(['accounts', 'list'], { DATA_DIR: data });
  assert.equal(code, 0, err);
});

test('a command that makes a database where another folder has one says so, once', async () => {
  const place = join(folder, 'moved');
  await mkdir(join(place, 'data', 'postgres', 'cluster'), { recursive: true });
  await writeFile(join(place, 'data', 'postgres', 'cluster', 'PG_VERSION'), '18\n');
  const main = fileURLToPath(new URL('../../main.ts', import.meta.url));
  const list = () => {
    const env = { PATH: process.env.PATH, DATA_DIR: join(place, 'new') };
    return spawnSync(process.execPath, [main, 'accounts', 'list'], { cwd: place, env, encoding: 'utf8' });
  };
  const [first, second] = [list(), list()];
  assert.deepEqual([first.status, second.status], [0, 0], first.stderr + second.stderr);
  assert.match(first.stderr, /moved\/new has no database.*there is a database in .*moved\/data/);
  assert.doesNotMatch(second.stderr, /has no database/);
});

test('a tier that was stopped beside an embedded database: the embedded one, and the command says so', async () => {
  const data = await dataDirectory('both', {});
  assert.equal((await runCommand(['accounts', 'list'], { DATA_DIR: data })).code, 0);
  await writeFile(join(data, 'cluster', 'secrets.json'), secrets);
  const { code, err } = await runCommand(['accounts', 'list'], { DATA_DIR: data });
  assert.equal(code, 0, err);
  assert.match(err, /embedded PostgreSQL in .*; the tier in .* does not run/);
});
