import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ClientBase } from 'pg';
import { withSession } from '#platform/database/pool.ts';
import { testDatabase } from '#tests/postgres.ts';
import { rowsAsJson } from '#tests/rows_as_json.ts';
import { PAGE_LIMIT_BYTES } from './rows_json.ts';
import { typeParsers } from './types.ts';

const { pool } = await testDatabase();
const withClient = <T>(work: (client: ClientBase) => Promise<T>) =>
  withSession(pool, (session) => work(session.client));

/** Anything that a text of PostgreSQL can hold: no NUL, no lone surrogate; the odd ones often. */
const text = fc
  .array(
    fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom(..."aZ09 ,;{}'") },
      { weight: 4, arbitrary: fc.constantFrom('"', '\\', '\b', '\t', '\n', '\f', '\r', '/', '\x7f') },
      { weight: 2, arbitrary: fc.integer({ min: 1, max: 0x1f }).map((code) => String.fromCharCode(code)) },
      {
        weight: 2,
        arbitrary: fc.constantFrom('\u0080', '\u00e9', '\u2028', '\u2029', '\ufeff', '\uffff', '😀'),
      },
      {
        weight: 1,
        arbitrary: fc
          .string({ unit: 'binary', minLength: 1, maxLength: 3 })
          .map((s) => s.replaceAll('\0', '')),
      },
    ),
    { maxLength: 24 },
  )
  .map((parts) => parts.join(''));

const instantUpTo = (year: number) =>
  fc
    .tuple(
      fc.integer({ min: 1, max: year }),
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 28 }),
      fc.integer({ min: 0, max: 86_399_999_999 }),
    )
    .map(([year, month, day, micros]) => {
      const seconds = Math.floor(micros / 1e6);
      const pad = (n: number, size: number) => String(n).padStart(size, '0');
      const clock = `${pad(Math.floor(seconds / 3600), 2)}:${pad(Math.floor(seconds / 60) % 60, 2)}:${pad(seconds % 60, 2)}`;
      return `${pad(year, 4)}-${pad(month, 2)}-${pad(day, 2)} ${clock}.${pad(micros % 1e6, 6)}`;
    });
const instant = instantUpTo(12_000);
const orInfinite = (arbitrary: fc.Arbitrary<string>) =>
  fc.oneof({ weight: 9, arbitrary }, { weight: 1, arbitrary: fc.constantFrom('infinity', '-infinity') });
const decimal = fc.oneof(
  fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }).map((n) => `${n}.${(n < 0n ? -n : n) % 1000n}`),
  fc.constantFrom('0', '0.00', '-0.5', 'NaN', 'Infinity', '-Infinity'),
);
const float = fc.oneof(
  fc.double().map(String),
  fc.constantFrom('0', '-0', '1e300', '-1e-300', 'NaN', 'Infinity', '-Infinity', '123456789012345680000'),
);
const json = fc.jsonValue().map((value) => JSON.stringify(value).replaceAll('\\u0000', ' '));
const integer = (bits: number) =>
  fc.bigInt({ min: -(2n ** BigInt(bits)), max: 2n ** BigInt(bits) - 1n }).map(String);
const words = fc
  .array(fc.option(text))
  .map(
    (array) =>
      `{${array.map((word) => (word === null ? 'NULL' : `"${word.replace(/["\\]/g, '\\$&')}"`)).join(',')}}`,
  );

/** Each type, values of it, and what its text is in JSON: parsed by pg and printed, its text as a string, or itself. */
const TYPES: Record<string, { value: fc.Arbitrary<string>; as: 'parsed' | 'string' | 'itself' }> = {
  text: { value: text, as: 'parsed' },
  varchar: { value: text, as: 'parsed' },
  'char(30)': { value: text, as: 'string' },
  name: { value: text, as: 'parsed' },
  uuid: { value: fc.uuid(), as: 'parsed' },
  int2: { value: integer(15), as: 'parsed' },
  int4: { value: integer(31), as: 'parsed' },
  int8: { value: fc.maxSafeInteger().map(String), as: 'parsed' },
  oid: { value: fc.integer({ min: 0, max: 2 ** 32 - 1 }).map(String), as: 'parsed' },
  float4: { value: fc.oneof(fc.float().map(String), fc.constant('NaN')), as: 'itself' },
  float8: { value: float, as: 'itself' },
  numeric: { value: decimal, as: 'parsed' },
  bool: { value: fc.constantFrom('true', 'false'), as: 'parsed' },
  timestamptz: {
    value: orInfinite(
      fc.oneof(
        instant,
        instantUpTo(4_000).map((stamp) => `${stamp} BC`),
      ),
    ),
    as: 'parsed',
  },
  timestamp: { value: orInfinite(instant), as: 'parsed' },
  date: { value: orInfinite(instant.map((stamp) => stamp.split(' ')[0]!)), as: 'parsed' },
  time: { value: instant.map((stamp) => stamp.split(' ')[1]!), as: 'parsed' },
  interval: {
    value: fc.constantFrom('1 day', '-3 days -04:05:06.7', '1 year 2 mons', '00:00'),
    as: 'string',
  },
  inet: { value: fc.oneof(fc.ipV4(), fc.constantFrom('10.0.0.0/8', '::1', 'fe80::1/64')), as: 'parsed' },
  json: { value: json, as: 'itself' },
  jsonb: { value: json, as: 'itself' },
  'text[]': { value: words, as: 'parsed' },
  'int4[]': { value: fc.array(fc.integer()).map((n) => `{${n}}`), as: 'parsed' },
  'numeric[]': { value: fc.array(fc.integer()).map((n) => `{${n}}`), as: 'string' },
  bytea: { value: fc.uint8Array().map((bytes) => `\\x${Buffer.from(bytes).toString('hex')}`), as: 'string' },
};

/** Zones with hours, half and quarter hours, and minutes in their past. */
const zone = fc.constantFrom(
  'UTC',
  'Europe/Berlin',
  'Asia/Kathmandu',
  'America/St_Johns',
  'Pacific/Auckland',
);

/** A column's name: 63 bytes at most, or PostgreSQL cuts it. */
const name = text.filter((it) => it !== '' && Buffer.byteLength(it) < 64);

const table = fc
  .uniqueArray(fc.tuple(name, fc.constantFrom(...Object.keys(TYPES))), {
    selector: ([column]) => column,
    minLength: 1,
    maxLength: 12,
  })
  .chain((columns) =>
    fc.record({
      columns: fc.constant(columns),
      rows: fc.array(fc.tuple(...columns.map(([, type]) => fc.option(TYPES[type]!.value, { freq: 6 }))), {
        maxLength: 12,
      }),
    }),
  );

/** A query whose rows are these values. */
function queryOf(columns: [string, string][], rows: (string | null)[][]) {
  const list = columns.map(([column, type], i) => `c${i}::${type} AS "${column.replaceAll('"', '""')}"`);
  const from = columns.map((_, i) => `$${i + 1}::text[]`).join(', ');
  const names = columns.map((_, i) => `c${i}`).join(', ');
  return {
    sql: `SELECT ${list.join(', ')} FROM unnest(${from}) WITH ORDINALITY AS t(${names}, position) ORDER BY position`,
    parameters: columns.map((_, i) => rows.map((row) => row[i])),
  };
}

/** The same by pg's own reading, a value at a time. */
async function plainly(client: ClientBase, columns: [string, string][], query: ReturnType<typeof queryOf>) {
  const result = await client.query<(string | null)[]>({
    text: query.sql,
    values: query.parameters,
    rowMode: 'array',
    types: { getTypeParser: () => (value: string) => value } as never,
  });
  const print = (type: string, oid: number, value: string | null) => {
    if (value === null) return 'null';
    const { as } = TYPES[type]!;
    if (as === 'itself') return /^(NaN|-?Infinity)$/.test(value) ? 'null' : value;
    return JSON.stringify(as === 'string' ? value : typeParsers.getTypeParser(oid, 'text')(value));
  };
  const rows = result.rows.map((row) => {
    const members = row.map((value, i) => {
      const [column, type] = columns[i]!;
      return `${JSON.stringify(column)}:${print(type, result.fields[i]!.dataTypeID, value)}`;
    });
    return `{${members.join(',')}}`;
  });
  return `[${rows.join(',')}]`;
}

test('any rows of any types are, byte for byte, what the plain way prints', async () => {
  await withClient(async (client) => {
    await fc.assert(
      fc.asyncProperty(table, zone, async ({ columns, rows }, timeZone) => {
        await client.query(`SET TimeZone = '${timeZone}'`);
        const query = queryOf(columns, rows);
        const page = await rowsAsJson(client, query);
        assert.equal(page.bytes.toString('utf8'), await plainly(client, columns, query));
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
    const refused = async (sql: string, expected: RegExp, options = {}) => {
      await assert.rejects(rowsAsJson(client, { sql, parameters: [] }, options), expected);
      assert.deepEqual((await client.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
    };
    await refused('SELECT 9007199254740992', /RangeError: bigint 9007199254740992 does not fit/);
    await refused('SELECT -9223372036854775808', /does not fit/);
    await refused('SELECT 1 AS a, 2 AS a', /two columns are named a/);
    await refused('SELECT 1 AS a', /no column constructor/, { keep: ['constructor'] });
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
