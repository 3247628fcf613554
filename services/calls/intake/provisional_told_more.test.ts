/**
 * A call that a cut row has made or filled, and of which other rows tell meanwhile: when the cut row has grown, the call
 * says what all of them say, whichever came first.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { importBytes, importManyBytes } from '#tests/import_bytes.ts';
import { testDatabase } from '#tests/postgres.ts';
import { printedSeed } from '#tests/seed.ts';
import { assertUsageIsExact } from '#tests/usage.ts';
import { parseMapping } from '../formats/mapping.ts';
import { importOpened } from './import_file.ts';

const { pool } = await testDatabase();

const READ = {
  account: 'acme',
  mapping: parseMapping(
    [
      ...['Id=call_id', 'Start=start_time', 'Secs=duration_s', 'From=cli', 'To=cld', 'Agent=user_agent'],
      ...['Note=description', 'Price=cost'],
    ],
    'test',
  ),
};
const HEADER = 'Id,Start,Secs,From,To,Agent,Note,Price\n';
const row = ({ agent = '', note = '', price = '', day = '2026-03-02' }) =>
  `${HEADER}7,${day} 09:00:00,60,1002,+442079460001,${agent},${note},${price}\n`;
const CUT_BYTES = 2;

let sources = 0;
const nextSource = () => `source ${sources++}`;
const calls = async (source: string) =>
  (
    await pool.query(
      'SELECT i_cdr, start_time, cost, user_agent, description FROM calls.cdrs WHERE source = $1 ORDER BY i_cdr',
      [source],
    )
  ).rows.map(({ i_cdr: iCdr, start_time: start, ...told }) => {
    assert.equal(Math.floor(iCdr / 1e10), Number(start.slice(0, 7).replace('-', '')));
    return told;
  });
const take = (source: string, text: string) => importBytes(pool, Buffer.from(text), { source, read: READ });

/** Three files of one call, each with a value that the others lack; any of them may be cut when it is first read. */
const FILES = [row({ agent: 'Phone/1' }), row({ note: 'lobby' }), row({ price: '0.025' })];
const WHOLE = { cost: '0.025', user_agent: 'Phone/1', description: 'lobby' };

test('files of one call, cut, whole, in any order, alone and as a folder, end as one call with all that they say', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ file: fc.nat(2), isCut: fc.boolean(), isWithNext: fc.boolean() }), {
        minLength: 1,
        maxLength: 7,
      }),
      async (steps) => {
        const source = nextSource();
        const last = FILES.map((_, file) => ({ file, isCut: false, isWithNext: false }));
        let folder = new Map<string, Buffer>();
        for (const { file, isCut, isWithNext } of [...steps, ...last, ...last]) {
          const text = FILES[file]!;
          folder.set(`${folder.size}`, Buffer.from(isCut ? text.slice(0, -CUT_BYTES) : text));
          if (isWithNext) continue;
          await importManyBytes(pool, folder, { source, read: READ });
          folder = new Map();
        }
        assert.deepEqual(await calls(source), [WHOLE]);
        await assertUsageIsExact(pool);
      },
    ),
    { numRuns: 60, seed: printedSeed(t) },
  );
});

for (const isStoredBefore of [false, true]) {
  const title = isStoredBefore ? 'filled' : 'made';
  test(`a call that a cut row has ${title} and another has moved to the next month is one call`, async () => {
    const source = nextSource();
    if (isStoredBefore) await take(source, row({ note: 'lobby' }));
    await take(source, row({ price: '0.025' }).slice(0, -CUT_BYTES));
    const moved = Buffer.from(row({ price: '0.03', day: '2026-04-02' }));
    const opened = {
      head: moved,
      chunks: (async function* () {
        yield moved;
      })(),
      isStream: false,
      bytesRead: () => moved.length,
    };
    const options = {
      format: 'mapped',
      source,
      newAccounts: null,
      read: { timeZone: 'Europe/Berlin', ...READ },
      sameCall: { onConflict: 'replace', callIds: 'unique' },
    } as const;
    const replaced = await importOpened(pool, '/moved', opened, options, {
      onFormat: () => undefined,
      onProgress: () => undefined,
    });
    assert.equal(replaced.completed, 1);
    const grown = await take(source, row({ price: '0.025' }));
    assert.equal(grown!.conflicts, 1, 'the cut row contradicts what has replaced it');
    const description = isStoredBefore ? 'lobby' : null;
    assert.deepEqual(await calls(source), [{ cost: '0.03', user_agent: null, description }]);
    await assertUsageIsExact(pool);
  });
}

test('a cut row that is read again by a mapping with more columns gives way as a whole', async () => {
  const source = nextSource();
  const cut = Buffer.from(row({ agent: 'Phone/1', price: '0.025' }).slice(0, -CUT_BYTES));
  const { Agent: _, ...columns } = READ.mapping.columns;
  const fewer = { ...READ, mapping: { ...READ.mapping, columns } };
  await importBytes(pool, cut, { source, read: fewer });
  assert.equal((await importBytes(pool, cut, { source, read: READ }))!.completed, 1);
  assert.deepEqual(await calls(source), [{ cost: '0.02', user_agent: 'Phone/1', description: null }]);
  await take(source, row({ agent: 'Phone/1', price: '0.025' }));
  assert.deepEqual(await calls(source), [{ cost: '0.025', user_agent: 'Phone/1', description: null }]);
  await assertUsageIsExact(pool);
});
