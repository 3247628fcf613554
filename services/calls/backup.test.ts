/** Back-ups of all services: everything comes back, or nothing changes. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { writeWholeFile } from '#platform/database/backup/backup_files.ts';
import { BackupFileError } from '#platform/database/backup/chunks.ts';
import { openBackup } from '#platform/database/backup/frames.ts';
import {
  BOUNDS,
  NotEmptyError,
  restoreBackup,
  SumsDifferError,
  verifyBackup,
} from '#platform/database/backup/restore.ts';
import { type BackedUpService, takeBackup } from '#platform/database/backup/take.ts';
import type { Pool } from '#platform/database/pool.ts';
import { backedUpOf } from '#platform/service/definition.ts';
import { SERVICES } from '#system';
import { callRow, testImportSource } from '#tests/calls.ts';
import { columnsOf, fillTables, tablesOf } from '#tests/filled_tables.ts';
import { testDatabase } from '#tests/postgres.ts';
import { assertUsageIsExact } from '#tests/usage.ts';
import { takeIn } from './intake/intake.ts';
import { importDemo } from './jobs/demo.ts';
import { ensureMonths, removeOldMonths } from './partitions.ts';

const NOW = Date.parse('2026-11-29T12:00:00Z');
const folder = await mkdtemp(join(tmpdir(), 'trunkline-backup-'));
after(() => rm(folder, { recursive: true, force: true }));
const secret = randomBytes(32);
const WITH_MESSAGES = backedUpOf(SERVICES);
/** Rows as the file holds them: a restore makes dead letters of messages, which tests below look at. */
const BACKED_UP = WITH_MESSAGES.map(({ afterRestore: _, ...service }) => service);
const SCHEMA_NAMES = BACKED_UP.map(({ migrations }) => migrations.schema);
const OURS = `'{${SCHEMA_NAMES.join()}}'::regnamespace[]`;

const source = await testDatabase();
await importDemo(source.pool, NOW);
await fillTables(source.pool);

let files = 0;
async function take(
  pool: Pool,
  key: Buffer | null = secret,
  services: readonly BackedUpService[] = BACKED_UP,
  during: () => Promise<void> = async () => undefined,
): Promise<string> {
  const path = join(folder, `${files++}.backup`);
  const progress = { table: '', rows: 0, share: 0 };
  await takeBackup(pool, services, { program: 'test', secret: key ?? undefined, progress }, async (bytes) => {
    async function* slowed() {
      let done = false;
      for await (const some of bytes) {
        if (!done) await during();
        done = true;
        yield some;
      }
    }
    return writeWholeFile(path, slowed(), NOW, () => undefined);
  });
  return path;
}

async function withBackup<T>(
  path: string,
  work: (backup: Awaited<ReturnType<typeof openBackup>>) => Promise<T>,
) {
  const backup = await openBackup(path);
  try {
    return await work(backup);
  } finally {
    await backup.close();
  }
}

interface Choice {
  key?: Buffer | undefined;
  replace?: boolean;
  services?: readonly BackedUpService[];
}

const restore = (pool: Pool, path: string, choice: Choice = {}) =>
  withBackup(path, (backup) =>
    restoreBackup(pool, choice.services ?? BACKED_UP, backup, {
      secret: 'key' in choice ? choice.key : secret,
      replace: choice.replace ?? false,
      progress: { table: '', rows: 0, bytes: 0 },
    }),
  );

const verify = (pool: Pool, path: string) =>
  withBackup(path, (backup) =>
    verifyBackup(pool, BACKED_UP, backup, { secret, progress: { table: '', rows: 0, bytes: 0 } }),
  );

/** All rows, and all that PostgreSQL knows of the tables; from its catalogue, not from the back-up's list. */
async function contents(pool: Pool): Promise<unknown> {
  const ask = async (sql: string) => (await pool.query(sql)).rows;
  const rows: Record<string, unknown> = {};
  const migrators = SCHEMA_NAMES.flatMap((schema) => [`${schema}.migrations`, `${schema}.migrations_lock`]);
  for (const table of [...(await tablesOf(pool)), ...migrators]) {
    const columns = (await columnsOf(pool, table)).map(({ column }) => `"${column}"::text`).sort();
    rows[table] = await ask(
      `SELECT count(*), md5(string_agg(row, E'\\n' ORDER BY row))
       FROM (SELECT concat_ws('|', ${columns.join(', ')}) AS row FROM ${table}) AS r`,
    );
  }
  const sequences: Record<string, unknown> = {};
  for (const { name } of await ask(
    `SELECT oid::regclass::text AS name FROM pg_class WHERE relnamespace = ANY(${OURS}) AND relkind = 'S'`,
  ))
    sequences[name] = await ask(`SELECT last_value, is_called FROM ${name}`);
  return {
    rows,
    sequences,
    columns: await ask(
      `SELECT table_schema, table_name, column_name, data_type, is_nullable, column_default, is_identity
       FROM information_schema.columns WHERE table_schema::regnamespace = ANY(${OURS}) ORDER BY 1, 2, ordinal_position`,
    ),
    indexes: await ask(
      `SELECT tablename, regexp_replace(indexdef, '^CREATE (UNIQUE )?INDEX .* ON ', '\\1') AS def, indisvalid
       FROM pg_indexes JOIN pg_class c ON c.relname = indexname AND c.relnamespace::regnamespace::text = schemaname
       JOIN pg_index ON indexrelid = c.oid WHERE c.relnamespace = ANY(${OURS}) ORDER BY 1, 2`,
    ),
    constraints: await ask(
      `SELECT conrelid::regclass::text AS of, contype, pg_get_constraintdef(oid) AS def FROM pg_constraint
       WHERE connamespace = ANY(${OURS}) ORDER BY 1, 2, 3`,
    ),
  };
}

const messages = async (pool: Pool) =>
  (
    await pool.query(
      `SELECT (SELECT count(*) FROM messaging.messages) AS waiting,
              (SELECT count(*) FROM messaging.dead_letters WHERE cause = 'restored') AS restored`,
    )
  ).rows[0];

test('everything in the schema comes back: rows of every table, sequences, indexes and constraints', async () => {
  const target = await testDatabase();
  for (const table of await tablesOf(source.pool)) {
    const { rows } = await source.pool.query(`SELECT count(*) AS count FROM ${table}`);
    assert.ok(rows[0].count > 0, `${table} has no row: nothing would show that it is forgotten`);
  }
  const { rows, sums, tables } = await restore(target.pool, await take(source.pool));
  assert.ok(rows > 100 && sums > 10 && tables > 10);
  assert.deepEqual(await contents(target.pool), await contents(source.pool));
});

test('no message is delivered a second time by a restore: what was under way is a dead letter', async () => {
  const target = await testDatabase();
  const path = await take(source.pool);
  await restore(target.pool, path, { services: WITH_MESSAGES });
  assert.deepEqual(await messages(target.pool), { waiting: 0, restored: 1 });
  assert.deepEqual((await target.pool.query('SELECT topic FROM messaging.subscriptions')).rows, [
    { topic: 'TO' },
  ]);
  assert.equal((await verify(target.pool, path)).differences.count, 0);
});

test('a back-up of a version without messages leaves none under way that tell of what is gone', async () => {
  const target = await testDatabase();
  await target.pool.query(
    `INSERT INTO messaging.messages (queue, state, priority, id, topic, version, body)
     VALUES ('q', 'ready', 0, gen_random_uuid(), 't', 1, '{}')`,
  );
  const before = await take(source.pool, secret, BACKED_UP.slice(1));
  await restore(target.pool, before, { replace: true, services: WITH_MESSAGES });
  assert.deepEqual(await messages(target.pool), { waiting: 0, restored: 1 });
});

test('a back-up that is not encrypted is restored the same', async () => {
  const target = await testDatabase();
  await restore(target.pool, await take(source.pool, null), { key: undefined });
  assert.deepEqual(await contents(target.pool), await contents(source.pool));
});

test('nothing of a back-up with a key can be read in its file, but its times and versions', async () => {
  const text = await readFile(await take(source.pool), 'latin1');
  assert.match(text, /^TRUNKLINE BACK-UP 1\n/);
  assert.match(text, /"made_at":"20/);
  assert.doesNotMatch(text, /demo|cdrs_2/);
});

test('a database with rows is refused, and keeps them; told to replace them, it has those of the back-up', async () => {
  const target = await testDatabase();
  await importDemo(target.pool, NOW - 86_400_000);
  const before = await contents(target.pool);
  const path = await take(source.pool);
  await assert.rejects(restore(target.pool, path), NotEmptyError);
  assert.deepEqual(await contents(target.pool), before);
  await restore(target.pool, path, { replace: true });
  assert.deepEqual(await contents(target.pool), await contents(source.pool));
});

test('a back-up that was cut, changed, or made with another key restores nothing, also where it replaces', async () => {
  const target = await testDatabase();
  await importDemo(target.pool, NOW);
  const before = await contents(target.pool);
  const bytes = await readFile(await take(source.pool));
  const broken = join(folder, 'broken.backup');
  const flipped = (at: number) => {
    const changed = Buffer.from(bytes);
    changed[at] = changed[at]! ^ 1;
    return changed;
  };
  const faults = [
    ...[0, 10, 200, Math.floor(bytes.length / 2), bytes.length - 1].map((length) =>
      bytes.subarray(0, length),
    ),
    ...[3, 30, 400, Math.floor(bytes.length / 2), bytes.length - 1].map(flipped),
    Buffer.concat([bytes, Buffer.from('x')]),
  ];
  for (const [number, fault] of faults.entries()) {
    await writeFile(broken, fault);
    await assert.rejects(restore(target.pool, broken, { replace: true }), BackupFileError, `fault ${number}`);
  }
  await writeFile(broken, bytes);
  await assert.rejects(restore(target.pool, broken, { key: randomBytes(32), replace: true }), /another key/);
  await assert.rejects(restore(target.pool, broken, { key: undefined, replace: true }), /set BACKUP_KEY/);
  assert.deepEqual(await contents(target.pool), before);
});

test('sums that the restored tables do not give again restore nothing', async () => {
  const target = await testDatabase();
  const before = await contents(target.pool);
  const moving = [{ name: 'moving', columns: ['now'], sql: "SELECT 'now', clock_timestamp()" }];
  const services = [{ ...BACKED_UP[1]!, sums: moving }];
  const path = await take(source.pool, secret, services);
  await assert.rejects(restore(target.pool, path, { services }), SumsDifferError);
  assert.deepEqual(await contents(target.pool), before);
});

test('verify tells which account and month is not as the back-up has it', async () => {
  const target = await testDatabase();
  const path = await take(source.pool);
  await restore(target.pool, path);
  assert.equal((await verify(target.pool, path)).differences.count, 0);
  await target.pool.query(`INSERT INTO calls.migrations (name, timestamp) VALUES ('9999_later', 'now')`);
  assert.equal(
    (await verify(target.pool, path)).differences.count,
    0,
    'migrations of a later version are no difference',
  );
  const { rows } = await target.pool.query(
    `DELETE FROM calls.cdrs WHERE i_cdr = (SELECT max(i_cdr) FROM calls.cdrs)
     RETURNING i_account, to_char(start_time AT TIME ZONE 'UTC', 'YYYY-MM') AS month, currency`,
  );
  const { i_account, month, currency } = rows[0];
  const { first } = (await verify(target.pool, path)).differences;
  const keys = first.map(({ what, key }) => `${what}: ${key}`);
  assert.ok(
    keys.includes(`calls by account, month and currency: ${i_account} ${month} ${currency}`),
    keys.join(),
  );
  assert.equal(keys.length, 2, 'the rows of the month, and its sums');
});

test('while calls are stored a back-up holds one moment: sums of usage are those of its calls', async () => {
  const target = await testDatabase();
  const busy = await testDatabase();
  await importDemo(busy.pool, NOW);
  const importSource = await testImportSource(busy.pool);
  const stopped = new AbortController();
  let stored = 0;
  const storing = (async () => {
    for (; !stopped.signal.aborted; stored++) await takeIn(busy.pool, importSource, [callRow(), callRow()]);
  })();
  const path = await take(busy.pool, secret, BACKED_UP, async () => {
    const before = stored;
    while (stored < before + 5) await new Promise((soon) => setTimeout(soon, 10));
  });
  stopped.abort();
  await storing;
  await restore(target.pool, path);
  await assertUsageIsExact(target.pool);
  const count = async (pool: Pool) => (await pool.query('SELECT count(*) AS n FROM calls.cdrs')).rows[0].n;
  assert.ok((await count(target.pool)) < (await count(busy.pool)));
});

test('beside a back-up months are made, and retention gives way instead of stopping all readers', async () => {
  const busy = await testDatabase();
  await importDemo(busy.pool, NOW);
  await take(busy.pool, secret, BACKED_UP, async () => {
    assert.deepEqual(await ensureMonths(busy.pool, [203001]), [203001]);
    await assert.rejects(removeOldMonths(busy.pool, Date.parse('2031-01-01'), 1), /lock timeout/);
    await busy.pool.query('SELECT count(*) FROM calls.cdrs');
  });
  assert.ok((await removeOldMonths(busy.pool, Date.parse('2031-01-01'), 1)).length > 0);
});

test('bounds of every month are in the one form that restoring reads', async () => {
  const { rows } = await source.pool.query<{ bounds: string }>(
    `SELECT pg_get_expr(relpartbound, oid) AS bounds FROM pg_class WHERE relispartition AND relkind = 'r'`,
  );
  assert.ok(rows.length > 0);
  for (const { bounds } of rows) assert.match(bounds, BOUNDS);
});
