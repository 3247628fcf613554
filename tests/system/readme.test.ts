/** The README's commands do what it says, in its order: those of its main job that need no program beside them. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { startCommand } from '#tests/command.ts';
import { testDatabase } from '#tests/postgres.ts';

const PROGRAM = 'npx trunkline ';
const ALONE = ['import', 'accounts', 'keys', 'report'];
const FOLLOW_LIMIT_MS = 30_000;
const run = promisify(execFile);

const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
const commands = [...readme.matchAll(/```sh\n([\s\S]*?)```/g)]
  .flatMap(([, block]) => block!.replaceAll('\\\n', ' ').split('\n'))
  .filter((line) => ALONE.some((command) => line.startsWith(PROGRAM + command)));

const { url, pool } = await testDatabase();

/** What goes on until it is ended: once all that is there is read. */
async function follow(command: string): Promise<void> {
  const followed = startCommand(command.trim().split(/\s+/), { DATABASE_URL: url });
  try {
    await followed.said('following');
    const isRead = () =>
      pool.query(
        `SELECT 1 FROM calls.followed_sources WHERE rows > 0 AND state = 'following' AND bytes_behind = 0`,
      );
    for (const begun = performance.now(); (await isRead()).rowCount === 0; await sleep(50))
      assert.ok(performance.now() - begun < FOLLOW_LIMIT_MS, `${command}: nothing was read`);
  } finally {
    followed.child.kill('SIGINT');
  }
  const { code, out, err } = await followed.ended;
  // 3: rows that have been set aside before are set aside again.
  assert.ok(code === 0 || code === 3, `${command}\nended with ${code}:\n${out}${err}`);
}

test('imports, what was set aside, accounts and keys', async () => {
  assert.ok(commands.length >= 9, `${commands.length} commands were found`);
  for (const command of commands) {
    // What it writes goes to a file that nobody wants here.
    const words = command.slice(PROGRAM.length).replace(/ > \S+$/, '');
    const line = `"${process.execPath}" bin/trunkline.js ${words}`;
    const env = { ...process.env, DATABASE_URL: url };
    if (command.includes(' --follow ')) {
      await follow(command.slice(PROGRAM.length));
      continue;
    }
    await run('sh', ['-c', line], { env }).catch(({ code, stdout, stderr }) =>
      assert.fail(`${command}\nended with ${code}:\n${stdout}${stderr}`),
    );
  }
  const { rows } = await pool.query(
    `SELECT count(*)::int AS calls FROM calls.cdrs WHERE call_id LIKE 'c-88%'`,
  );
  assert.deepEqual(rows, [{ calls: 9 }]);
});
