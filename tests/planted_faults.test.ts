/** Faults of the code's shape that are planted here are found by the tools that hold it: circles, floors, dead exports. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { conflictMarks } from './conflict_marks.ts';
import { heavyContracts, importsPastDoors, insideImports, upwardImports, upwardInCalls } from './floors.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const KNIP = join(ROOT, 'node_modules/.bin/knip');

/** A project with this one's rules. */
function project(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'trunkline-planted-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  for (const file of ['biome.json', '.gitignore', 'knip.json', 'package.json', 'tsconfig.json'])
    cpSync(join(ROOT, file), join(folder, file));
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
  return folder;
}

function run(program: string, args: readonly string[], cwd: string): string {
  const { stdout, stderr } = spawnSync(program, args, { cwd, encoding: 'utf8', timeout: 60_000 });
  return stdout + stderr;
}

test('a circle that types alone make, in whichever room', () => {
  const one = `import type { Two } from '../store/two.ts';\nexport type One = Two | 1;\n`;
  const two = `import type { One } from '../intake/one.ts';\nexport type Two = One | 2;\n`;
  const lint = (twoText: string) =>
    run(
      join(ROOT, 'node_modules/.bin/biome'),
      ['lint', '.'],
      project({ 'services/calls/intake/one.ts': one, 'services/calls/store/two.ts': twoText }),
    );
  assert.match(lint(two), /noImportCycles/);
  assert.doesNotMatch(lint('export type Two = 2;\n'), /noImportCycles/);
});

test('an import that goes up, or out', () => {
  const up = { file: 'platform/lifecycle/clock.ts', to: 'platform/http/server.ts' };
  const out = { file: 'platform/http/server.ts', to: 'services/calls/contract.ts' };
  const across = { file: 'platform/http/server.ts', to: 'platform/database/pool.ts' };
  const down = { file: 'platform/http/server.ts', to: 'platform/lifecycle/clock.ts' };
  assert.equal(upwardImports([up, out, across, down]).length, 3);
  assert.deepEqual(upwardImports([down]), []);
});

test('an import that goes past the entry file of a folder', () => {
  const past = {
    file: 'services/calls/api/lists/calls_page.ts',
    to: 'platform/database/fast_read/row_stream.ts',
  };
  const through = { file: past.file, to: 'platform/database/fast_read/fast_read.ts' };
  const within = { file: through.to, to: past.to };
  assert.deepEqual(importsPastDoors([past, through, within]), [`${past.file} imports ${past.to}`]);
});

test('an import of the inside of a service', () => {
  const [inside, contract] = ['services/calls/intake/intake.ts', 'services/calls/contract.ts'];
  const faults = [
    { file: 'cli/up.ts', to: inside },
    { file: 'cli/up.ts', to: contract },
    { file: 'services/monitor/commands/top.ts', to: inside },
    { file: 'engines/postgres.ts', to: contract },
  ];
  const right = [
    { file: 'services/monitor/commands/top.ts', to: contract },
    { file: 'services/calls/commands/import.ts', to: inside },
    { file: 'system.ts', to: inside },
    { file: 'cli/up.ts', to: 'system.ts' },
  ];
  assert.equal(insideImports([...faults, ...right]).length, faults.length);
  assert.deepEqual(insideImports(right), []);
});

test('an import that goes up within services/calls, from a room or from the words at its root', () => {
  const edge = (from: string, to: string) => ({ file: `services/calls/${from}`, to: `services/calls/${to}` });
  const faults = [
    edge('store/intake.ts', 'intake/usage.ts'),
    edge('store/calls.ts', 'api/lists/call_query.ts'),
    edge('intake/retry.ts', 'api/posts/posted_body.ts'),
    edge('contract.ts', 'store/calls.ts'),
    edge('time/stamps.ts', 'formats/formats.ts'),
    edge('intake/intake.ts', 'accounts/accounts.ts'),
    edge('a_room_without_a_floor/file.ts', 'cdr.ts'),
  ];
  const kept = [
    edge('api/lists/routes_cdrs.ts', 'store/calls.ts'),
    edge('intake/intake.ts', 'store/intake.ts'),
    edge('contract.ts', 'cdr.ts'),
    edge('numbers.ts', 'time/instants.ts'),
  ];
  for (const fault of faults) assert.equal(upwardInCalls([...kept, fault]).length, 1, JSON.stringify(fault));
  assert.deepEqual(upwardInCalls(kept), []);
});

test('a contract that brings its service along', () => {
  const leaf = { file: 'services/calls/contract.ts', to: 'services/calls/cdr.ts' };
  const heavy = { file: 'services/calls/contract.ts', to: 'services/calls/numbers.ts' };
  const behind = { file: 'services/calls/numbers.ts', to: 'services/calls/cdr.ts' };
  assert.equal(heavyContracts([leaf, heavy, behind]).length, 1);
  assert.deepEqual(heavyContracts([leaf, behind]), []);
});

test('an export that nobody imports', { skip: !existsSync(KNIP) && 'knip is not installed: npm ci' }, () => {
  const knip = (main: string) =>
    run(
      KNIP,
      ['--include', 'exports'],
      project({ 'main.ts': main, 'one.ts': 'export const dead = 1;\nexport const used = 2;\n' }),
    );
  assert.match(knip(`import { used } from './one.ts';\nprocess.exitCode = used;\n`), /dead/);
  const both = `import { dead, used } from './one.ts';\nprocess.exitCode = used + dead;\n`;
  assert.doesNotMatch(knip(both), /dead/);
});

test('a conflict of a merge, in code, in a comment, in SQL and in a document', () => {
  const mark = (sign: string) => sign.repeat(7);
  const [ours, middle, theirs, base] = ['<', '=', '>', '|'].map((sign) => mark(sign));
  const plain = `a\n${ours} HEAD\nb\n${base} 1a2b3c\n${middle}\nc\n${theirs} w-day (a change)\n`;
  assert.deepEqual(conflictMarks(plain), [2, 4, 5, 7]);
  for (const comment of ['// ', ' * ', '# ', '-- ', '  ']) {
    const text = `${comment}${ours} HEAD\n${comment}${middle}\n${comment}${theirs} other\n`;
    assert.deepEqual(conflictMarks(text), [1, 2, 3], comment);
  }
  for (const other of [
    'a === b',
    `Title\n${mark('=')}=====`,
    `${mark('<')}x`,
    `const a = '${ours} HEAD'`,
    '>> x',
  ])
    assert.deepEqual(conflictMarks(other), [], other);
});
