/** Files that grow while they are imported, by two imports at once. */
import assert from 'node:assert/strict';
import { appendFile, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { CommandDatabase } from '#platform/service/commands.ts';
import { testDatabase } from '#tests/postgres.ts';
import { parseMapping } from '../formats/mapping.ts';
import type { OpenedSource } from '../intake/source_files.ts';
import { importFiles } from './import_files.ts';
import type { Progress } from './import_progress.ts';

const { pool } = await testDatabase();
const folder = await mkdtemp(join(tmpdir(), 'trunkline-import-files-'));
after(() => rm(folder, { recursive: true, force: true }));
const path = join(folder, 'cdr.csv');
const CUT = 'From,To,Start,Secs\n1001,+442079460001,2026-11-02 10:00:00,12';
const MAP = ['From=cli', 'To=cld', 'Start=start_time', 'Secs=duration_s'];

/** @param atEnd runs once, when all is read and before the file's end is known */
async function importIt(atEnd?: () => Promise<unknown>): Promise<{ times: number; read: number }> {
  let times = 0;
  const begin = (_: unknown, opened: OpenedSource) => {
    if (++times > 1 || !atEnd) return;
    const { chunks } = opened;
    Object.assign(opened, {
      chunks: (async function* () {
        yield* chunks;
        await atEnd();
      })(),
    });
  };
  const nothing = () => undefined;
  const progress = { begin, announce: nothing, update: nothing, finish: nothing, end: nothing };
  const { total, failures } = await importFiles(
    { pool } as CommandDatabase,
    [{ name: path, size: (await stat(path)).size }],
    {
      ...{
        format: 'mapped',
        source: undefined,
        newAccounts: { currency: 'EUR', timeZone: 'UTC', country: null },
      },
      read: { timeZone: 'UTC', account: 'acme', mapping: parseMapping(MAP, 'm') },
    },
    {},
    progress as unknown as Progress,
  );
  assert.deepEqual(failures, []);
  return { times, read: total.read };
}

test('a file that has grown, and that another import has read meanwhile, is read again', async () => {
  await writeFile(path, CUT);
  const told = await importIt(async () => {
    await appendFile(path, '5\n');
    await importIt();
  });
  assert.deepEqual(told, { times: 2, read: 2 });
  const { rows } = await pool.query('SELECT duration_s FROM calls.cdrs');
  assert.deepEqual(
    rows.map(({ duration_s }) => Number(duration_s)),
    [125],
  );
  assert.equal((await importIt()).times, 1);
});

test('one that has only grown is not', async () => {
  await writeFile(path, CUT.replace('1001', '1002'));
  const told = await importIt(() => appendFile(path, '5\n'));
  assert.deepEqual(told, { times: 1, read: 1 });
});
