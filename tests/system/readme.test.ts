/** The README's commands do what it says, in its order: those of its main job that need no program beside them. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { testDatabase } from '#tests/postgres.ts';

const PROGRAM = 'npx trunkline ';
const ALONE = ['import', 'accounts', 'keys'];
const run = promisify(execFile);

const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
const commands = [...readme.matchAll(/```sh\n([\s\S]*?)```/g)]
  .flatMap(([, block]) => block!.replaceAll('\\\n', ' ').split('\n'))
  .filter((line) => ALONE.some((command) => line.startsWith(PROGRAM + command)));

const { url, pool } = await testDatabase();

test('imports, what was set aside, accounts and keys', async () => {
  assert.ok(commands.length >= 8, `${commands.length} commands were found`);
  for (const command of commands) {
    const line = `"${process.execPath}" bin/trunkline.js ${command.slice(PROGRAM.length)}`;
    const env = { ...process.env, DATABASE_URL: url };
    await run('sh', ['-c', line], { env }).catch(({ code, stdout, stderr }) =>
      assert.fail(`${command}\nended with ${code}:\n${stdout}${stderr}`),
    );
  }
  const { rows } = await pool.query(
    `SELECT count(*)::int AS calls FROM calls.cdrs WHERE call_id LIKE 'c-88%'`,
  );
  assert.deepEqual(rows, [{ calls: 9 }]);
});
