import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ClientBase } from 'pg';
import { withSession } from '#platform/database/pool.ts';
import { testDatabase } from '#tests/postgres.ts';
import { queryOf, TYPES, table, textsOf, zone } from '#tests/random_rows.ts';
import { rowsAsJson } from '#tests/rows_as_json.ts';
import { typeParsers } from '../types.ts';
import { PAGE_LIMIT_BYTES } from './rows_json.ts';
import type { ResultFormat } from './wire_messages.ts';

const { pool } = await testDatabase();
const withClient = <T>(work: (client: ClientBase) => Promise<T>) =>
  withSession(pool, (session) => work(session.client));

/** The same by pg's own reading, a value at a time; where `asNumbers`, numerics are numbers. */
async function plainly(
  client: ClientBase,
  columns: [string, string][],
  query: ReturnType<typeof queryOf>,
  asNumbers: boolean,
) {
  const { types, rows: found } = await textsOf(client, query);
  const print = (type: string, oid: number, value: string | null) => {
    if (value === null) return 'null';
    if (asNumbers && type === 'numeric') return JSON.stringify(Number(value));
    const { as } = TYPES[type]!;
    if (as === 'itself') return /^(NaN|-?Infinity)$/.test(value) ? 'null' : value;
    return JSON.stringify(as === 'string' ? value : typeParsers.getTypeParser(oid, 'text')(value));
  };
  const rows = found.map((row) => {
    const members = row.map((value, i) => {
      const [column, type] = columns[i]!;
      return `${JSON.stringify(column)}:${print(type, types[i]!, value)}`;
    });
    return `{${members.join(',')}}`;
  });
  return `[${rows.join(',')}]`;
}

test('any rows of any types are, byte for byte, what the plain way prints', async () => {
  await withClient(async (client) => {
    await fc.assert(
      fc.asyncProperty(table, zone, fc.boolean(), fc.boolean(), async (data, timeZone, binary, asNumbers) => {
        const { columns, rows } = data;
        const isOf = (wanted: string) => columns.filter(([, type]) => type === wanted).map(([name]) => name);
        // What comes in binary form is in UTC, whatever the session's zone.
        await client.query(`SET TimeZone = '${binary ? 'UTC' : timeZone}'`);
        const query = queryOf(columns, rows);
        const formats = columns.map(([, type]) => (binary && type === 'timestamptz' ? 1 : 0));
        const numbers = asNumbers ? isOf('numeric') : [];
        const page = await rowsAsJson(client, { ...query, formats }, { numbers });
        assert.equal(page.bytes.toString('utf8'), await plainly(client, columns, query, asNumbers));
        assert.equal(page.count, rows.length);
        JSON.parse(page.bytes.toString('utf8'));
      }),
      { numRuns: 300 },
    );
  });
});

test('wide rows, long values and pages that outgrow their memory', async () => {
  await withClient(async (client) => {
    const columns = Array.from({ length: 1600 }, (_, i) => `${i} AS "column number ${i}"`);
    const wide = await rowsAsJson(client, { sql: `SELECT ${columns.join(', ')}`, parameters: [] });
    const expected = Object.fromEntries(columns.map((_, i) => [`column number ${i}`, i]));
    assert.deepEqual(JSON.parse(wide.bytes.toString()), [expected]);

    const long = {
      sql: `SELECT repeat($1, 300000) AS a, 1 AS b FROM generate_series(1, 5)`,
      parameters: ['\x01"x'],
    };
    const page = await rowsAsJson(client, long);
    assert.deepEqual(
      JSON.parse(page.bytes.toString()),
      new Array(5).fill({ a: '\x01"x'.repeat(300_000), b: 1 }),
    );
  });
});

test('no rows, no columns, no result', async () => {
  await withClient(async (client) => {
    const ask = async (sql: string) => {
      const page = await rowsAsJson(client, { sql, parameters: [] }, { before: '<' });
      page.append('>');
      const { bytes, count, more, last } = page;
      const text = bytes.toString();
      page.free();
      assert.equal(bytes.length, 0);
      assert.equal(page.bytes.length, 0);
      return { text, count, more, last };
    };
    const nothing = { text: '<[]>', count: 0, more: false, last: undefined };
    assert.deepEqual(await ask('SELECT 1 AS a WHERE false'), nothing);
    assert.deepEqual(await ask('SET TimeZone = UTC'), nothing);
    assert.deepEqual(await ask(''), nothing);
    assert.deepEqual(await ask('SELECT FROM generate_series(1, 2)'), {
      ...nothing,
      text: '<[{},{}]>',
      count: 2,
      last: {},
    });
  });
});

test('a row beyond the limit is not written but known; the last written one gives the cursor', async () => {
  await withClient(async (client) => {
    const sql = `
      SELECT i AS id, timestamptz '2026-11-21 04:10:00.123456+00' + make_interval(secs => i) AS at, NULL AS none
      FROM generate_series(1, $1::int) AS i`;
    const page = (rows: number, limit: number) =>
      rowsAsJson(client, { sql, parameters: [rows] }, { limit, keep: ['at', 'id', 'none'] });
    await client.query("SET TimeZone = 'UTC'");
    const more = await page(3, 2);
    assert.equal(JSON.parse(more.bytes.toString()).length, 2);
    assert.equal(more.count, 2);
    assert.equal(more.more, true);
    assert.deepEqual(more.last, { at: '2026-11-21 04:10:02.123456+00', id: '2', none: null });

    const all = await page(2, 2);
    assert.deepEqual([all.count, all.more, all.last], [2, false, more.last]);
    assert.deepEqual(all.bytes, more.bytes);
    const none = await page(2, 0);
    assert.deepEqual([none.bytes.toString(), none.more, none.last], ['[]', true, undefined]);
  });
});

test('the cursor of a page whose times came in binary form', async () => {
  await withClient(async (client) => {
    await client.query("SET TimeZone = 'Asia/Kathmandu'");
    const sql = `SELECT timestamptz '2026-11-21 04:10:00.1234+00' AS at, NULL::timestamptz AS none, 7 AS id`;
    for (const prepared of [false, true, true]) {
      const query = { sql, parameters: [], formats: [1, 1, 0], prepared } as const;
      const page = await rowsAsJson(client, query, { keep: ['id', 'none', 'at'] });
      assert.equal(page.bytes.toString(), '[{"at":"2026-11-21T04:10:00.1234Z","none":null,"id":7}]');
      assert.deepEqual(page.last, { id: '7', none: null, at: '2026-11-21T04:10:00.1234Z' });
    }
    await client.query('RESET TimeZone');
  });
});

test('an envelope may be long', async () => {
  await withClient(async (client) => {
    const query = { sql: `SELECT '+493012345' AS cli, NULL::text AS cld, true AS ok`, parameters: [] };
    const page = await rowsAsJson(client, query, { before: '{"success":true,"data":' });
    page.append(`,"é":"${'x'.repeat(9000)}"`);
    page.append(',"count":1}');
    assert.deepEqual(JSON.parse(page.bytes.toString()), {
      success: true,
      data: [{ cli: '+493012345', cld: null, ok: true }],
      count: 1,
      é: 'x'.repeat(9000),
    });
  });
});

test('what cannot be written is refused by name, and the connection is good afterwards', async () => {
  await withClient(async (client) => {
    const refused = async (sql: string, expected: RegExp, options = {}, formats: ResultFormat[] = []) => {
      await assert.rejects(rowsAsJson(client, { sql, parameters: [], formats }, options), expected);
      assert.deepEqual((await client.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
    };
    await refused('SELECT 9007199254740992', /RangeError: bigint 9007199254740992 does not fit/);
    await refused('SELECT -9223372036854775808', /does not fit/);
    await refused('SELECT 1 AS a, 2 AS a', /two columns are named a/);
    await refused('SELECT 1 AS a', /no column constructor/, { keep: ['constructor'] });
    await refused('SELECT 1 AS a', /no column b/, { numbers: ['b'] });
    await refused('SELECT 1 AS a', /column a is to be a number, but is no numeric/, { numbers: ['a'] });
    await refused('SELECT now() AS b, 1 AS a', /column a was asked for in binary form/, {}, [0, 1]);
    await refused(
      'SELECT now() AS b',
      /bind message has 2 result formats but query has 1 columns/,
      {},
      [0, 1],
    );
    await refused(
      `SELECT repeat('x', 1000000) AS a FROM generate_series(1, 1000000)`,
      new RegExp(`more than ${PAGE_LIMIT_BYTES} bytes`),
    );
    const page = await rowsAsJson(client, { sql: 'SELECT 9007199254740991 AS a', parameters: [] });
    assert.equal(page.bytes.toString(), '[{"a":9007199254740991}]');
  });
});

test('parameters are read as client.query reads them', async () => {
  await withClient(async (client) => {
    const values = [
      null,
      undefined,
      7,
      2n ** 60n,
      true,
      "it's",
      ['a', null, 'b"c'],
      { k: [1] },
      Buffer.from([0, 255]),
      '',
    ];
    const types = ['text', 'text', 'int', 'int8', 'bool', 'text', 'text[]', 'jsonb', 'bytea', 'text'];
    const sql = `SELECT ${types.map((type, i) => `$${i + 1}::${type}::text AS c${i}`).join(', ')}`;
    const page = await rowsAsJson(client, { sql, parameters: values });
    const { rows } = await client.query(sql, values);
    assert.equal(page.bytes.toString(), JSON.stringify(rows));
  });
});
