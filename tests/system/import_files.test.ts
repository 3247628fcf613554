/** What `import` does with folders, cut files, mappings and rows that are kept in part: by the command itself. */
import assert from 'node:assert/strict';
import { appendFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { runCommand } from '#tests/command.ts';
import { testDatabase } from '#tests/postgres.ts';

const folder = await mkdtemp(join(tmpdir(), 'trunkline-import-files-'));
after(() => rm(folder, { recursive: true, force: true }));
const { pool, url } = await testDatabase();
const run = (...args: string[]) => runCommand(['import', ...args], { DATABASE_URL: url });
const ask = async (sql: string, ...values: unknown[]) => (await pool.query(sql, values)).rows;

const MAPS = ['Customer=account', 'From=cli', 'To=cld', 'Start=start_time', 'Secs=duration_s'].flatMap(
  (map) => ['--map', map],
);
const HEADER = 'Customer,From,To,Start,Secs\n';

const sample = await readFile(
  new URL('../samples/freeswitch-json/c1e5d0a7-94b2-4b0c-8c11-5b2f0e7a3c01.cdr.json', import.meta.url),
  'utf8',
);
const document = (id: number) => sample.replaceAll('5b2f0e7a3c01', String(id).padStart(12, '0'));

test('a folder of documents is one import; a document that fails keeps no other out', async () => {
  const dropped = join(folder, 'documents');
  await mkdir(dropped);
  for (let id = 0; id < 60; id++) await writeFile(join(dropped, `${id}.cdr.json`), document(id));
  const packed = gzipSync(document(1_000));
  await writeFile(join(dropped, '70.json.gz'), packed.subarray(0, packed.length - 40));
  await writeFile(join(dropped, '71.json'), '{"no": "call"}');
  await writeFile(join(dropped, '72.json'), document(72).slice(0, -30));
  await writeFile(join(dropped, '73.json'), document(73).replaceAll('acme', 'nobody'));
  const first = await run('cdrs', dropped, '--create-accounts', '--json');
  assert.equal(first.code, 1, first.err);
  const { stored, set_aside, failures } = JSON.parse(first.out);
  assert.deepEqual([stored, set_aside, failures.length], [61, 1, 2], first.out);
  assert.match(failures.join('\n'), /70\.json\.gz: the file is cut: its gzip/);
  assert.match(failures.join('\n'), /71\.json: JSON, but not in the form of FreeSWITCH/);
  assert.match(first.err, /FreeSWITCH mod_json_cdr/);
  assert.deepEqual(await ask('SELECT file, finished_at IS NOT NULL AS done FROM calls.imports'), [
    { file: dropped, done: true },
  ]);
  const [aside] = await ask('SELECT file, code FROM calls.rejected_cdrs');
  assert.deepEqual(aside, { file: join(dropped, '72.json'), code: 'unreadable_row' });
  await writeFile(join(dropped, '70.json.gz'), packed);
  await rm(join(dropped, '71.json'));
  await appendFile(join(dropped, '72.json'), document(72).slice(-30));
  const again = await run('cdrs', dropped, '--create-accounts', '--json');
  const counts = JSON.parse(again.out);
  assert.deepEqual(
    [again.code, counts.stored, counts.duplicates, counts.set_aside],
    [0, 2, 61, 0],
    again.err,
  );
  assert.deepEqual(await ask('SELECT * FROM calls.rejected_cdrs WHERE taken_by IS NULL'), []);
});

test('a file that is cut within its header, grown and rotated', async () => {
  const file = join(folder, 'carrier.csv');
  const whole = `${HEADER}acme,1001,+442079460001,2026-11-02 10:00:00,125\n`;
  const take = () => run('cdrs', file, ...MAPS, '--json');
  await writeFile(file, whole.slice(0, 20));
  const header = await take();
  assert.deepEqual(
    [header.code, /carrier\.csv: .*ends within its header/.test(header.err)],
    [1, true],
    header.err,
  );
  await writeFile(file, whole.slice(0, -2));
  assert.equal(JSON.parse((await take()).out).stored, 1);
  await writeFile(file, whole);
  await rename(file, `${file}.1`);
  const rotated = JSON.parse((await run('cdrs', `${file}.1`, ...MAPS, '--json')).out);
  assert.deepEqual([rotated.stored, rotated.duplicates], [1, 0]);
  const calls = await ask(`SELECT duration_s FROM calls.cdrs WHERE source = 'mapped'`);
  assert.deepEqual(calls, [{ duration_s: '125' }]);
});

test('a mapping is remembered once rows went in with it, and takes the place of none before', async () => {
  const file = join(folder, 'maps.csv');
  const remembered = async () =>
    (await ask(`SELECT columns FROM calls.import_maps WHERE name = 'carrier'`))[0]?.columns;
  const good = ['--map-name', 'carrier', ...MAPS, '--create-accounts'];
  const bad = good.map((word) => (word === 'From=cli' ? 'To=cli' : word === 'To=cld' ? 'From=cld' : word));
  await writeFile(file, `${HEADER}acme,1001,+442079460001,2026-12-02 10:00:00,9\n`);
  assert.equal((await run('cdrs', file, ...good, '--dry-run')).code, 0);
  assert.equal(await remembered(), undefined, 'a dry run has stored nothing');
  const before = await run('cdrs', file, '--map-name', 'carrier');
  assert.deepEqual([before.code, /no mapping has that name yet/.test(before.err)], [1, true]);
  const first = await run('cdrs', file, ...good);
  assert.deepEqual([first.code, (await remembered()).From], [0, 'cli'], first.err);
  const known = await run('cdrs', file, ...bad);
  assert.match(known.err, /the mapping is not remembered as carrier: no row was imported with it/);
  const missing = await run('cdrs', file, ...good.map((word) => word.replace('Secs=', 'Seconds=')));
  assert.deepEqual(
    [missing.code, /not remembered as carrier: the import failed/.test(missing.err)],
    [1, true],
  );
  assert.deepEqual([(await remembered()).From, (await remembered()).Secs], ['cli', 'duration_s']);
  await writeFile(file, `${HEADER}acme,1001,+442079460001,2026-12-03 10:00:00,9\n`);
  assert.equal((await run('cdrs', file, '--map-name', 'carrier')).code, 0);
});

test('what is kept in part is named by export and retry, and never read', async () => {
  const file = join(folder, 'long.csv');
  const row = 'unheard,1001,+442079460001,2026-12-04 10:00:00,9';
  await writeFile(file, `${HEADER.replace('\n', ',Note\n')}${row},${'x'.repeat(70_000)}\n${row},short\n`);
  assert.equal((await run('cdrs', file, ...MAPS)).code, 3);
  const exported = await run('rejected', 'export', '--file', file);
  assert.match(
    exported.out,
    /^# trunkline: rows that were set aside\..*\n# trunkline row \d+: .*long\.csv:3: .*columns: Customer, From, To, Start, Secs, Note\n/,
  );
  assert.ok(exported.out.endsWith(`\n${row},short\n`));
  assert.match(exported.err, /1 more row is kept only in part.*left out/);
  assert.match(exported.err, /long\.csv:2: the line has 70049 bytes/);
  const retried = await run('rejected', 'retry', '--create-accounts');
  assert.deepEqual(
    [retried.code, /1 of them is kept only in part/.test(retried.out)],
    [3, true],
    retried.out,
  );
  const listed = JSON.parse((await run('rejected', 'list', '--json')).out);
  assert.deepEqual(
    listed.rows.map(({ line, cut }: { line: number; cut: boolean }) => [line, cut]),
    [[2, true]],
  );
  assert.equal((await run('rejected', 'discard')).code, 1);
  assert.match((await run('rejected', 'discard', '--reason', 'test calls')).err, /say which rows/);
  const unasked = await run('rejected', 'discard', '--code', 'too_large', '--reason', 'test calls');
  assert.deepEqual([unasked.code, /--yes discards them/.test(unasked.err)], [1, true], unasked.err);
  const discarded = await run(
    'rejected',
    'discard',
    '--code',
    'too_large',
    '--reason',
    'test calls',
    '--yes',
  );
  assert.match(discarded.out, /1 rows discarded/);
  const [audited] = await ask("SELECT detail, before FROM calls.audit WHERE action = 'rejected.discard'");
  assert.deepEqual([audited.detail.reason, audited.before], ['test calls', { rows: 1 }]);
  const again = await run('cdrs', file, ...MAPS);
  assert.equal(again.code, 0, 'what was discarded is known when its file is read again');
  assert.match((await run('rejected', 'list')).out, /There are no rejected rows/);
});
