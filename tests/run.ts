/**
 * The test run: holds the shared PostgreSQL for its length, gives every test file to Node's runner, and says in its
 * last lines which suites were skipped for want of an engine.
 *
 *   node tests/run.ts [path…]     only test files below these paths
 */
import { globSync } from 'node:fs';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { startTestPostgres } from '#tests/postgres.ts';

const wanted = process.argv.slice(2);
const files = globSync('{platform,services,engines,cli,bench,tests}/**/*.test.ts').filter(
  (file) => wanted.length === 0 || wanted.some((path) => file.startsWith(path.replace(/^\.\//, ''))),
);
if (files.length === 0) {
  process.stderr.write(`no test file below ${wanted.join(', ')}\n`);
  process.exit(1);
}
/** Faults and benchmarks start engines of their own: side by side they would starve each other on two cores. */
const heavy = (file: string) => /^(tests\/faults|tests\/plans|bench)\//.test(file);

const postgres = await startTestPostgres();
const skipped: string[] = [];
const totals = { pass: 0, fail: 0, skipped: 0 };
let failed = false;

for (const group of [files.filter((f) => !heavy(f)), files.filter(heavy)]) {
  if (group.length === 0) continue;
  const stream = run({ files: group.sort(), concurrency: group.some(heavy) ? 1 : 3, forceExit: false });
  stream.on('test:fail', (event) => {
    if (event.todo === undefined) failed = true;
  });
  stream.on('test:pass', (event) => {
    if (event.skip) skipped.push(`${event.name}: ${event.skip}`);
  });
  stream.on('test:summary', (event) => {
    if (event.file !== undefined) return;
    totals.pass += event.counts.passed;
    totals.fail += event.counts.tests - event.counts.passed - event.counts.skipped - event.counts.todo;
    totals.skipped += event.counts.skipped;
  });
  await new Promise((done) => {
    stream.on('end', done);
    stream.compose(spec).pipe(process.stdout, { end: false });
  });
}
await postgres.stop();

for (const suite of skipped) process.stdout.write(`skipped: ${suite}\n`);
if (skipped.length > 0)
  process.stdout.write('Suites skipped for want of an engine run after: scripts/engines\n');
process.stdout.write(`\n${totals.pass} passed, ${totals.fail} failed, ${totals.skipped} skipped\n`);
process.exitCode = failed || totals.fail > 0 ? 1 : 0;
