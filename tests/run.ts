/**
 * The test run: holds the shared PostgreSQL for its length and gives every test file to Node's runner.
 *
 * A test that fails has failed. Only a file below tests/faults is run once more, alone: those kill and freeze real
 * engines and measure promised times, and a machine that does something else just then can make one miss its time. The
 * closing lines name each file that was run again, what failed in it at first, and how the second run ended. They also
 * name the suites that were skipped for want of an engine. A file that hangs is ended after a while, and has failed.
 *
 *   node tests/run.ts [path…]            only test files below these paths
 *   node tests/run.ts --unit [path…]     only those of them that start no engine, all in one process
 */
import { globSync } from 'node:fs';
import { join, relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { limitFiles } from '#tests/file_limits.ts';
import { startTestPostgres } from '#tests/postgres.ts';
import { unitFiles } from '#tests/unit_files.ts';

/** Files side by side, of those that start no engines of their own. */
const CONCURRENCY = 3;

/** How long a file may take: several times as long as the longest does on a slow machine. */
const LIMIT_MS = 10 * 60_000;
const HEAVY_LIMIT_MS = 15 * 60_000;
/** For the test of the limits. */
const GIVEN_LIMIT_MS = Number(process.env.TEST_FILE_LIMIT_MS ?? 0);

interface Outcome {
  /** Files that failed, each with the first thing in it that did and why. */
  readonly failed: ReadonlyMap<string, string>;
  readonly skipped: readonly string[];
  readonly passes: number;
  readonly failures: number;
  readonly skips: number;
}

/** Faults and benchmarks start engines of their own: side by side they would starve each other on two cores. */
const heavy = (file: string) => /^(tests\/faults|tests\/plans|bench)\//.test(file);
const measuresTimes = (file: string) => file.startsWith('tests/faults/');

/** Test files and the commands that they start load the same modules: what one has compiled serves the others. */
process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, '../node_modules/.cache/compiled');

/** @param concurrency processes side by side, a file each; 0 runs all files in this process */
async function runFiles(files: readonly string[], concurrency: number): Promise<Outcome> {
  const failed = new Map<string, string>();
  const skipped: string[] = [];
  const counts = { passes: 0, failures: 0, skips: 0 };
  if (files.length === 0) return { failed, skipped, ...counts };
  const sorted = [...files].sort();
  const fail = (path: string, why: string) => {
    const file = relative(process.cwd(), path);
    if (!failed.has(file)) failed.set(file, why);
  };
  const limitMs = GIVEN_LIMIT_MS || (sorted.some(heavy) ? HEAVY_LIMIT_MS : LIMIT_MS);
  const hung = new Set<string>();
  const endLimits = limitFiles(sorted, limitMs, (file) => hung.add(file));
  // In this process no file can be ended, but its tests can fail.
  const stream = run(
    concurrency ? { files: sorted, concurrency } : { files: sorted, isolation: 'none', timeout: limitMs },
  );
  stream.on('test:fail', (event) => {
    const { error } = event.details;
    const reason = String((error.cause as Error | undefined)?.message ?? error.message).split('\n')[0];
    if (event.file) fail(event.file, `"${event.name}": ${reason}`);
  });
  stream.on('test:pass', (event) => {
    if (event.skip) skipped.push(`${event.name}: ${event.skip}`);
  });
  stream.on('test:summary', (event) => {
    if (event.file === undefined) {
      counts.passes += event.counts.passed;
      counts.skips += event.counts.skipped;
      counts.failures += event.counts.tests - event.counts.passed - event.counts.skipped - event.counts.todo;
      return;
    }
    if (!event.success) fail(event.file, 'the file failed as a whole');
  });
  await new Promise((done) => {
    stream.on('end', done);
    stream.compose(spec).pipe(process.stdout, { end: false });
  });
  endLimits();
  for (const file of hung) {
    const why = failed.get(file) ?? 'it did not end';
    failed.set(file, `${why}; its process hung, and was ended after ${limitMs / 1000} s`);
  }
  return { failed, skipped, ...counts };
}

const unitsOnly = process.argv[2] === '--unit';
const wanted = process.argv.slice(unitsOnly ? 3 : 2);
const below = globSync('{platform,services,engines,cli,bench,tests}/**/*.test.ts').filter(
  (file) => wanted.length === 0 || wanted.some((path) => file.startsWith(path.replace(/^\.\//, ''))),
);
const files = unitsOnly ? unitFiles(below) : below;
if (files.length === 0) {
  process.stderr.write(`no test file below ${wanted.join(', ')}\n`);
  process.exit(1);
}

const postgres = unitsOnly ? undefined : await startTestPostgres();
const counted = [
  await runFiles(
    files.filter((file) => !heavy(file)),
    unitsOnly ? 0 : CONCURRENCY,
  ),
  await runFiles(
    files.filter((file) => heavy(file) && !measuresTimes(file)),
    1,
  ),
];
const faults = await runFiles(files.filter(measuresTimes), 1);
const second = await runFiles([...faults.failed.keys()], 1);
await postgres?.stop();

const sum = (outcomes: readonly Outcome[], pick: (outcome: Outcome) => number) =>
  outcomes.reduce((total, outcome) => total + pick(outcome), 0);
const say = (text: string) => process.stdout.write(`${text}\n`);
const all = [...counted, faults];
const skips = sum(all, (o) => o.skips);
const failures = sum([...counted, second], (o) => o.failures);
const passes = sum(all, (o) => o.passes + o.failures) - failures;
for (const suite of all.flatMap((outcome) => outcome.skipped)) say(`skipped: ${suite}`);
if (skips > 0) say('Suites skipped for want of an engine run after: scripts/engines');
for (const [file, why] of counted.flatMap((outcome) => [...outcome.failed])) say(`failed: ${file}: ${why}`);
for (const [file, why] of faults.failed) {
  const reason = second.failed.get(file);
  say(`run again: ${file}: failed at first (${why}), then ${reason ? `again (${reason})` : 'passed'}`);
}
say(`\n${passes} passed, ${failures} failed, ${skips} skipped`);
const isGood = failures === 0 && [...counted, second].every((outcome) => outcome.failed.size === 0);
// A test of this process may have left something open.
process.exit(isGood ? 0 : 1);
