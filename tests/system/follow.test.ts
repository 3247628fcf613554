/** What `import cdrs --follow` promises of rotations, stops and crashes, with real processes and real kills. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from '#platform/database/pool.ts';
import { seededRandom } from '#platform/lifecycle/seeded_random.ts';
import { type Ended, type StartedCommand, startCommand } from '#tests/command.ts';
import { type FollowedFileWriter, followedFileWriter, followedRow } from '#tests/followed_file.ts';
import { testDatabase } from '#tests/postgres.ts';

const folder = await mkdtemp(join(tmpdir(), 'trunkline-follow-'));
after(() => rm(folder, { recursive: true, force: true }));
const database = await testDatabase();

/** A wait that is far longer than what is waited for takes, on a machine that does much else. */
const LIMIT_MS = Number(process.env.FOLLOW_LIMIT_MS ?? 30_000);
const POLL_MS = 25;

const followed = (path: string) => ['import', 'cdrs', '--follow', path, '--create-accounts', '--json'];
const start = async (path: string): Promise<StartedCommand> => {
  const command = startCommand(followed(path), { DATABASE_URL: database.url });
  await command.said('following');
  return command;
};
const stop = async ({
  child,
  ended,
}: StartedCommand): Promise<{ code: number | null; told: Told; err: string }> => {
  child.kill('SIGTERM');
  const { code, out, err } = await ended;
  return { code, told: JSON.parse(out), err };
};
interface Told {
  readonly stored: number;
  readonly duplicates: number;
  readonly sources: readonly {
    readonly bytes_read: number;
    readonly bytes_behind: number;
    readonly detail: string;
  }[];
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const begun = performance.now();
  while (!(await isSo())) {
    assert.ok(performance.now() - begun < LIMIT_MS, `not within ${LIMIT_MS} ms: ${what}`);
    await sleep(POLL_MS);
  }
}

/** Each writes under a name of its own. */
async function newFile(): Promise<{ path: string; writer: FollowedFileWriter; stored(): Promise<number> }> {
  await database.pool.query(
    'TRUNCATE calls.cdrs, calls.usage_quarters, calls.usage_days, calls.followed_files, calls.followed_sources, calls.rejected_cdrs CASCADE',
  );
  const own = await mkdtemp(join(folder, 'switch-'));
  const path = join(own, 'Master.csv');
  return { path, writer: followedFileWriter(path), stored: () => count(database.pool) };
}

const count = async (pool: Pool): Promise<number> =>
  (await pool.query('SELECT count(*) AS n FROM calls.cdrs')).rows[0].n;

/** Exactly the rows written, each once, none aside, and their usage. */
async function assertAll(rows: number, what: string): Promise<void> {
  const { pool } = database;
  const calls = await pool.query('SELECT call_id FROM calls.cdrs ORDER BY start_time');
  const expected = Array.from({ length: rows }, (_, number) => followedRow(number).split('"').at(-4));
  assert.deepEqual(
    calls.rows.map(({ call_id }) => call_id),
    expected,
    what,
  );
  const aside = await pool.query(
    `SELECT code, line, convert_from(bytes, 'UTF8') AS row FROM calls.rejected_cdrs WHERE taken_by IS NULL`,
  );
  assert.deepEqual(aside.rows, [], what);
  const usage = await pool.query('SELECT coalesce(sum(calls), 0)::int AS n FROM calls.usage_quarters');
  assert.equal(usage.rows[0].n, rows, what);
}

/** For whoever has to find out why. */
async function missing(rows: number): Promise<string> {
  const ask = async (sql: string) => (await database.pool.query(sql)).rows;
  const there = new Set(
    (await ask('SELECT call_id FROM calls.cdrs')).map(({ call_id }) => call_id.split('.')[1]),
  );
  const numbers = Array.from({ length: rows }, (_, number) => String(number)).filter((n) => !there.has(n));
  return JSON.stringify({
    missing: numbers.join(','),
    files: await ask(
      'SELECT i_file, name, inode, position, line, finished_at FROM calls.followed_files ORDER BY 1',
    ),
    sources: await ask('SELECT state, detail, bytes_behind, rows FROM calls.followed_sources'),
    aside: await ask(
      `SELECT line, code, convert_from(bytes, 'UTF8') AS row FROM calls.rejected_cdrs WHERE taken_by IS NULL`,
    ),
  });
}

/** Each of these may come at any time. */
const OPERATIONS = {
  rows: 8,
  begin: 4,
  end: 2,
  rename: 3,
  renamePacked: 2,
  copytruncate: 3,
  copytruncatePacked: 1,
  late: 2,
  truncate: 1,
  stop: 2,
  kill: 3,
  start: 3,
  wait: 4,
} as const;
type Operation = keyof typeof OPERATIONS;

async function scenario(seed: number): Promise<void> {
  const random = seededRandom(seed);
  const { path, writer, stored } = await newFile();
  const choices = Object.entries(OPERATIONS).flatMap(([name, weight]) => Array<string>(weight).fill(name));
  const story: string[] = [];
  // What was rotated away before a file is followed for the first time is nobody's.
  let running: StartedCommand | undefined = await start(path);
  await writer.writeRows(1);
  await until('the first row is stored', async () => (await stored()) === 1);
  const tell = () => `seed ${seed}: ${story.join(', ')}`;
  try {
    for (let step = 0; step < 30; step++) {
      let operation = choices[Math.floor(random() * choices.length)] as Operation;
      const howMany = 1 + Math.floor(random() ** 3 * 60);
      const share = random();
      // What nobody has read yet is lost by a truncation.
      if (operation === 'truncate' && !running) operation = 'rows';
      story.push(`${operation}${operation === 'rows' || operation === 'late' ? ` ${howMany}` : ''}`);
      if (operation === 'rows') await writer.writeRows(howMany);
      else if (operation === 'begin') await writer.beginRow(share);
      else if (operation === 'end') await writer.endRow();
      else if (operation === 'rename') await writer.rotate('rename', false);
      else if (operation === 'renamePacked') await writer.rotate('rename', true);
      else if (operation === 'copytruncate') await writer.rotate('copytruncate', false);
      else if (operation === 'copytruncatePacked') await writer.rotate('copytruncate', true);
      else if (operation === 'late') await writer.writeLate(howMany);
      else if (operation === 'wait') await sleep(share * 800);
      else if (operation === 'start') running ??= await start(path);
      else if (operation === 'truncate') {
        await writer.endRow();
        await until(
          `rows are stored before a truncation; ${tell()}`,
          async () => (await stored()) === writer.rows,
        );
        await writer.truncate();
      } else if (running) {
        const command: StartedCommand = running;
        command.child.kill(operation === 'stop' ? 'SIGTERM' : 'SIGKILL');
        const { code, err }: Ended = await command.ended;
        if (operation === 'stop') assert.equal(code, 0, `${tell()}\n${err}`);
        running = undefined;
      }
    }
    await writer.close();
    running ??= await start(path);
    await until(`${writer.rows} rows are stored; ${tell()}`, async () => (await stored()) >= writer.rows);
    const { code } = await stop(running);
    running = undefined;
    assert.equal(code, 0, tell());
    await assertAll(writer.rows, tell());
  } catch (error) {
    throw new Error(`${tell()}\n${await missing(writer.rows)}`, { cause: error });
  } finally {
    running?.child.kill('SIGKILL');
    await running?.ended;
  }
}

const seed = Number(process.env.FOLLOW_SEED ?? Math.floor(Math.random() * 1e6));
for (let run = 0; run < Number(process.env.FOLLOW_RUNS ?? 5); run++) {
  test(`whatever a switch, its logrotate and the power do to a file: each row is stored once (seed ${seed + run})`, async () => {
    await scenario(seed + run);
  });
}

test('a restart reads only what is new', async () => {
  const { path, writer, stored } = await newFile();
  await writer.writeRows(20_000);
  const first = await start(path);
  await until('rows are stored', async () => (await stored()) === 20_000);
  first.child.kill('SIGKILL');
  await first.ended;
  await writer.writeRows(3);
  const bytes = 3 * followedRow(20_000).length;
  const second = await start(path);
  await until('new rows are stored', async () => (await stored()) === 20_003);
  const { code, told } = await stop(second);
  assert.deepEqual(
    [code, told.stored, told.duplicates, told.sources[0]!.bytes_read, told.sources[0]!.bytes_behind],
    [0, 3, 0, bytes, 0],
  );
});
