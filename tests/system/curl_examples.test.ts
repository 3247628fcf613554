/** The lines of curl in README.md and docs/API.md that ask the calls service do what is written beside them. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { callRow, testImportSource } from '#tests/calls.ts';
import { testApi } from '#tests/calls_api.ts';
import { takeIn } from '../../services/calls/intake/intake.ts';

const DOCUMENTED = 'http://127.0.0.1:3006';
const run = promisify(execFile);
const root = new URL('../../', import.meta.url);

/** Whole commands, put together where they go over several lines, of every block of a document. */
async function curlLines(document: string): Promise<string[]> {
  const text = await readFile(new URL(document, root), 'utf8');
  return [...text.matchAll(/```sh\n([\s\S]*?)```/g)]
    .flatMap(([, block]) => block!.replaceAll('\\\n', ' ').split(/\n(?=[a-z#])/))
    .filter((line) => line.startsWith('curl ') && line.includes(DOCUMENTED))
    .map((line) => line.replace(/ +#[^'"]*$/, ''));
}

const api = await testApi();
/** In the documents account 1 is acme, which has two below it. */
const acme = await api.account('acme', { timeZone: 'Europe/Berlin' });
await api.account('acme-sales', { parent: acme, timeZone: 'Europe/Berlin' });
await api.account('acme-usa', { parent: acme, timeZone: 'America/New_York', currency: 'USD' });
assert.equal(acme, 1);
await takeIn(
  api.calls.pool,
  await testImportSource(api.calls.pool),
  ['acme', 'acme-sales', 'acme-usa'].flatMap((accountCode) =>
    // What names no time asks for the month so far.
    [Date.parse('2026-10-05T09:00:00Z'), Date.parse('2026-10-20T15:00:00Z'), Date.now() - 1_000].map(
      (startTime, n) =>
        callRow({
          accountCode,
          callId: `1772440633.${100 + n}`,
          identity: `${accountCode} ${n}`,
          startTime,
          cld: '+442079460001',
          cost: '0.0125',
        }),
    ),
  ),
);

/** One that nobody answered. */
await takeIn(api.calls.pool, await testImportSource(api.calls.pool), [
  callRow({
    accountCode: 'acme',
    callId: 'missed',
    startTime: Date.parse('2026-10-06T09:00:00Z'),
    connectTime: null,
    billedDurationS: 0,
    result: 'no_answer',
    causeResult: null,
  }),
]);

const KEY = await api.key('operator');
const folder = await mkdtemp(join(tmpdir(), 'trunkline-curl-'));
after(() => rm(folder, { recursive: true }));

for (const document of ['README.md', 'docs/API.md']) {
  for (const line of await curlLines(document)) {
    test(`${document}: ${line}`, async () => {
      const command = line
        .replaceAll(DOCUMENTED, api.calls.url)
        .replace(/^curl /, 'curl --silent --show-error --fail-with-body ');
      const { stdout } = await run('sh', ['-c', command], {
        cwd: folder,
        env: { PATH: process.env.PATH ?? '', KEY },
      }).catch(({ code, stdout, stderr }) => assert.fail(`ended with ${code}: ${stdout}${stderr}`));
      const [file] = await readdir(folder);
      const answer = file === undefined ? stdout : await readFile(join(folder, file), 'utf8');
      if (file !== undefined) await rm(join(folder, file));
      if (answer.startsWith('{')) {
        const { success, data } = JSON.parse(answer);
        assert.equal(success, true);
        assert.ok(data.length === undefined || data.length > 0, `it found nothing: ${answer}`);
      } else {
        assert.ok(answer.trim().split(/\r?\n/).length > 1, `it found nothing: ${answer}`);
      }
    });
  }
}

test('there are such lines', async () => {
  assert.ok((await curlLines('README.md')).length >= 4);
  assert.ok((await curlLines('docs/API.md')).length >= 3);
});
