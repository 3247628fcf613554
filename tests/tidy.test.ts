/** Rules of style that matter, as tests: what the documentation promises of the code's shape. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { createProgram } from '#cli/program.ts';
import { derivedFiles } from '../scripts/derived_files.ts';
import { conflictMarks } from './conflict_marks.ts';
import {
  type Edge,
  heavyContracts,
  importsPastDoors,
  insideImports,
  upwardImports,
  upwardInCalls,
} from './floors.ts';
import { importsOf } from './imports.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const CODE_LINES = 400;
const TEST_LINES = 600;
const FORBIDDEN_FOLDERS = ['utils', 'util', 'common', 'helpers', 'lib', 'misc', 'shared'];
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
const pathsImportedBy = (file: string): string[] =>
  importsOf(ROOT, file).flatMap(({ to, isPackage }) => (isPackage ? [] : [to]));

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

/** Tracked files that are read as text: not gzip and the like. */
const texts = tracked.filter((file) => !/\.(?:gz|bz2|xz|zip|png|ico|pcap|xlsx?|pdf)$/.test(file));

test('no conflict of a merge is left, in whatever file or comment', () => {
  assert.deepEqual(
    texts.flatMap((file) => conflictMarks(read(file)).map((line) => `${file}:${line}`)),
    [],
  );
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
      return pathsImportedBy(file)
        .filter((to) => !to.startsWith('platform/') && !to.startsWith(`services/${service}/`))
        .filter((to) => !/^services\/[^/]+\/contract\.ts$/.test(to))
        .map((to) => `${file} imports ${to}`);
    });
  assert.deepEqual(faults, []);
});

const edgesOf = (folder: string): Edge[] =>
  code
    .filter((file) => file.startsWith(folder) && !isTest(file))
    .flatMap((file) => pathsImportedBy(file).map((to) => ({ file, to })));

test('platform/ imports downward only, and nothing above it', () => {
  assert.deepEqual(upwardImports(edgesOf('platform/')), []);
});

test('services/calls imports downward only', () => {
  assert.deepEqual(upwardInCalls(edgesOf('services/calls/')), []);
});

test('contracts are leaves: who imports one does not load its service', () => {
  assert.deepEqual(heavyContracts(edgesOf('services/')), []);
});

test('a folder with an entry file is imported through that file alone, by tests as well', () => {
  const edges = code.flatMap((file) => pathsImportedBy(file).map((to) => ({ file, to })));
  assert.deepEqual(importsPastDoors(edges), []);
});

test('only system.ts and what stands beside it, scripts and the tests know services: the command line does not', () => {
  const edges = code.flatMap((file) => pathsImportedBy(file).map((to) => ({ file, to })));
  assert.deepEqual(insideImports(edges), []);
});

test('what is derived from the list of services and the rules is up to date: node scripts/derived.ts', () => {
  for (const [file, text] of Object.entries(derivedFiles(read))) assert.equal(read(file), text, file);
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

/** Where the wall clock is read, and why it is not a duration that is measured by it. */
const WALL_CLOCK: Record<string, string> = {
  'platform/access/read_your_writes.ts': 'what another process gave out, whose monotonic clock is another',
  'platform/access/token_verifier.ts': 'a token expires at an instant',
  'platform/access/authenticator.ts': 'a key expires at an instant',
  'platform/lifecycle/clock.ts': 'the clock itself',
  'platform/telemetry/logger.ts': 'the time of a line',
  'platform/telemetry/tracing/span.ts': 'when a trace began',
  'platform/messaging/consumer.ts': 'a message expires at an instant',
  'platform/database/monitoring.ts': 'when the program started, for showing',
  'platform/resilience/activity.ts': 'when something happened, for showing',
  'platform/resilience/circuit_breaker.ts': 'since when it is in its state, for showing',
  'platform/resilience/health_monitor.ts': 'when the last check was, for showing',
  'platform/database/backup/scheduled.ts': 'when the next back-up is due, by the wall clock',
  'services/monitor/backup_reader.ts': 'how old a back-up is',
  'services/calls/api/exports/calls_export.ts': 'which months are near',
  'services/calls/api/lists/routes_cdrs.ts': 'which months are near',
  'services/calls/api/consumption/routes_consumption.ts': 'consumption up to this instant',
  'services/calls/follow/file_source.ts': 'which files are dated ahead',
  'services/calls/follow/follow.ts': 'an instant before which all calls have come',
  'services/calls/follow/read_content.ts': 'the age of a file, whose time is the wall clock of its machine',
  'services/calls/follow/source_report.ts': 'how long ago an instant is that another process may have told',
  'services/calls/intake/dry_run.ts': 'whether a call is in the future',
  'services/calls/intake/import_file.ts': 'whether a call is in the future',
  'services/calls/intake/intake.ts': 'whether a call is in the future',
  'services/calls/intake/store_batch.ts': 'whether a call is in the future',
  'services/calls/api/imports/routes_sources.ts': 'how long ago an instant is that a batch was stored',
  'services/calls/source_activity.ts': 'how long ago an instant is that another process may have told',
  'services/calls/jobs/maintenance.ts': 'which months there should be',
  'services/identity/keys.ts': 'an account is closed from an instant on',
  'services/monitor/channels/webhook.ts': 'the instant that a signature is of',
  'services/monitor/monitor.ts': 'when a notice was made; where steady time begins',
  'services/monitor/routes.ts': 'a silence ends at an instant',
  'services/monitor/steady_time.ts': 'where steady time begins, and how it is shown',
  'engines/alert_receivers.ts': 'the instant that a signature is of',
  'engines/cluster/drills/callers.ts': 'when a call was made',
  'engines/cluster/drills/part_drill.ts': 'when a part was lost, for showing and for comparing with alerts',
  'engines/cluster/supervisor.ts': 'since when a part runs, for showing',
  'cli/backup.ts': 'the instant that a file is named for',
  'cli/drill_restore.ts': 'how old a back-up is',
  'services/calls/commands/import.ts': 'which months are kept',
  'services/identity/commands/keys.ts': 'a key expires at an instant',
  'services/calls/commands/sources.ts': 'how long ago an instant is',
  'services/monitor/commands/status.ts': 'how long ago an instant is',
  'cli/up.ts': 'up to when the sample of calls goes',
};

test('the wall clock is read for instants alone: whatever lasts is measured by the monotonic one', () => {
  const found = code
    .filter((file) => /^(platform|services|engines|cli)\/|^[a-z_]+\.ts$/.test(file) && !isTest(file))
    .filter((file) => !file.endsWith('/fake_clock.ts'))
    .filter((file) => /\bDate\.now\(|\bnew Date\(\)|\b[cC]lock\.now\b/.test(read(file)));
  assert.deepEqual(found.toSorted(), Object.keys(WALL_CLOCK).toSorted());
});

test('other programs are asked by platform/http/outside.ts, which bounds what they answer', () => {
  const found = code
    .filter((file) => /^(platform|services|engines|cli)\//.test(file) && !isTest(file))
    .filter((file) => /\bfetch\(|from 'undici'|\bhttps?\.(?:get|request)\(/.test(read(file)));
  assert.deepEqual(found, ['platform/http/outside.ts']);
});
