/** What the test run makes of tests that fail: nothing is counted as passed that has failed. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const RUN = fileURLToPath(new URL('../run.ts', import.meta.url));

/** A test that fails when its file is run for the first time, and passes after that. */
const failsAtFirst = (name: string) => `
  import { existsSync, writeFileSync } from 'node:fs';
  import { test } from 'node:test';
  test('${name}', () => {
    const ran = existsSync('${name}');
    writeFileSync('${name}', '');
    if (!ran) throw new Error('too slow by 5 ms');
  });
  test('another', () => {});
`;

/** Runs tests/run.ts in a folder that holds these files. @returns its exit status and its closing lines */
async function runTests(
  files: Record<string, string>,
  ...options: string[]
): Promise<{ code: number | null; closing: string[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'trunkline-run-'));
  try {
    for (const [name, text] of Object.entries(files)) {
      await mkdir(join(folder, name, '..'), { recursive: true });
      await writeFile(join(folder, name), text);
    }
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const child = spawn(process.execPath, [RUN, ...options], {
      cwd: folder,
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let out = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (out += text));
    const code = await new Promise<number | null>((done) => child.on('close', done));
    return { code, closing: out.trimEnd().split('\n').slice(-4) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test('a file below tests/faults that fails is run again, which the closing lines tell with the reason', async () => {
  const { code, closing } = await runTests({ 'tests/faults/a.test.ts': failsAtFirst('in time') });
  assert.equal(code, 0);
  assert.deepEqual(closing.slice(-3), [
    'run again: tests/faults/a.test.ts: failed at first ("in time": too slow by 5 ms), then passed',
    '',
    '2 passed, 0 failed, 0 skipped',
  ]);
});

test('any other test that fails has failed, whatever a second run would say', async () => {
  const { code, closing } = await runTests({
    'platform/b.test.ts': failsAtFirst('b'),
    'tests/plans/c.test.ts': failsAtFirst('c'),
  });
  assert.equal(code, 1);
  assert.deepEqual(closing.slice(-4), [
    'failed: platform/b.test.ts: "b": too slow by 5 ms',
    'failed: tests/plans/c.test.ts: "c": too slow by 5 ms',
    '',
    '2 passed, 2 failed, 0 skipped',
  ]);
});

test('a file that breaks before its first test has failed', async () => {
  const { code, closing } = await runTests({ 'services/d.test.ts': 'process.exit(3)' });
  assert.equal(code, 1);
  assert.match(closing.join('\n'), /^failed: services\/d\.test\.ts: .*\n\n0 passed, 1 failed, 0 skipped$/m);
});

test('--unit leaves out what starts engines or programs, near or far; a unit that fails has failed', async () => {
  const files = {
    'platform/plain.test.ts': `import { test } from 'node:test'; test('plain', () => {});`,
    'platform/starts.ts': `import 'node:child_process';`,
    'platform/far.test.ts': `import './starts.ts'; import { test } from 'node:test'; test('far', () => {});`,
  };
  const good = await runTests(files, '--unit');
  assert.equal(good.code, 0);
  assert.equal(good.closing.at(-1), '1 passed, 0 failed, 0 skipped');
  const bad = await runTests({ ...files, 'platform/e.test.ts': failsAtFirst('e') }, '--unit');
  assert.equal(bad.code, 1);
  assert.match(bad.closing.join('\n'), /^failed: platform\/e\.test\.ts: "e": too slow by 5 ms$/m);
});
