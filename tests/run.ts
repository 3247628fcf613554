/**
 * The test run: holds the shared PostgreSQL for its length and gives every test file to Node's runner. A file that fails
 * is run once more, alone, and only then counts: tests that kill and freeze real engines measure real time, and a machine
 * that does something else just then can make one miss it. The last lines say which files needed that, and which suites
 * were skipped for want of an engine.
 *
 *   node tests/run.ts [path…]     only test files below these paths
 */
import { globSync } from 'node:fs';
import { relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { startTestPostgres } from '#tests/postgres.ts';

/** Files side by side, of those that start no engines of their own. */
const CONCURRENCY = 3;

interface Outcome {
  readonly failed: ReadonlySet<string>;
  readonly skipped: readonly string[];
  readonly passes: number;
  readonly failures: number;
  readonly skips: number;
}

/** Faults and benchmarks start engines of their own: side by side they would starve each other on two cores. */
const heavy = (file: string) => /^(tests\/faults|tests\/plans|bench)\//.test(file);

async function runFiles(files: readonly string[], concurrency: number): Promise<Outcome> {
  const failed = new Set<string>();
  const skipped: string[] = [];
  const counts = { passes: 0, failures: 0, skips: 0 };
  if (files.length === 0) return { failed, skipped, ...counts };
  const stream = run({ files: [...files].sort(), concurrency });
  stream.on('test:fail', (event) => {
    if (event.file) failed.add(relative(process.cwd(), event.file));
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
    if (!event.success) failed.add(relative(process.cwd(), event.file));
  });
  await new Promise((done) => {
    stream.on('end', done);
    stream.compose(spec).pipe(process.stdout, { end: false });
  });
  return { failed, skipped, ...counts };
}

const wanted = process.argv.slice(2);
const files = globSync('{platform,services,engines,cli,bench,tests}/**/*.test.ts').filter(
  (file) => wanted.length === 0 || wanted.some((path) => file.startsWith(path.replace(/^\.\//, ''))),
);
if (files.length === 0) {
  process.stderr.write(`no test file below ${wanted.join(', ')}\n`);
  process.exit(1);
}

const postgres = await startTestPostgres();
const firsts = [
  await runFiles(
    files.filter((file) => !heavy(file)),
    CONCURRENCY,
  ),
  await runFiles(files.filter(heavy), 1),
];
const again = firsts.flatMap((outcome) => [...outcome.failed]);
const second = await runFiles(again, 1);
await postgres.stop();

const sum = (pick: (outcome: Outcome) => number) =>
  firsts.reduce((total, outcome) => total + pick(outcome), 0);
const failures = second.failures;
for (const suite of firsts.flatMap((outcome) => outcome.skipped)) process.stdout.write(`skipped: ${suite}\n`);
if (sum((o) => o.skips) > 0)
  process.stdout.write('Suites skipped for want of an engine run after: scripts/engines\n');
for (const file of again) {
  process.stdout.write(`run again: ${file}: ${second.failed.has(file) ? 'failed again' : 'passed'}\n`);
}
const passes = sum((o) => o.passes) + sum((o) => o.failures) - failures;
process.stdout.write(`\n${passes} passed, ${failures} failed, ${sum((o) => o.skips)} skipped\n`);
process.exitCode = second.failed.size > 0 || failures > 0 ? 1 : 0;
