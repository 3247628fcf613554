/** Two imports of one file at once, one of them before it has grown and one afterwards. */
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { testDatabase } from '#tests/postgres.ts';
import { assertUsageIsExact } from '#tests/usage.ts';
import { parseMapping } from '../formats/mapping.ts';
import { type ImportOptions, importOpened } from './import_file.ts';

const { pool } = await testDatabase();
const ask = async (sql: string) => (await pool.query(sql)).rows;

beforeEach(() =>
  ask(
    'TRUNCATE calls.cdrs, calls.usage_quarters, calls.usage_days, calls.watermarks, calls.rejected_cdrs, calls.provisional_rows, calls.imports, calls.cdr_history',
  ),
);

/** A file that is cut behind `cut`, its columns, and what its calls are. */
interface Grown {
  readonly title: string;
  readonly map: readonly string[];
  readonly cut: string;
  readonly rest: string;
}

const BARE = ['From=cli', 'To=cld', 'Start=start_time', 'Secs=duration_s'];
const ROWS =
  '+493023125001,+442079460001,2026-11-02 09:00:00,5\n+493023125001,+442079460001,2026-11-02 10:00:00,12';
const FILES: readonly Grown[] = [
  { title: 'without call ids', map: BARE, cut: `From,To,Start,Secs\n${ROWS}`, rest: '5\n' },
  {
    title: 'with call ids',
    map: [...BARE, 'Id=call_id'],
    cut: `Id,From,To,Start,Secs\n1,${ROWS.replace('\n', '\n2,')}`,
    rest: '5\n3,+493023125001,+442079460001,2026-11-02 11:00:00,7\n',
  },
  {
    title: 'a row that can be read only when it is whole',
    map: BARE,
    cut: `From,To,Start,Secs\n${ROWS}5\n+493023125001,+442079460001,2026-11-0`,
    rest: '2 11:00:00,7\n',
  },
];

/** An import that stops in front of the file's end until `goOn`. */
function beginImport(file: Grown, text: string) {
  const { promise: mayEnd, resolve: goOn } = Promise.withResolvers<void>();
  const { promise: hasRead, resolve: tellRead } = Promise.withResolvers<void>();
  async function* chunks() {
    yield Buffer.from(text);
    tellRead();
    await mayEnd;
  }
  const options: ImportOptions = {
    ...{
      format: 'mapped',
      source: undefined,
      newAccounts: { currency: 'EUR', timeZone: 'UTC', country: 'DE' },
    },
    read: { timeZone: 'UTC', account: 'acme', mapping: parseMapping(file.map, 'm') },
  };
  const met: boolean[] = [];
  const head = Buffer.from(text);
  const done = importOpened(
    pool,
    '/var/log/cdr.csv',
    { head, chunks: chunks(), isStream: false, bytesRead: () => head.length },
    options,
    {
      onFormat: () => undefined,
      onProgress: () => undefined,
      onMetOthers: (ifGrown) => met.push(ifGrown),
    },
  );
  return { hasRead, goOn, done, met };
}

async function importAlone(file: Grown): Promise<boolean[]> {
  const { goOn, done, met } = beginImport(file, file.cut + file.rest);
  goOn();
  await done;
  return met;
}

const tables = async () => [
  await ask('SELECT start_time, duration_s, cli, cld, line FROM calls.cdrs ORDER BY start_time, duration_s'),
  await ask('SELECT code, line, bytes FROM calls.rejected_cdrs WHERE taken_by IS NULL ORDER BY line'),
  await ask('SELECT day, calls, seconds FROM calls.usage_days'),
  await ask('SELECT row_offset FROM calls.provisional_rows'),
];

for (const file of FILES) {
  for (const first of ['cut', 'grown'] as const) {
    test(`${file.title}: who stores last reads again, be the ${first} one stored first`, async () => {
      await importAlone(file);
      const wanted = await tables();
      await ask(
        'TRUNCATE calls.cdrs, calls.usage_quarters, calls.usage_days, calls.provisional_rows, calls.imports, calls.rejected_cdrs CASCADE',
      );
      const cut = beginImport(file, file.cut);
      await cut.hasRead;
      const grown = beginImport(file, file.cut + file.rest);
      await grown.hasRead;
      const [one, other] = first === 'cut' ? [cut, grown] : [grown, cut];
      one.goOn();
      await one.done;
      other.goOn();
      await other.done;
      // The cut one only where its file has grown, which whoever opened it can see.
      assert.deepEqual(other.met, [first === 'grown']);
      await importAlone(file);
      assert.deepEqual(await tables(), wanted);
      await assertUsageIsExact(pool);
    });
  }
}

test('imports that meet nobody, or only others before them, read no file again', async () => {
  const [file] = FILES;
  assert.deepEqual(await importAlone(file!), []);
  const cut = beginImport(file!, file!.cut.slice(0, -1));
  cut.goOn();
  await cut.done;
  assert.deepEqual(cut.met, []);
  assert.deepEqual(await importAlone(file!), []);
});
