import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import type { ClientBase } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { testDatabase } from '#tests/postgres.ts';
import { withSession } from './pool.ts';
import { type CsvOptions, rowsAsCsv } from './rows_csv.ts';

const { pool } = await testDatabase();
const withClient = <T>(work: (client: ClientBase) => Promise<T>) =>
  withSession(pool, (session) => work(session.client));
const LIMIT_MS = 20_000;

/** What a caller or a switch may have put into a text, and what a spreadsheet or a parser may trip over. */
const text = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '=',
        '+',
        '-',
        '@',
        '＝',
        '＋',
        '－',
        '＠',
        'ﬁ',
        "'",
        '"',
        ',',
        ';',
        '\t',
        '\r',
        '\n',
        ' ',
        '|',
        '\\',
      ),
      fc.constantFrom('a', '1', '49', 'é', '😀', '\u2028', '\x01', '\\.'),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''));
const cells = fc.array(fc.tuple(fc.option(text), fc.option(text), fc.option(text)), { maxLength: 10 });

const csvOf = (client: ClientBase, sql: string, parameters: unknown[] = [], options: CsvOptions = {}) =>
  buffer(Readable.from(rowsAsCsv(client, { sql, parameters }, options)));

/** Three columns of texts, as rows. */
const UNNEST =
  'SELECT a, b, c FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS t(a, b, c, n) ORDER BY n';
const columnsOf = (rows: (string | null)[][]) => [0, 1, 2].map((i) => rows.map((row) => row[i]));

/** An independent parser: PostgreSQL's own, which tells NULL from the empty text as this writer does. */
async function parsedByPostgres(client: ClientBase, csv: Buffer): Promise<(string | null)[][]> {
  await client.query('DROP TABLE IF EXISTS parsed');
  await client.query('CREATE TEMPORARY TABLE parsed (n serial, a text, b text, c text)');
  const copy = client.query(copyFrom('COPY parsed (a, b, c) FROM STDIN (FORMAT csv, HEADER)'));
  await pipeline(Readable.from([csv]), copy);
  const { rows } = await client.query({ text: 'SELECT a, b, c FROM parsed ORDER BY n', rowMode: 'array' });
  return rows;
}

/** Undoes what csv_cell.ts says that it does: takes the apostrophe away where a cell begins for some reader. */
function undefused(cell: string): string {
  let out = '';
  let beginning = true;
  for (let i = 0; i < cell.length; i++) {
    if (beginning && cell[i] === "'") i++;
    const character = cell[i] ?? '';
    out += character;
    beginning = /[;\t\r\n]/.test(character) || (beginning && /[ "]/.test(character));
  }
  return out;
}

test("any texts come out of PostgreSQL's own CSV parser as they went in, once the apostrophes are gone", async () => {
  await withClient(async (client) => {
    await fc.assert(
      fc.asyncProperty(cells, async (rows) => {
        const parsed = await parsedByPostgres(client, await csvOf(client, UNNEST, columnsOf(rows)));
        assert.deepEqual(
          parsed.map((row) => row.map((cell) => cell && undefused(cell))),
          rows,
        );
      }),
      { numRuns: 200 },
    );
  });
});

test('no reader finds a formula: not by commas, not by semicolons, not by tabs', async () => {
  const FORMULA = /^[=+\-@＝＋－＠\t\r\n]/;
  await withClient(async (client) => {
    await fc.assert(
      fc.asyncProperty(cells, async (rows) => {
        const csv = await csvOf(client, UNNEST, columnsOf(rows));
        for (const cell of (await parsedByPostgres(client, csv)).flat())
          assert.doesNotMatch(cell ?? '', FORMULA);
        // A reader who cuts at another separator pays no heed to quotes that do not stand first in its cell.
        for (const separator of [/[;\r\n]/, /[\t\r\n]/]) {
          for (const piece of csv.toString().split(separator)) {
            assert.doesNotMatch(piece.replace(/^[ "]+/, ''), FORMULA);
          }
        }
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
        (1, -1.50, -2.5e-7::float8, '+493012345', true, timestamptz '2026-11-21 04:10:00.5+00', NULL::text, '{"a": "b"}'::jsonb),
        (-7, 'NaN', '-Infinity', '', false, '-infinity', 'x', '[]')
      ) AS t ("id", "=cost", float, "a ""b"", c", ok, at, none, attributes)`;
    assert.equal(
      (await csvOf(client, sql)).toString(),
      [
        `id,"'=cost",float,"a ""b"", c",ok,at,none,attributes`,
        `1,-1.50,-2.5e-07,"'+493012345",true,2026-11-21T09:55:00.5+05:45,,"{""a"": ""b""}"`,
        `-7,NaN,-Infinity,"",false,"'-infinity",x,[]`,
        '',
      ].join('\r\n'),
    );
    await client.query('RESET TimeZone');
  });
});

test('headings and rewritten columns; no rows; no columns', async () => {
  await withClient(async (client) => {
    const sql = `SELECT '+493012345' AS cli, 7 AS n WHERE $1::boolean`;
    const options: CsvOptions = {
      headings: ['Anrufer; "A"', '-'],
      rewrite: { cli: (number) => `${number.slice(0, 5)}…`, n: () => 'x'.repeat(200_000) },
    };
    const csv = await csvOf(client, sql, [true], options);
    assert.equal(csv.toString(), `"Anrufer; ""A""","'-"\r\n"'+4930…",${'x'.repeat(200_000)}\r\n`);
    assert.equal((await csvOf(client, sql, [false])).toString(), 'cli,n\r\n');
    assert.equal((await csvOf(client, 'SET TimeZone = UTC')).toString(), '');
    await client.query('RESET TimeZone');
    await assert.rejects(csvOf(client, sql, [true], { headings: ['one'] }), /1 headings for 2 columns/);
    await assert.rejects(csvOf(client, sql, [true], { rewrite: { cld: () => '' } }), /no column cld/);
  });
});

test('a file in batches: no second header, and what the next batch starts behind', async () => {
  await withClient(async (client) => {
    const batch = (after: number) => ({
      sql: `SELECT i, timestamptz '2026-11-21 00:00:00.123456+00' AS at FROM generate_series($1::int + 1, 5) AS i LIMIT 3`,
      parameters: [after],
    });
    await client.query("SET TimeZone = 'UTC'");
    const pieces: string[] = [];
    async function* file() {
      const first = yield* rowsAsCsv(client, batch(0), { keep: ['i', 'at'] });
      assert.deepEqual(first, { count: 3, last: { i: '3', at: '2026-11-21 00:00:00.123456+00' } });
      const second = yield* rowsAsCsv(client, batch(3), { keep: ['i'], headings: false });
      assert.deepEqual(second, { count: 2, last: { i: '5' } });
      const none = yield* rowsAsCsv(client, batch(5), { keep: ['i'], headings: false });
      assert.deepEqual(none, { count: 0, last: undefined });
    }
    for await (const piece of file()) pieces.push(piece.toString());
    const lines = [1, 2, 3, 4, 5].map((i) => `${i},2026-11-21T00:00:00.123456Z\r\n`);
    assert.equal(pieces.join(''), `i,at\r\n${lines.join('')}`);
    await client.query('RESET TimeZone');
  });
});

const ROW = "repeat('x', 1000)";
const bytesRead = (client: ClientBase) =>
  (client as unknown as { connection: { stream: { bytesRead: number } } }).connection.stream.bytesRead;

test('a slow reader makes PostgreSQL wait; all rows come in the end, and memory stays small', async () => {
  const ROWS = 100_000;
  await withClient(async (client) => {
    const { pid } = (await client.query('SELECT pg_backend_pid() AS pid')).rows[0];
    const before = bytesRead(client);
    const rows = rowsAsCsv(client, {
      sql: `SELECT generate_series(1, ${ROWS}) AS i, ${ROW} AS filler`,
      parameters: [],
    });
    const first = await rows.next();
    assert.ok(!first.done && first.value.length >= 64 * 1024);
    await untilWaiting(pid);
    const read = bytesRead(client) - before;
    assert.ok(read < 1024 * 1024, `${read} bytes read for one piece given`);

    let lines = first.value.toString().split('\r\n').length - 1;
    let largest = first.value.length;
    for await (const piece of rows) {
      lines += piece.toString().split('\r\n').length - 1;
      largest = Math.max(largest, piece.length);
    }
    assert.equal(lines, 1 + ROWS);
    assert.ok(largest < 512 * 1024, `a piece of ${largest} bytes`);
    assert.deepEqual((await client.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
  });
});

test('a reader who stops early, an abort and an error in the middle leave a client that works', async () => {
  const endless = { sql: `SELECT generate_series(1, 100000000) AS i, ${ROW} AS filler`, parameters: [] };
  await withClient(async (client) => {
    const works = async () => assert.deepEqual((await client.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
    for await (const piece of rowsAsCsv(client, endless)) {
      assert.ok(piece.length > 0);
      break;
    }
    await works();

    const control = new AbortController();
    const aborted = async () => {
      for await (const _ of rowsAsCsv(client, endless, { signal: control.signal }))
        control.abort(new Error('hung up'));
    };
    await assert.rejects(aborted, /hung up/);
    await works();

    const failing = `SELECT 1 / (5000 - i), ${ROW} FROM generate_series(1, 10000) AS i`;
    let given = 0;
    const failed = async () => {
      for await (const piece of rowsAsCsv(client, { sql: failing, parameters: [] })) given += piece.length;
    };
    await assert.rejects(failed, { code: '22012' });
    assert.ok(given > 0);
    await works();
    await assert.rejects(csvOf(client, 'SELEKT'), { code: '42601' });
    await works();
    await rowsAsCsv(client, endless).return({ count: 0, last: undefined }); // never begun, never sent
    await works();
  });
});

/** Waits until a backend waits for its client to read. */
async function untilWaiting(pid: number): Promise<void> {
  const deadline = Date.now() + LIMIT_MS;
  for (;;) {
    const { rows } = await pool.query('SELECT wait_event FROM pg_stat_activity WHERE pid = $1', [pid]);
    if (rows[0]?.wait_event === 'ClientWrite') return;
    assert.ok(Date.now() < deadline, `the server never waited for its reader`);
    await sleep(20);
  }
}
