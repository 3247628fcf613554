/** Rules of style that matter, as tests: what the documentation promises of the code's shape. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { createProgram } from '#cli/program.ts';
import { SETTINGS } from '#config';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const CODE_LINES = 400;
const TEST_LINES = 600;
const FORBIDDEN_FOLDERS = ['utils', 'util', 'common', 'helpers', 'lib', 'misc', 'shared'];
/** Lower floors first: a floor imports its own and those below. The last ones stand beside each other. */
const FLOORS = [['lifecycle'], ['telemetry'], ['resilience'], ['database', 'messaging', 'cache', 'http']];

const tracked = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: ROOT,
  encoding: 'utf8',
})
  .split('\n')
  .filter(Boolean);
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');
const isTest = (file: string) => file.endsWith('.test.ts') || file.startsWith('tests/');
const code = tracked.filter((file) => file.endsWith('.ts'));
const documents = tracked.filter((file) => file.endsWith('.md') && !file.startsWith('docs/decisions/'));

/** What a file imports, as paths from the root; packages are left out. */
function importsOf(file: string): string[] {
  const found = read(file).matchAll(
    /^(?:import|export)[^'"]*?from '([^']+)'|import\('([^']+)'\)|^import '([^']+)'/gm,
  );
  return [...found]
    .map((match) => match[1] ?? match[2] ?? match[3]!)
    .filter((name) => name.startsWith('.') || name.startsWith('#'))
    .map((name) => (name.startsWith('#') ? name.slice(1) : relative(ROOT, join(ROOT, dirname(file), name))));
}

test('files stay small', () => {
  const large = code
    .map((file) => ({ file, lines: read(file).split('\n').length }))
    .filter(({ file, lines }) => lines > (isTest(file) ? TEST_LINES : CODE_LINES));
  assert.deepEqual(large, []);
});

test('no folder is named for nothing in particular', () => {
  const found = tracked.filter((file) =>
    dirname(file)
      .split('/')
      .some((part) => FORBIDDEN_FOLDERS.includes(part)),
  );
  assert.deepEqual(found, []);
});

test('no barrel files', () => {
  assert.deepEqual(
    code.filter((file) => file.endsWith('/index.ts')),
    [],
  );
});

test('a service imports platform/ and the contract of other services, nothing else of theirs', () => {
  const faults = code
    .filter((file) => file.startsWith('services/') && !isTest(file))
    .flatMap((file) => {
      const service = file.split('/')[1]!;
      return importsOf(file)
        .filter((to) => !to.startsWith('platform/') && !to.startsWith(`services/${service}/`))
        .filter((to) => !/^services\/[^/]+\/contract\.ts$/.test(to))
        .map((to) => `${file} imports ${to}`);
    });
  assert.deepEqual(faults, []);
});

test('platform/ imports downward only, and nothing above it', () => {
  const floorOf = (path: string) => FLOORS.findIndex((floor) => floor.includes(path.split('/')[1]!));
  const faults = code
    .filter((file) => file.startsWith('platform/') && !isTest(file))
    .flatMap((file) =>
      importsOf(file)
        .filter((to) => {
          if (!to.startsWith('platform/')) return true;
          const [here, there] = [floorOf(file), floorOf(to)];
          const sameRoom = file.split('/')[1] === to.split('/')[1];
          return here < 0 || there > here || (there === here && !sameRoom);
        })
        .map((to) => `${file} imports ${to}`),
    );
  assert.deepEqual(faults, []);
});

test('only system.ts, the command line, scripts and the tests know the modules of services', () => {
  const faults = code
    .filter((file) => !isTest(file) && file !== 'system.ts' && !/^(cli|bench|scripts)\//.test(file))
    .flatMap((file) =>
      importsOf(file)
        .filter((to) => to.startsWith('services/') && file.split('/')[1] !== to.split('/')[1])
        .map((to) => `${file} imports ${to}`),
    );
  assert.deepEqual(faults, []);
});

test('every setting is documented with its standard value, and nothing else is', () => {
  const documented = [...read('docs/CONFIGURATION.md').matchAll(/^\| `([A-Z0-9_]+)` \| (.*?) \| (.*) \|$/gm)];
  const declared = Object.entries(SETTINGS).map(([name, { standard, what }]) => [
    name,
    standard === undefined || standard === '' ? '' : `\`${standard}\``,
    what,
  ]);
  assert.deepEqual(
    documented.map(([, name, standard, what]) => [name, standard, what]),
    declared,
  );
});

/** Programs to which `trunkline` is the name of a cluster or a database. */
const NAMED_TRUNKLINE = /^(patronictl|psql) /;

/** Every `trunkline …` in the documents' code, split into words. */
function documentedCommands(): { file: string; words: string[] }[] {
  return documents.flatMap((file) => {
    const text = read(file).replaceAll('\\\n', ' ');
    const blocks = [...text.matchAll(/```(?:sh|bash|console)?\n([\s\S]*?)```/g)].flatMap((m) =>
      m[1]!.split('\n'),
    );
    const inline = [...text.matchAll(/`([^`\n]+)`/g)].map((m) => m[1]!);
    return [...blocks, ...inline].flatMap((line) => {
      if (NAMED_TRUNKLINE.test(line)) return [];
      const found = /(?:^|[\s|;(])(?:npx |\.\/)?(?:bin\/)?trunkline(?:\.js)? ([^|;#]*)/.exec(line);
      const words = found?.[1]?.match(/"[^"]*"|'[^']*'|\S+/g) ?? [];
      return words.length > 0 ? [{ file, words }] : [];
    });
  });
}

test('every documented command and option exists', async () => {
  const program = await createProgram();
  const faults: string[] = [];
  for (const { file, words } of documentedCommands()) {
    let command: Command = program;
    let rest = words;
    for (let next = subcommand(command, rest[0]); next; next = subcommand(command, rest[0])) {
      command = next;
      rest = rest.slice(1);
    }
    const where = `${file}: trunkline ${words.join(' ')}`;
    if (command.commands.length > 0 && rest[0] && !rest[0].startsWith('-') && !/[<…|A-Z]/.test(rest[0]))
      faults.push(where);
    const options = rest.filter((word) => /^--?[a-z]/.test(word)).map((word) => word.split('=')[0]!);
    const known = [...command.options.flatMap((o) => [o.short, o.long]), '--help', '-h', '--version'];
    for (const option of options) if (!known.includes(option)) faults.push(`${where}: no option ${option}`);
  }
  assert.deepEqual(faults, []);
});

const subcommand = (command: Command, word: string | undefined) =>
  command.commands.find((c) => c.name() === word || c.aliases().includes(word ?? ''));

test('every command has help with an example', async () => {
  const leaves = (command: Command): Command[] =>
    command.commands.length > 0 ? command.commands.flatMap(leaves) : [command];
  const without = leaves(await createProgram()).filter((command) => {
    let help = '';
    command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
    return !/Examples?:\n/.test(help);
  });
  assert.deepEqual(
    without.map((command) => command.name()),
    [],
  );
});

test('documents name files that exist', () => {
  const faults = documents.flatMap((file) =>
    [...read(file).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)]
      .map((match) => join(dirname(file), match[1]!))
      .filter((target) => !tracked.some((t) => t === target || t.startsWith(`${target.replace(/\/$/, '')}/`)))
      .map((target) => `${file} links to ${target}`),
  );
  assert.deepEqual(faults, []);
});
