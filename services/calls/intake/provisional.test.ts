/** What becomes of a row that the end of its file may have cut, until the file has grown, and afterwards. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { importBytes } from '#tests/import_bytes.ts';
import { testDatabase } from '#tests/postgres.ts';
import { assertUsageIsExact } from '#tests/usage.ts';
import type { MappedField } from '../call_fields.ts';
import { parseMapping } from '../formats/mapping.ts';
import { dryRun } from './dry_run.ts';
import { type ImportOptions, importOpened } from './import_file.ts';
import { retryRejected } from './retry.ts';
import { openSourceFile } from './source_files.ts';

const { pool } = await testDatabase();
const ask = async (sql: string) => (await pool.query(sql)).rows;

beforeEach(() =>
  ask(
    'TRUNCATE calls.cdrs, calls.usage_quarters, calls.usage_days, calls.watermarks, calls.rejected_cdrs, calls.provisional_rows, calls.imports, calls.cdr_history, calls.accounts, calls.api_keys CASCADE',
  ),
);

const mapped = (columns: Record<string, MappedField>) => ({
  mapping: parseMapping(
    Object.entries(columns).map(([column, field]) => `${column}=${field}`),
    'test',
  ),
});
const READ = mapped({ Customer: 'account', From: 'cli', To: 'cld', Start: 'start_time', Secs: 'duration_s' });
const HEADER = 'Customer,From,To,Start,Secs\n';
const FIRST = 'acme,+493023125001,+442079460001,2026-11-02 09:00:00,5\n';
const SECOND = 'acme,+493023125001,+442079460001,2026-11-02 10:00:00,125\n';
const WHOLE = HEADER + FIRST + SECOND;
const CUT = WHOLE.slice(0, -2);

const take = (text: string, how: Parameters<typeof importBytes>[2] = {}) =>
  importBytes(pool, Buffer.from(text), { read: READ, ...how });
const durations = async () =>
  (await ask('SELECT duration_s FROM calls.cdrs ORDER BY start_time')).map((row) => Number(row.duration_s));
const rejected = async () =>
  (await ask('SELECT code FROM calls.rejected_cdrs WHERE taken_by IS NULL ORDER BY line')).map(
    (row) => row.code,
  );
const codes = async () => (await ask('SELECT code FROM calls.accounts ORDER BY code')).map((row) => row.code);
const watermark = async () => (await ask('SELECT last_disconnect FROM calls.watermarks'))[0]?.last_disconnect;

test('a cut row is stored, and gives way to the whole one with its usage', async () => {
  await take(CUT);
  assert.deepEqual(await durations(), [5, 12]);
  const counts = await take(WHOLE);
  assert.deepEqual([counts!.stored, counts!.duplicates, counts!.rejected], [1, 1, 0]);
  assert.deepEqual(await durations(), [5, 125]);
  assert.deepEqual(await ask('SELECT calls, seconds FROM calls.usage_days'), [{ calls: 2, seconds: '130' }]);
  await assertUsageIsExact(pool);
  assert.deepEqual(await ask('SELECT * FROM calls.provisional_rows'), []);
});

test('a row that was whole keeps its call, and counts for the watermark from then on', async () => {
  await take(WHOLE.slice(0, -1));
  const before = await ask('SELECT i_cdr FROM calls.cdrs ORDER BY 1');
  assert.equal(await watermark(), '2026-11-02T08:00:05Z', 'what may be cut promises nothing');
  const counts = await take(WHOLE);
  assert.deepEqual([counts!.stored, counts!.duplicates], [0, 2]);
  assert.deepEqual(await ask('SELECT i_cdr FROM calls.cdrs ORDER BY 1'), before);
  assert.equal(await watermark(), '2026-11-02T09:02:05Z');
});

test('a file that never has a last line end is stored once, however often it is read', async () => {
  for (const stored of [2, 0, 0]) {
    const counts = await take(WHOLE.slice(0, -1));
    assert.equal(counts!.stored, stored);
  }
  assert.equal((await ask('SELECT * FROM calls.provisional_rows')).length, 1);
  assert.deepEqual(await durations(), [5, 125]);
});

test('name, packing and way of the grown file do not matter; its content does', async () => {
  await take(CUT, { file: '/var/log/a.csv' });
  await take(`${HEADER}${FIRST}${SECOND.replace('10:00', '11:00')}`, { file: '/var/log/a.csv' });
  assert.deepEqual(await durations(), [5, 12, 125], 'another file of the same name is another file');
  const folder = await mkdtemp(join(tmpdir(), 'trunkline-provisional-'));
  after(() => rm(folder, { recursive: true, force: true }));
  const packed = join(folder, 'b.csv.1.gz');
  await writeFile(packed, gzipSync(WHOLE));
  const opened = await openSourceFile({ name: packed, size: 1 }, process.stdin);
  await importOpened(pool, packed, opened, options(), QUIET);
  assert.deepEqual(await durations(), [5, 125, 125]);
  await assertUsageIsExact(pool);
});

const QUIET = { onFormat: () => undefined, onProgress: () => undefined };
const options = (): ImportOptions => ({
  format: 'mapped',
  source: undefined,
  read: { timeZone: 'Europe/Berlin', ...READ },
  newAccounts: { currency: 'EUR', timeZone: 'UTC', country: 'DE' },
});

test('the end of what comes through a pipe ends its last row', async () => {
  await take(CUT, { isStream: true });
  assert.deepEqual(await ask('SELECT * FROM calls.provisional_rows'), []);
  assert.equal(await watermark(), '2026-11-02T09:00:12Z');
  await take(CUT.slice(0, -4), { file: '/var/log/other.csv' });
  const counts = await take(WHOLE, { isStream: true });
  assert.equal(counts!.stored, 1, 'a file that was cut is known through a pipe too');
});

describe('an account is made by no code that may be cut', () => {
  const LAST = mapped({
    From: 'cli',
    To: 'cld',
    Start: 'start_time',
    Secs: 'duration_s',
    Customer: 'account',
  });
  const head = 'From,To,Start,Secs,Customer\n1001,+442079460001,2026-11-02 09:00:00,5,';

  test('the row waits with its reason, and goes in with the whole file', async () => {
    await take(`${head}ac`, { read: LAST });
    assert.deepEqual([await codes(), await rejected()], [[], ['unknown_account']]);
    assert.match(
      (await ask('SELECT reason FROM calls.rejected_cdrs WHERE taken_by IS NULL'))[0]!.reason,
      /no line end, so its account may be cut off/,
    );
    await take(`${head}acme\n`, { read: LAST });
    assert.deepEqual([await codes(), await rejected(), await durations()], [['acme'], [], [5]]);
  });

  test('nor the default account by a row whose own may be to come', async () => {
    await take(head, { read: { ...LAST, account: 'all' } });
    assert.deepEqual([await codes(), await rejected()], [[], ['no_account']]);
    await take(`${head}acme\n`, { read: { ...LAST, account: 'all' } });
    assert.deepEqual([await codes(), await rejected()], [['acme'], []]);
  });

  test('one that stands before the row’s end is made', async () => {
    await take(CUT.replaceAll('acme', 'Zoë Ltd'));
    assert.deepEqual(await codes(), ['Zoë Ltd']);
  });

  test('a retry makes none either, and what it stores stays provisional', async () => {
    await take(`${head}acme`, { read: LAST });
    const retry = { filter: {}, read: {}, newAccounts: { currency: 'EUR', timeZone: 'UTC', country: null } };
    await retryRejected(pool, retry, () => undefined);
    assert.deepEqual([await codes(), await rejected()], [[], ['unknown_account']]);
    await ask(
      `INSERT INTO calls.accounts (code, name, currency, time_zone) VALUES ('acme', 'A', 'EUR', 'UTC')`,
    );
    await retryRejected(pool, retry, () => undefined);
    assert.deepEqual([await durations(), await rejected()], [[5], []]);
    await take(`${head}acme-north\n`, { read: LAST });
    const stored = await ask('SELECT code FROM calls.cdrs JOIN calls.accounts USING (i_account)');
    assert.deepEqual(stored, [{ code: 'acme-north' }]);
    await assertUsageIsExact(pool);
  });
});

describe('a cut row and a call that is stored already', () => {
  const IDS = mapped({
    ...{
      Id: 'call_id',
      Customer: 'account',
      From: 'cli',
      To: 'cld',
      Start: 'start_time',
      Secs: 'duration_s',
    },
    Price: 'cost',
  });
  const priced =
    'Id,Customer,From,To,Start,Secs,Price\n7,acme,1001,+442079460001,2026-11-02 09:00:00,5,0.0250\n';
  const unpriced = priced.replace(',Price', '').replace(',0.0250', '');
  const history = () => ask('SELECT i_cdr FROM calls.cdr_history');
  const costs = async () => (await ask('SELECT cost FROM calls.cdrs')).map((row) => row.cost);

  test('what it completes is taken back when it has grown', async () => {
    const { Price: _, ...forgotten } = { Price: 'cost' };
    assert.deepEqual(forgotten, {});
    await take(unpriced, {
      read: mapped({
        Id: 'call_id',
        Customer: 'account',
        From: 'cli',
        To: 'cld',
        Start: 'start_time',
        Secs: 'duration_s',
      }),
      file: 'old',
    });
    assert.deepEqual(await costs(), [null]);
    const cut = await take(priced.slice(0, -3), { read: IDS });
    assert.deepEqual([cut!.completed, await costs()], [1, ['0.02']]);
    await assertUsageIsExact(pool);
    const whole = await take(priced, { read: IDS });
    assert.deepEqual([whole!.completed, whole!.conflicts, await costs()], [1, 0, ['0.0250']]);
    await assertUsageIsExact(pool);
  });

  test('what it contradicts is no conflict any more when it has grown', async () => {
    await take(priced, { read: IDS, isStream: true });
    const cut = await take(priced.slice(0, -3), { read: IDS });
    assert.deepEqual([cut!.conflicts, await rejected(), await costs()], [1, ['conflict'], ['0.0250']]);
    const whole = await take(priced, { read: IDS });
    assert.deepEqual([whole!.conflicts, whole!.duplicates, await rejected()], [0, 1, []]);
  });

  test('what it replaces is put back when it has grown, and leaves no history', async () => {
    await take(priced, { read: IDS, isStream: true });
    const replace = {
      ...options(),
      read: { timeZone: 'UTC', ...IDS },
      sameCall: { onConflict: 'replace', callIds: 'unique' },
    } as const;
    const run = async (text: string) => {
      const bytes = Buffer.from(text);
      const chunks = (async function* () {
        yield bytes;
      })();
      return importOpened(
        pool,
        '/x',
        { head: bytes, chunks, isStream: false, bytesRead: () => 0 },
        replace,
        QUIET,
      );
    };
    const other = priced.replace('0.0250', '0.0999');
    await run(other.slice(0, -3));
    assert.deepEqual([(await history()).length, await costs()], [1, ['0.09']]);
    await run(other);
    assert.deepEqual([(await history()).length, await costs()], [1, ['0.0999']]);
    assert.equal((await ask(`SELECT call ->> 'cost' AS cost FROM calls.cdr_history`))[0]!.cost, '0.0250');
    await assertUsageIsExact(pool);
  });
});

test('a dry run tells the same of a grown file, and changes nothing', async () => {
  await take(CUT);
  const bytes = Buffer.from(WHOLE);
  const chunks = (async function* () {
    yield bytes;
  })();
  const counts = await dryRun(pool, (dry) =>
    importOpened(
      pool,
      '/x',
      { head: bytes, chunks, isStream: false, bytesRead: () => 0 },
      options(),
      QUIET,
      dry,
    ),
  );
  assert.deepEqual([counts.stored, counts.duplicates], [1, 1]);
  assert.deepEqual(await durations(), [5, 12]);
});

test('a file that is read on from a place knows what it ended with before', async () => {
  const place = HEADER.length + FIRST.length;
  await take(CUT);
  const resume = {
    ...{ offset: place, line: 3, columns: HEADER.trim().split(','), before: Buffer.from(HEADER + FIRST) },
    stands: { head: Buffer.from(WHOLE), last: Buffer.from(WHOLE.slice(0, place)) },
  };
  const readOn = (text: string, stands: boolean) => {
    const chunks = (async function* () {
      yield Buffer.from(text);
    })();
    const opened = { head: Buffer.from('x'), chunks, isStream: false, bytesRead: () => 0 };
    const how = { ...options(), resume: stands ? resume : { ...resume, stands: undefined } };
    return importOpened(pool, '/x', opened, how, QUIET);
  };
  await readOn(SECOND.slice(0, -1), true);
  assert.deepEqual(await durations(), [5, 125]);
  await readOn(SECOND.replace(',125\n', ',1250\n'), true);
  assert.deepEqual(await durations(), [5, 1250]);
  await readOn('acme,1,2,2026-11-02 11:00:00,7', false);
  assert.deepEqual(await ask('SELECT * FROM calls.provisional_rows'), []);
  await assertUsageIsExact(pool);
});

test('two imports of the grown file at once put it in place once', async () => {
  for (let round = 0; round < 10; round++) {
    const header = HEADER.replace('Secs', `Secs,Round ${round}`);
    const rows = WHOLE.slice(HEADER.length)
      .replaceAll('\n', `,${round}\n`)
      .replaceAll('2026', String(2000 + round));
    const text = header + rows;
    await take(text.slice(0, -5));
    await Promise.all([take(text), take(text), take(text)]);
  }
  assert.deepEqual(await durations(), Array.from({ length: 10 }, () => [5, 125]).flat());
  await assertUsageIsExact(pool);
});

test('a cut row that is stored behind the whole one, by an import that had read the file before it grew, goes when it is read again', async () => {
  await take(WHOLE);
  await take(CUT);
  const both = (await durations()).sort((a, b) => a - b);
  assert.deepEqual(both, [5, 12, 125], 'until then it is a call of its own');
  const counts = await take(WHOLE);
  assert.deepEqual([counts!.stored, counts!.duplicates], [0, 2]);
  assert.deepEqual(await durations(), [5, 125]);
  await assertUsageIsExact(pool);
});

describe('a packed file that is cut', () => {
  for (const share of [0.3, 0.6, 0.95]) {
    test(`at ${share * 100} %: its whole rows go in, it is told, and the whole file ends in the same tables`, async () => {
      const rows = Array.from({ length: 3_000 }, (_, i) => {
        const start = new Date(Date.UTC(2026, 10, 2) + i * 61_000).toISOString();
        return `acme,+49302312${(i * 7_919) % 9_999},+442079460001,${start},${(i * 31) % 600}\n`;
      });
      const text = HEADER + rows.join('');
      const packed = gzipSync(text);
      const open = (bytes: Buffer) => fileOf(bytes);
      await assert.rejects(
        importOpened(pool, '/x.gz', await open(packed.subarray(0, packed.length * share)), options(), QUIET),
        /the file is cut: its gzip ends before its end/,
      );
      const [{ n }] = await ask('SELECT count(*) AS n FROM calls.cdrs');
      assert.ok(n > 100 && n < 3_000, `${n} of its rows`);
      assert.deepEqual([await rejected(), await ask('SELECT * FROM calls.provisional_rows')], [[], []]);
      await importOpened(pool, '/x.gz', await open(packed), options(), QUIET);
      assert.equal((await durations()).length, 3_000);
      await assertUsageIsExact(pool);
    });
  }

  test('or damaged, or goes on as something else: that is told, and no row is made up', async () => {
    const text = HEADER + Array.from({ length: 20 }, (_, i) => FIRST.replace(',5', `,${i}`)).join('');
    const packed = gzipSync(text);
    const damaged = Buffer.from(packed);
    damaged[packed.length - 8]! ^= 0xff; // the sum of its bytes
    for (const bytes of [Buffer.concat([packed, Buffer.from('garbage')]), damaged]) {
      const importIt = async () => importOpened(pool, '/x.gz', await fileOf(bytes), options(), QUIET);
      await assert.rejects(importIt, /its gzip is damaged, or something else stands behind it/);
      const stored = await durations();
      assert.ok(
        stored.every((seconds) => seconds < 20) && new Set(stored).size === stored.length,
        `${stored}`,
      );
    }
  });

  async function fileOf(bytes: Buffer) {
    const folder = await mkdtemp(join(tmpdir(), 'trunkline-provisional-'));
    after(() => rm(folder, { recursive: true, force: true }));
    const name = join(folder, 'x.gz');
    await writeFile(name, bytes);
    return openSourceFile({ name, size: bytes.length }, process.stdin);
  }
});

test('a file that ends within its header is told so, and nothing of it is stored', async () => {
  for (const cut of [HEADER.slice(0, -1), 'Customer,From,To,Sta', '"Customer","Fr']) {
    await assert.rejects(
      importOpened(
        pool,
        '/x',
        {
          head: Buffer.from(cut),
          chunks: (async function* () {
            yield Buffer.from(cut);
          })(),
          isStream: false,
          bytesRead: () => 0,
        },
        options(),
        QUIET,
      ),
      /the file ends within its header/,
    );
  }
  assert.deepEqual([await rejected(), await durations()], [[], []]);
});

test('a row that is too large and goes on growing counts as set aside once', async () => {
  const endless = `${HEADER}${FIRST}acme,${'9'.repeat(70_000)}`;
  const counted = [];
  for (const more of ['', '9', '99', '999,1,2\n', '999,1,2\n']) {
    const counts = (await take(endless + more))!;
    counted.push([counts.rejected, counts.newlyRejected]);
    assert.deepEqual(await rejected(), ['too_large']);
  }
  assert.deepEqual(counted, [
    [1, 1],
    [1, 0],
    [1, 0],
    [1, 0],
    [1, 0],
  ]);
  const other = (await take(`${endless}8,1,2\nacme,${'7'.repeat(70_000)}`))!;
  assert.deepEqual([other.rejected, other.newlyRejected], [2, 2], 'what does not begin so is another row');
});
