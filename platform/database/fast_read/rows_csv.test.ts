import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ClientBase } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { testDatabase } from '#tests/postgres.ts';
import { queryOf, table, textsOf, zone } from '#tests/random_rows.ts';
import { type ByteOutput, createOutput, writeText } from '../byte_output.ts';
import { withSession } from '../pool.ts';
import { rfc3339 } from '../types.ts';
import { csvCell } from './csv_cell.ts';
import { runPipeline } from './fast_read.ts';
import { type RowQuery, streamRows } from './row_stream.ts';
import { type CsvFacts, type CsvOptions, csvQuery } from './rows_csv.ts';

const { pool } = await testDatabase();
const withClient = <T>(work: (client: ClientBase) => Promise<T>) =>
  withSession(pool, (session) => work(session.client));

/** What a caller or a switch may have put into a text, and what a spreadsheet or a parser may trip over. */
const text = fc
  .array(
    fc.oneof(
      fc.constantFrom(...'=+-@＝＋－＠ﬁ\'",;\t\r\n |\\', 'a', '1', '49', 'é', '😀', '\u2028', '\x01', '\\.'),
      fc.constantFrom('+493023125001', 'United Kingdom, fixed', 'x'.repeat(300), ',='.repeat(100)),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''));
const cells = fc.array(fc.tuple(fc.option(text), fc.option(text), fc.option(text)), { maxLength: 10 });

async function append(
  client: ClientBase,
  query: RowQuery,
  out: ByteOutput,
  options: CsvOptions = {},
): Promise<CsvFacts> {
  const [facts] = await runPipeline(client, [csvQuery(query, out, options)]);
  return facts;
}

async function csvOf(
  client: ClientBase,
  sql: string,
  parameters: unknown[] = [],
  options: CsvOptions = {},
): Promise<string> {
  const out = createOutput(16); // so that it has to grow
  await append(client, { sql, parameters }, out, options);
  return out.bytes.toString('utf8', 0, out.at);
}

/** Three columns of texts, as rows. */
const UNNEST =
  'SELECT a, b, c FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS t(a, b, c, n) ORDER BY n';
const columnsOf = (rows: (string | null)[][]) => [0, 1, 2].map((i) => rows.map((row) => row[i]));

/** An independent parser: PostgreSQL's own. */
async function parsedByPostgres(client: ClientBase, csv: string): Promise<string[][]> {
  await client.query('DROP TABLE IF EXISTS parsed');
  await client.query('CREATE TEMPORARY TABLE parsed (n serial, a text, b text, c text)');
  const copy = client.query(copyFrom("COPY parsed (a, b, c) FROM STDIN (FORMAT csv, NULL 'none')"));
  await pipeline(Readable.from([Buffer.from(csv)]), copy);
  const { rows } = await client.query({ text: 'SELECT a, b, c FROM parsed ORDER BY n', rowMode: 'array' });
  return rows;
}

test('any rows of any types are, byte for byte, what the plain way prints', async () => {
  await withClient(async (client) => {
    await fc.assert(
      fc.asyncProperty(table, zone, fc.boolean(), async ({ columns, rows }, timeZone, binary) => {
        // What comes in binary form is in UTC, whatever the session's zone.
        await client.query(`SET TimeZone = '${binary ? 'UTC' : timeZone}'`);
        const query = queryOf(columns, rows);
        const formats = columns.map(([, type]) => (binary && type === 'timestamptz' ? 1 : 0));
        const cell = (text: string | null, i: number) =>
          text === null ? '' : formats[i] === 1 ? rfc3339(text) : csvCell(text);
        const plain = (await textsOf(client, query)).rows.map((row) => `${row.map(cell).join(',')}\r\n`);
        const out = createOutput(16);
        await append(client, { ...query, formats }, out);
        assert.equal(out.bytes.toString('utf8', 0, out.at), plain.join(''));
      }),
      { numRuns: 300 },
    );
    await client.query('RESET TimeZone');
  });
});

test('any texts are written by the rules for cells, and nothing is lost but controls', async () => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  const kept = (it: string | null) => (it ?? '').replace(/[\x00-\x1f\u2028]+/g, ' ').replaceAll("'", '');
  await withClient(async (client) => {
    await fc.assert(
      fc.asyncProperty(cells, async (rows) => {
        const csv = await csvOf(client, UNNEST, columnsOf(rows));
        const lines = rows.map((row) => `${row.map((it) => (it === null ? '' : csvCell(it))).join(',')}\r\n`);
        assert.equal(csv, lines.join(''));
        const parsed = await parsedByPostgres(client, csv);
        assert.deepEqual(
          parsed.map((row) => row.map(kept)),
          rows.map((row) => row.map(kept)),
        );
      }),
      { numRuns: 200 },
    );
  });
});

test('each type as a cell', async () => {
  await withClient(async (client) => {
    await client.query("SET TimeZone = 'Asia/Kathmandu'");
    const sql = `
      SELECT * FROM (VALUES
        (1, -1.50, 2.5e-7::float8, '+493012345', true, timestamptz '2026-11-21 04:10:00.5+00', NULL::text, '{"a": "b"}'::jsonb),
        (-7, 'NaN', '-Infinity', '', false, '-infinity', 'x', '[]')
      ) AS t (id, cost, float, number, ok, at, none, attributes)`;
    assert.equal(
      await csvOf(client, sql),
      [
        `1,-1.50,2.5e-07,+493012345,t,2026-11-21 09:55:00.5+05:45,,"{""a"": ""b""}"`,
        `-7,NaN,'-Infinity,,f,'-infinity,x,[]`,
        '',
      ].join('\r\n'),
    );
    await client.query('RESET TimeZone');
  });
});

test("columns with rules of their own; no rows; no columns; what isn't there", async () => {
  await withClient(async (client) => {
    const sql = `SELECT i AS n, '-' AS dash, repeat('é', i) AS long, NULL AS none
                 FROM generate_series($1::int, 70000, 30000) AS i`;
    const asked: number[] = [];
    const options: CsvOptions = {
      rules: {
        n: {
          text: (number) => {
            asked.push(Number(number));
            return `<${number}>`;
          },
          bytes: (_from, _fromAt, to, toAt, length) => {
            if (length > 4) return -1;
            to.setUint8(toAt, 0x23 /* # */);
            return toAt + 1;
          },
        },
        none: { text: () => 'never', bytes: () => -1 },
      },
    };
    const long = (count: number) => 'é'.repeat(count);
    assert.equal(
      await csvOf(client, sql, [9000], options),
      `#,'-,${long(9000)},\r\n<39000>,'-,${long(39000)},\r\n<69000>,'-,${long(69000)},\r\n`,
    );
    assert.deepEqual(asked, [39000, 69000]);
    assert.equal(await csvOf(client, sql, [70001], options), '');
    assert.equal(await csvOf(client, 'SET TimeZone = UTC'), '');
    await client.query('RESET TimeZone');
    await assert.rejects(csvOf(client, sql, [1], { rules: { cld: options.rules!.n! } }), /no column cld/);
    await assert.rejects(csvOf(client, sql, [1], { keep: ['cli'] }), /no column cli/);
  });
});

test('a file in batches, each behind the last one in the same memory', async () => {
  await withClient(async (client) => {
    const batch = (after: number) => ({
      sql: `SELECT i, timestamptz '2026-11-21 00:00:00.123456+00' AS at FROM generate_series($1::int + 1, 5) AS i LIMIT 3`,
      parameters: [after],
    });
    await client.query("SET TimeZone = 'UTC'");
    const out = createOutput(16);
    const first = await append(client, batch(0), out, { keep: ['i', 'at'] });
    assert.deepEqual(first, { count: 3, last: { i: '3', at: '2026-11-21 00:00:00.123456+00' } });
    const second = await append(client, batch(3), out, { keep: ['i'] });
    assert.deepEqual(second, { count: 2, last: { i: '5' } });
    const none = await append(client, batch(5), out, { keep: ['i'] });
    assert.deepEqual(none, { count: 0, last: undefined });
    const lines = [1, 2, 3, 4, 5].map((i) => `${i},2026-11-21 00:00:00.123456+00\r\n`);
    assert.equal(out.bytes.toString('utf8', 0, out.at), lines.join(''));
    await client.query('RESET TimeZone');
  });
});

test('a statement that is run anew begins its records anew', async () => {
  await withClient(async (client) => {
    const out = createOutput(16);
    writeText(out, 'header\r\n');
    const query = { sql: 'SELECT generate_series(1, 3) AS i', parameters: [] };
    const decoded = csvQuery(query, out, { keep: ['i'] });
    for (let run = 0; run < 2; run++) await streamRows(client, [decoded]);
    assert.deepEqual(decoded.answer(), { count: 3, last: { i: '3' } });
    assert.equal(out.bytes.toString('utf8', 0, out.at), 'header\r\n1\r\n2\r\n3\r\n');
  });
});

test('whatever room there is to begin with, a cell that grows leaves enough for those behind it', async () => {
  await withClient(async (client) => {
    const query = { sql: `SELECT repeat('"', 100), repeat('a', 600)`, parameters: [] };
    const record = `"${'"'.repeat(200)}",${'a'.repeat(600)}\r\n`;
    for (let capacity = 700; capacity < 900; capacity++) {
      const out = createOutput(capacity);
      await append(client, query, out);
      assert.equal(out.bytes.toString('utf8', 0, out.at), record);
    }
  });
});

test('what throws and an error in the middle leave a client that works', async () => {
  const endless = `SELECT generate_series(1, 100000000) AS i, repeat('x', 1000) AS filler`;
  await withClient(async (client) => {
    const works = async () => assert.deepEqual((await client.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
    let rows = 0;
    const hangUp = () => {
      if (++rows === 1000) throw new Error('hung up');
      return -1;
    };
    const rules = { i: { text: csvCell, bytes: hangUp } };
    await assert.rejects(csvOf(client, endless, [], { rules }), /hung up/);
    assert.equal(rows, 1000);
    await works();
    const failing = 'SELECT 1 / (5000 - i) FROM generate_series(1, 10000) AS i';
    await assert.rejects(csvOf(client, failing), { code: '22012' });
    await works();
    await assert.rejects(csvOf(client, 'SELEKT'), { code: '42601' });
    await works();
  });
});
