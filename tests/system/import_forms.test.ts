/** What `import` makes of files as people's programs save them: by the command itself. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { runCommand } from '#tests/command.ts';
import { testDatabase } from '#tests/postgres.ts';

const folder = await mkdtemp(join(tmpdir(), 'trunkline-import-forms-'));
after(() => rm(folder, { recursive: true, force: true }));
const { pool, url } = await testDatabase();
const run = (...args: string[]) => runCommand(['import', ...args], { DATABASE_URL: url });
const FIELDS = ['From=cli', 'To=cld', 'Secs=duration_s', 'Price=cost'].flatMap((map) => ['--map', map]);
const MAPS = [...FIELDS, '--map', 'Start=start_time', '--account', 't', '--create-accounts', '--json'];
const HEADER = ['Start', 'Secs', 'From', 'To', 'Price'];

let calls = 0;
/** A call of its own. */
const row = (price: string) => [
  `2026-03-02 09:${String(calls++).padStart(2, '0')}:54`,
  '48',
  '1002',
  '+12025550143',
  price,
];
const table = (separator: string, end: string, ...rows: string[][]) =>
  [HEADER, ...rows].map((cells) => cells.join(separator) + end).join('');
const costs = async (): Promise<string[]> =>
  (await pool.query('SELECT cost FROM calls.cdrs ORDER BY start_time')).rows.map(({ cost }) => cost);

test('a folder of CSV files, each in another shape, and one that is none', async () => {
  const dropped = join(folder, 'tables');
  await mkdir(dropped);
  const utf16 = (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le');
  await writeFile(join(dropped, 'a.csv'), table('|', '\r', row('0.01'), row('0.02')));
  await writeFile(join(dropped, 'b.txt'), utf16(table('\t', '\r\n', row('0.03'))));
  await writeFile(join(dropped, 'c.csv.1.gz'), gzipSync(table('^', '\n', row('0.04'))));
  await writeFile(join(dropped, 'd.csv'), `sep=;\r\n${table(';', '\r\n', row('0,05'))}`);
  await writeFile(join(dropped, 'e.csv'), `Report\n\n${table(',', '\n', row('0.06'))}Total,48,,,0.06\n`);
  await writeFile(join(dropped, 'f.csv'), '%PDF-1.7\n');
  const imported = await run('cdrs', dropped, ...MAPS);
  const { stored, set_aside, failures } = JSON.parse(imported.out);
  assert.deepEqual([imported.code, stored, set_aside, failures.length], [1, 6, 1, 1], imported.err);
  assert.match(failures[0], /f\.csv: the file is a PDF; export the calls as CSV/);
  assert.deepEqual(await costs(), ['0.01', '0.02', '0.03', '0.04', '0.05', '0.06']);
  const again = JSON.parse((await run('cdrs', dropped, ...MAPS)).out);
  assert.deepEqual([again.stored, again.duplicates], [0, 6]);
  assert.equal((await run('rejected', 'discard', '--all', '--reason', 'a total', '--yes')).code, 0);
});

test('rows that need an option are set aside, exported as they are read again, and go in with it', async () => {
  await pool.query('DELETE FROM calls.cdrs');
  const file = join(folder, 'german.csv');
  await writeFile(
    file,
    table(';', '\r\n', row('1,234'), row('1.234'), ['3/2/2026 9:04:54 PM', ...row('0,5').slice(1)]),
  );
  const first = await run('cdrs', file, ...MAPS);
  assert.deepEqual(
    [first.code, JSON.parse(first.out).reasons],
    [3, { bad_number: 2, bad_time: 1 }],
    first.err,
  );
  const text = await run('cdrs', file, ...MAPS.slice(0, -1));
  assert.match(text.out, /decimal sign is unknown \(2\): .* retry --decimal-sign/);
  assert.match(text.out, /in an unknown order \(1\): .* retry --date-order dmy/);
  const { rows } = JSON.parse((await run('rejected', 'list', '--json')).out);
  const reasons = rows.map(({ reason }: { reason: string }) => reason);
  for (const option of ['--decimal-sign', '--decimal-sign', '--date-order'])
    assert.ok(reasons.shift().includes(option), option);
  const exported = await run('rejected', 'export', '--file', file);
  const mended = await runCommand(
    ['import', 'cdrs', '-', '--decimal-sign', ',', '--date-order', 'mdy', '--json'],
    { DATABASE_URL: url },
    exported.out,
  );
  assert.deepEqual([mended.code, JSON.parse(mended.out).stored], [0, 3], mended.err);
  const again = await run('cdrs', file, ...MAPS);
  assert.equal(again.code, 0, 'rows that went in since are not new');
  assert.deepEqual((await costs()).sort(), ['0.5', '1.234', '1234']);
});

test('the same switch’s rows by any separator and line end are the same calls', async () => {
  const line = `"a","1002","+12025550143","default","","SIP/a","SIP/b","Dial","x","2026-04-02 09:04:54","2026-04-02 09:04:55","2026-04-02 09:05:00",6,5,"ANSWERED","DOCUMENTATION","1775120694.1",""`;
  const shapes = [
    `${line}\n`,
    `${line.replaceAll(',', ';')}\r`,
    `${line.replaceAll(',', '\t')}\r\n`,
    `"${line.replaceAll('"', '""')}"\n`,
  ];
  let stored = 0;
  for (const [n, shape] of shapes.entries()) {
    const file = join(folder, `master-${n}.csv`);
    await writeFile(file, n % 2 ? Buffer.from(`\ufeff${shape}`, 'utf16le') : shape);
    const imported = await run('cdrs', file, '--create-accounts', '--json');
    const counts = JSON.parse(imported.out);
    assert.equal(counts.stored + counts.duplicates, 1, imported.out + imported.err);
    stored += counts.stored;
  }
  assert.equal(stored, 1);
});
