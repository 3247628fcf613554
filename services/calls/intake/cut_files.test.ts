/**
 * A file that is imported while it is still being written, cut at every byte: once it is whole, and imported again, the
 * tables are those of the whole file imported once.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { CUT_SAMPLES, type CutSample } from '#tests/cut_samples.ts';
import { importBytes, importManyBytes } from '#tests/import_bytes.ts';
import { testDatabase } from '#tests/postgres.ts';
import { assertUsageIsExact } from '#tests/usage.ts';
import { FORMATS, type FormatName } from '../formats/formats.ts';

const { pool } = await testDatabase();
const ask = async (sql: string, ...values: unknown[]) => (await pool.query(sql, values)).rows;

const accounts = () => ask('SELECT i_account, code FROM calls.accounts ORDER BY 1');

const emptyTables = () =>
  ask(
    'TRUNCATE calls.cdrs, calls.usage_quarters, calls.usage_days, calls.watermarks, calls.rejected_cdrs, calls.provisional_rows, calls.imports',
  );

const TOKEN = '70000';
const tokenOf = (cut: number) => String(70_000 + cut);
/** What tells calls of one import from those of another; and what is made of the call's own values. */
const OTHERWISE = ['i_cdr', 'i_import', 'source', 'source_key'];

/** What imports have left, by token: calls and rows that are set aside, with the token of the whole file. */
async function leftBy(source: string): Promise<Map<string, string[]>> {
  const left = new Map<string, string[]>();
  const add = (text: string) => {
    const token = /7\d{4}/.exec(text)![0];
    left.set(token, [...(left.get(token) ?? []), text.replaceAll(token, TOKEN)]);
  };
  const calls = await ask(
    `SELECT to_jsonb(c) - $2::text[] || jsonb_build_object('call_id', '', 'known_by', call_id || ' ' || cli) AS call
     FROM calls.cdrs c WHERE source = $1 ORDER BY start_time, line`,
    source,
    OTHERWISE,
  );
  for (const { call } of calls) {
    const { known_by: knownBy, ...values } = call;
    // A call without an id of its own has one that is made of all its values.
    add(`${/7\d{4}/.exec(knownBy)![0]} ${JSON.stringify(values)}`);
  }
  const rejected = await ask(
    `SELECT file, jsonb_build_array(line, code, reason, field, convert_from(bytes, 'LATIN1'), columns, cut) AS row
     FROM calls.rejected_cdrs WHERE taken_by IS NULL AND source = $1 ORDER BY line, bytes`,
    source,
  );
  for (const { file, row } of rejected) add(`${file} ${JSON.stringify(row)}`);
  return left;
}

const watermark = async (source: string) =>
  (await ask('SELECT last_disconnect FROM calls.watermarks WHERE source = $1', source))[0]?.last_disconnect;
const provisional = async (source: string) =>
  (await ask('SELECT count(*) AS n FROM calls.provisional_rows WHERE source = $1', source))[0].n;

async function importWhole(
  sample: CutSample,
): Promise<{ left: string[]; watermark: string; provisional: number }> {
  const source = `${sample.title}: whole`;
  await importBytes(pool, sample.bytes(TOKEN), { source, read: sample.read, file: TOKEN });
  const left = (await leftBy(source)).get(TOKEN)!;
  return { left, watermark: await watermark(source), provisional: await provisional(source) };
}

test('every format has a sample that is cut', () => {
  const cut = new Set(CUT_SAMPLES.map(({ format }) => format));
  assert.deepEqual(
    Object.keys(FORMATS).filter((format) => !cut.has(format as FormatName)),
    [],
  );
});

describe('cut at every byte, imported, gone on and imported again: as the whole file', () => {
  for (const sample of CUT_SAMPLES) {
    test(sample.title, async () => {
      await emptyTables();
      const whole = await importWhole(sample);
      const before = await accounts();
      const { length } = sample.bytes(TOKEN);
      const cuts = Array.from({ length: length - 1 }, (_, index) => index + 1);
      const files = (end: (cut: number) => number) =>
        new Map(cuts.map((cut) => [tokenOf(cut), sample.bytes(tokenOf(cut)).subarray(0, end(cut))]));
      const how = { source: 'cut', read: sample.read };
      await importManyBytes(
        pool,
        files((cut) => cut),
        how,
      );
      await importManyBytes(
        pool,
        files(() => length),
        how,
      );
      const left = await leftBy('cut');
      for (const cut of cuts) assert.deepEqual(left.get(tokenOf(cut)), whole.left, `cut at ${cut}`);
      assert.equal(await watermark('cut'), whole.watermark);
      assert.equal(await provisional('cut'), whole.provisional * cuts.length);
      assert.deepEqual(await accounts(), before);
      await assertUsageIsExact(pool);
    });
  }
});

test('cut once or several times, each time imported alone: as the whole file', async () => {
  await emptyTables();
  const wholes = new Map<CutSample, Awaited<ReturnType<typeof importWhole>>>();
  for (const sample of CUT_SAMPLES) wholes.set(sample, await importWhole(sample));
  const before = await accounts();
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...CUT_SAMPLES),
      fc.array(fc.nat(), { minLength: 1, maxLength: 4 }),
      async (sample, cuts) => {
        const bytes = sample.bytes(TOKEN);
        const source = `run ${runs++}`;
        const places = cuts.map((cut) => cut % bytes.length).sort((a, b) => a - b);
        for (const place of [...places, bytes.length])
          await importBytes(pool, bytes.subarray(0, place), { source, read: sample.read, file: TOKEN });
        const left = (await leftBy(source)).get(TOKEN);
        const found = { left, watermark: await watermark(source), provisional: await provisional(source) };
        assert.deepEqual(found, wholes.get(sample), `${sample.title}, cut at ${places}`);
      },
    ),
    { numRuns: 100 },
  );
  assert.deepEqual(await accounts(), before);
  await assertUsageIsExact(pool);
});
