/**
 * A folder into which a switch drops a document for each call, beside the same documents in one file: what it costs that
 * they are files.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startPostgres } from '#engines/postgres.ts';
import { runBench, stoppedAtEnd, temporaryFolder } from './ending.ts';
import { runImport } from './import_command.ts';
import { benchOptions, finish, ratio } from './report.ts';

const SAMPLE = new URL(
  '../tests/samples/freeswitch-json/c1e5d0a7-94b2-4b0c-8c11-5b2f0e7a3c01.cdr.json',
  import.meta.url,
);
/** What its UUID ends with. */
const SAMPLE_ID = '5b2f0e7a3c01';

const options = benchOptions('folder', 'A folder of documents to import', { documents: '5499' });
const documents = Number(options.values.documents);

await runBench(async (atEnd) => {
  const folder = await temporaryFolder(atEnd);
  await stoppedAtEnd(atEnd, startPostgres({ folder: join(folder, 'postgres'), database: 'trunkline' }));
  const sample = readFileSync(SAMPLE, 'utf8');
  const documentOf = (id: number) => sample.replaceAll(SAMPLE_ID, String(id).padStart(SAMPLE_ID.length, '0'));
  const dropped = join(folder, 'documents');
  mkdirSync(dropped);
  const ids = Array.from({ length: documents }, (_, id) => id);
  for (const id of ids) writeFileSync(join(dropped, `${id}.cdr.json`), documentOf(id));
  const file = join(folder, 'documents.json');
  writeFileSync(file, ids.map((id) => `${documentOf(documents + id)}\n`).join(''));
  const env = { ...process.env, DATA_DIR: folder };
  const inFile = await runImport(file, env, atEnd);
  const inFolder = await runImport(dropped, env, atEnd);
  const again = await runImport(dropped, env, atEnd);
  const share = ratio(inFolder.perSecond, inFile.perSecond);
  finish(
    options,
    `${documents} documents of mod_json_cdr, ${Math.round(sample.length / 1000)} kB each`,
    [
      ['a folder of them', `${inFolder.perSecond}/s`, share],
      ['the folder again (all known)', `${again.perSecond}/s`, ratio(again.perSecond, inFile.perSecond)],
      ['the same in one file', `${inFile.perSecond}/s`, '100 %'],
    ],
    [
      {
        figure: `import of a folder of ${documents} documents`,
        value: `${inFolder.perSecond}/s`,
        ratio: `${share} of the same in one file`,
        expected: '≥ 850/s',
      },
    ],
  );
});
