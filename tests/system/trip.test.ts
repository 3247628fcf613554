/**
 * docs/ARCHITECTURE.md follows one request through the files. It names few of them: the entry files. Each file that the request
 * runs is an entry file, or stands in the folder of one.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { takeIn } from '#services/calls/intake/intake.ts';
import { callRow, testImportSource } from '#tests/calls.ts';
import { testApi } from '#tests/calls_api.ts';

const ROOT = join(import.meta.dirname, '../..');
const MOST_ENTRY_FILES = 12;
const CHAPTER = /^## A request: .*?(?=^## )/ms;

const text = readFileSync(join(ROOT, 'docs/ARCHITECTURE.md'), 'utf8');
const entryFiles = new Set(
  [...CHAPTER.exec(text)![0].matchAll(/^\d+\. \[([\w./]+\.ts)\]/gm)].map((match) => match[1]!),
);

/** The files of this program in which something ran while `work` did, without what tests themselves are. */
async function filesOf(work: () => Promise<unknown>): Promise<string[]> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
  await work();
  const { result } = await session.post('Profiler.takePreciseCoverage');
  session.disconnect();
  return result
    .filter(
      ({ url, functions }) => url.startsWith('file:') && functions.some(({ ranges }) => ranges[0]!.count > 0),
    )
    .map(({ url }) => relative(ROOT, fileURLToPath(url)))
    .filter((file) => !/^(node_modules|tests|\.\.)\//.test(file))
    .sort();
}

test(`a page of calls runs through at most ${MOST_ENTRY_FILES} files that a newcomer has to know`, async (t) => {
  assert.ok(
    entryFiles.size > 0 && entryFiles.size <= MOST_ENTRY_FILES,
    `${entryFiles.size} entry files: ${[...entryFiles].join(', ')}`,
  );
  const api = await testApi();
  const iAccount = await api.account('acme');
  await takeIn(api.database.pool, await testImportSource(api.database.pool), [callRow(), callRow()]);
  const key = await api.key('customer', iAccount);
  const ask = async () => {
    const { status, body } = await api.get(`/cdrs?i_account=${iAccount}&limit=1`, key);
    assert.deepEqual([status, body.data.length], [200, 1]);
  };
  await ask();
  const ran = await filesOf(ask);
  t.diagnostic(`${ran.length} files ran, ${entryFiles.size} are entry files`);
  const behind = new Set([...entryFiles].map(dirname));
  assert.deepEqual(
    ran.filter((file) => !behind.has(dirname(file))),
    [],
    'neither named in the chapter nor in the folder of a file that is',
  );
  assert.deepEqual(
    [...entryFiles].filter((file) => !ran.includes(file)),
    [],
    'named as passed by the request, but not run by it',
  );
});
