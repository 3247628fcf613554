import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { asUtf8, type Utf16, utf16Of } from './encodings.ts';
import { listSources, openSourceFile } from './source_files.ts';

const MARK = '\ufeff';
const TEXT = 'Start,Secs,From,To\r\n2026-03-02 09:04:54,48,"Zoë €, 😀",+12025550143\r\n';

function encoded(text: string, encoding: Utf16): Buffer {
  const bytes = Buffer.from(text, 'utf16le');
  return encoding === 'utf-16le' ? bytes : bytes.swap16();
}

async function opened(bytes: Buffer): Promise<string> {
  const source = await openSourceFile({ name: 'stdin', size: undefined }, Readable.from([bytes]));
  const chunks: Buffer[] = [];
  for await (const chunk of source.chunks) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  assert.ok(text.startsWith(source.head.toString()));
  return text;
}

describe('UTF-16', () => {
  for (const encoding of ['utf-16le', 'utf-16be'] as const) {
    test(`${encoding}, with a mark and without, packed or not, becomes UTF-8`, async () => {
      for (const text of [`${MARK}${TEXT}`, TEXT]) {
        const bytes = encoded(text, encoding);
        assert.equal(utf16Of(bytes), encoding);
        assert.equal(await opened(bytes), TEXT);
        assert.equal(await opened(gzipSync(bytes)), TEXT);
      }
    });

    test(`${encoding}, cut anywhere, is the text up to there`, async () => {
      const bytes = encoded(MARK + TEXT, encoding);
      for (let cut = 2; cut <= bytes.length; cut++) {
        const text = await opened(bytes.subarray(0, cut));
        assert.ok(TEXT.startsWith(text), `${cut}: ${text}`);
      }
    });
  }

  test('does not depend on where it is cut into chunks', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(), { maxLength: 10 }),
        fc.constantFrom('utf-16le', 'utf-16be'),
        async (cuts, encoding) => {
          const bytes = encoded(TEXT, encoding as Utf16);
          const places = [0, ...cuts.map((cut) => cut % bytes.length).sort((a, b) => a - b), bytes.length];
          const chunks = places.slice(1).map((to, at) => bytes.subarray(places[at], to));
          let text = '';
          for await (const chunk of asUtf8(Readable.from(chunks), encoding as Utf16))
            text += chunk.toString();
          assert.equal(text, TEXT);
        },
      ),
    );
  });

  test('is not what other texts are taken for', () => {
    for (const head of [TEXT, '', 'a', '\0\0\0\0', `a,b\n${'\0'.repeat(500)}c,d\n`, '\0a\0b,c,d,e,f'])
      assert.equal(utf16Of(Buffer.from(head)), null, JSON.stringify(head));
    assert.equal(utf16Of(Buffer.from('fffe000061000000', 'hex')), null);
  });
});

test('a folder’s files of calls are tables and documents, rotated and packed ones too, and nothing else', async () => {
  const folder = join(tmpdir(), `folder-of-calls-${process.pid}`);
  await mkdir(folder, { recursive: true });
  const calls = [
    'Master.csv',
    'Master.csv.1',
    'Master.csv-20260301',
    'Master.csv.2.gz',
    'a.json',
    'b.json.gz',
    'c.TSV',
  ];
  calls.push('cdr_StandAloneCluster_01_202603020904_17', 'd.txt', 'Master.csv.2026-03-02-10-00-00');
  for (const name of [...calls, 'README.md', 'x.pdf', '.hidden.csv.swp', 'run.sh', 'cdr_adaptive.conf'])
    await writeFile(join(folder, name), '');
  const listed = await listSources([folder]);
  assert.deepEqual(
    listed.map(({ name }) => name),
    calls.sort().map((name) => join(folder, name)),
  );
  await mkdir(join(folder, 'empty'));
  await assert.rejects(listSources([join(folder, 'empty')]), /holds no file that is named as one of calls/);
});
