/** What `import` says and does of rows that are read again: retried, mended, in another zone. By the command itself. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { runCommand } from '#tests/command.ts';
import { testDatabase } from '#tests/postgres.ts';

const folder = await mkdtemp(join(tmpdir(), 'trunkline-import-again-'));
after(() => rm(folder, { recursive: true, force: true }));
const { pool, url } = await testDatabase();
const run = (...args: string[]) => runCommand(args, { DATABASE_URL: url });
const MAPS = ['Start=start_time', 'Secs=duration_s', 'From=cli', 'To=cld', 'Who=account'].flatMap((map) => [
  '--map',
  map,
]);

/** A file of as many calls, all of one account. */
async function fileOf(account: string, calls: number, more = ''): Promise<string> {
  const rows = Array.from(
    { length: calls },
    (_, n) => `2026-11-02 10:0${n}:00,60,1002,+442079460001,${account}\n`,
  );
  const path = join(folder, `${account}.csv`);
  await writeFile(path, `Start,Secs,From,To,Who\n${rows.join('')}${more}`);
  return path;
}

const imports = async (...args: string[]) =>
  JSON.parse((await run('imports', 'list', '--json', ...args)).out);

test('a retry makes accounts as an import does: of a currency and a country, in the zone of their rows', async () => {
  const file = await fileOf('zurich', 2);
  const first = await run(
    'import',
    'cdrs',
    file,
    ...MAPS,
    '--time-zone',
    'Europe/Zurich',
    '--currency',
    'CHF',
  );
  assert.equal(first.code, 3, first.err);
  assert.match(first.out, /trunkline import rejected retry --create-accounts --currency CHF --country CODE/);
  const retried = await run(
    ...['import', 'rejected', 'retry', '--create-accounts', '--currency', 'CHF', '--country', 'CH', '--json'],
  );
  assert.deepEqual([retried.code, JSON.parse(retried.out).stored], [0, 2], retried.err);
  const { rows } = await pool.query('SELECT code, currency, country, time_zone FROM calls.accounts');
  assert.deepEqual(rows, [{ code: 'zurich', currency: 'CHF', country: 'CH', time_zone: 'Europe/Zurich' }]);
  const [again, was] = await imports('--file', file);
  assert.deepEqual([again.file, was.file], [`retried rows of ${file}`, file]);
  assert.ok(again.finished_at !== null);
});

test('a file read again in another zone: the summary says whose times the calls keep, and what to do', async () => {
  const file = await fileOf('zones', 3);
  const told = ['--create-accounts', '--source', 'zones'];
  await run('import', 'cdrs', file, ...MAPS, ...told, '--time-zone', 'America/New_York');
  const alike = await run('import', 'cdrs', file, ...MAPS, ...told, '--time-zone', 'America/New_York');
  assert.doesNotMatch(alike.out, /keep the times/);
  const again = await run('import', 'cdrs', file, ...MAPS, ...told, '--time-zone', 'Europe/Berlin');
  const [third, second, first] = await imports('--file', file);
  const line = new RegExp(
    `^3 calls keep the times that import ${first.i_import} stored, read as America/New_York: .trunkline imports undo ${first.i_import}. undoes that import, and they get the times of the next import that has them`,
    'm',
  );
  assert.match(again.out, line);
  const dryRun = await run('import', 'cdrs', file, ...MAPS, ...told, '--dry-run');
  assert.match(dryRun.out, /3 calls keep the times.* imports undo \d+`, then import$/m);
  const dry = await run('imports', 'undo', `${first.i_import}`, '--dry-run');
  const both = `3: imports ${second.i_import}, ${third.i_import} have them too; they would be as these imports read them`;
  assert.ok(dry.out.includes(both), dry.out);
  await run('imports', 'undo', `${second.i_import}`, '--yes');
  const undone = await run('imports', 'undo', `${first.i_import}`, '--yes');
  assert.match(undone.err, /^3 of 3 calls and rows undone$/m);
  const one = `3: import ${third.i_import} has them too; they are now as that import read them`;
  assert.ok(undone.out.includes(one), undone.out);
  const { rows } = await pool.query("SELECT min(start_time) AS start FROM calls.cdrs WHERE source = 'zones'");
  assert.equal(rows[0].start, '2026-11-02T09:00:00Z', 'the undo alone has mended it');
});

test('a mapping is remembered when its rows go in: by a retry, by mending, or as known ones', async () => {
  const remembered = async () =>
    (await pool.query('SELECT name FROM calls.import_maps ORDER BY 1')).rows.map(({ name }) => name);
  const named = (file: string, name: string, ...more: string[]) =>
    run('import', 'cdrs', file, ...MAPS, '--map-name', name, ...more);
  const file = await fileOf('later', 1);
  const first = await named(file, 'retried');
  assert.match(
    first.err,
    /not remembered as retried: no row was imported with it; it is remembered once waiting rows are/,
  );
  assert.deepEqual(await remembered(), []);
  await run('import', 'rejected', 'retry', '--create-accounts');
  assert.deepEqual(await remembered(), ['retried']);
  await named(file, 'known');
  assert.deepEqual(await remembered(), ['known', 'retried']);
  await named(await fileOf('later', 0, 'x,60,1,2,later\n'), 'mended');
  const mend = join(folder, 'later-mended.csv');
  await run('import', 'rejected', 'export', '--output', mend);
  await writeFile(mend, (await readFile(mend, 'utf8')).replace('x,60', '2026-11-03 10:00:00,60'));
  assert.equal((await run('import', 'cdrs', mend)).code, 0);
  assert.deepEqual(await remembered(), ['known', 'mended', 'retried']);
  // What was remembered since is newer than the rows that wait.
  await named(await fileOf('old', 1), 'retried');
  const fewer = MAPS.slice(0, -2);
  await fileOf('later', 2);
  await run('import', 'cdrs', file, ...fewer, '--account', 'later', '--map-name', 'retried');
  const columns = async () =>
    (await pool.query("SELECT columns FROM calls.import_maps WHERE name = 'retried'")).rows[0].columns;
  const newer = await columns();
  assert.equal(newer.Who, undefined);
  await run('import', 'rejected', 'retry', '--create-accounts');
  assert.deepEqual(await columns(), newer);
});

test('retried and mended rows of several files are called so, and are finished', async () => {
  const files = [await fileOf('one', 1, 'x,60,1,2,one\n'), await fileOf('two', 1, 'y,60,1,2,two\n')];
  await run('import', 'cdrs', ...files, ...MAPS);
  await run('import', 'rejected', 'retry', '--create-accounts');
  const mend = join(folder, 'mend.csv');
  await run('import', 'rejected', 'export', '--output', mend);
  assert.equal((await run('import', 'cdrs', mend)).code, 0, 'they had been set aside before');
  const [mended, retried] = await imports('--limit', '2');
  assert.deepEqual([mended.file, retried.file], ['mended rows of 2 files', 'retried rows of 2 files']);
  const listed = (await run('imports', 'list', '--limit', '2')).out;
  assert.match(listed, /completed +duplicates +conflicts +waiting +file/);
  assert.equal(listed.match(/ finished /g)?.length, 2, listed);
  await run('import', 'rejected', 'discard', '--all', '--reason', 'no times', '--yes');
});

test('an import whose calls were erased says so', async () => {
  const file = await fileOf('forgotten', 2);
  await run('import', 'cdrs', file, ...MAPS, '--create-accounts');
  await fileOf('stays', 1);
  await run('import', 'cdrs', join(folder, 'stays.csv'), ...MAPS, '--create-accounts');
  assert.equal((await run('accounts', 'erase', 'forgotten', '--yes')).code, 0);
  const [stays, forgotten] = await imports('--limit', '2');
  assert.deepEqual([stays.erased, forgotten.erased, forgotten.stored], [0, 2, 2]);
  const listed = (await run('imports', 'list', '--limit', '2')).out;
  assert.equal(listed.match(/ finished, 2 erased /g)?.length, 1, listed);
  const shown = (await run('imports', 'show', `${forgotten.i_import}`)).out;
  assert.match(shown, /^erased +2 of its calls, with their accounts$/m);
});
