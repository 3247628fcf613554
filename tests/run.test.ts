/** The test run itself: files that hang. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const RUN = fileURLToPath(new URL('run.ts', import.meta.url));

const GOOD = `import { test } from 'node:test';
test('a good one', () => undefined);
`;
/** Ignores SIGTERM, and leaves a process that holds its pipes. */
const LEAVES_A_SERVER = `import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { test } from 'node:test';
test('a failed assertion that leaves a server open', () => {
  process.on('SIGTERM', () => undefined);
  spawn('sleep', ['30'], { stdio: 'inherit' }).unref();
  createServer().listen(0);
  assert.equal(1, 2);
});
`;
const LOOPS = `import { test } from 'node:test';
test('an endless loop', () => {
  for (;;);
});
`;

test('a file that hangs is ended, has failed by its name, and the others run', () => {
  const folder = mkdtempSync(join(tmpdir(), 'trunkline-run-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, 'tests'));
  for (const [name, text] of Object.entries({ a_server: LEAVES_A_SERVER, b_loop: LOOPS, c_good: GOOD }))
    writeFileSync(join(folder, 'tests', `${name}.test.ts`), text);
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { status, stdout } = spawnSync(process.execPath, [RUN, 'tests'], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...env, TEST_FILE_LIMIT_MS: '3000' },
    timeout: 60_000,
  });
  assert.equal(status, 1, stdout);
  const ended = 'its process hung, and was ended after 3 s';
  assert.match(stdout, new RegExp(`^failed: tests/a_server.test.ts: .*strictly equal:; ${ended}$`, 'm'));
  assert.match(stdout, new RegExp(`^failed: tests/b_loop.test.ts: .*; ${ended}$`, 'm'));
  assert.match(stdout, /✔ a good one/);
  assert.match(stdout, /^1 passed, /m);
});
