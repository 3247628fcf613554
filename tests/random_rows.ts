/** Random rows of random types, and a query that gives them: for writers of rows, which are held against a plain way. */
import fc from 'fast-check';
import type { ClientBase } from 'pg';

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
export const TYPES: Record<string, { value: fc.Arbitrary<string>; as: 'parsed' | 'string' | 'itself' }> = {
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
export const zone = fc.constantFrom(
  'UTC',
  'Europe/Berlin',
  'Asia/Kathmandu',
  'America/St_Johns',
  'Pacific/Auckland',
);

/** A column's name: 63 bytes at most, or PostgreSQL cuts it. */
const name = text.filter((it) => it !== '' && Buffer.byteLength(it) < 64);

/** Columns with their types, and rows of texts. */
export const table = fc
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
export function queryOf(columns: [string, string][], rows: (string | null)[][]) {
  const list = columns.map(([column, type], i) => `c${i}::${type} AS "${column.replaceAll('"', '""')}"`);
  const from = columns.map((_, i) => `$${i + 1}::text[]`).join(', ');
  const names = columns.map((_, i) => `c${i}`).join(', ');
  return {
    sql: `SELECT ${list.join(', ')} FROM unnest(${from}) WITH ORDINALITY AS t(${names}, position) ORDER BY position`,
    parameters: columns.map((_, i) => rows.map((row) => row[i])),
  };
}

/** The rows of a query as PostgreSQL's texts, by pg. */
export async function textsOf(
  client: ClientBase,
  query: ReturnType<typeof queryOf>,
): Promise<{ readonly types: readonly number[]; readonly rows: readonly (string | null)[][] }> {
  const { fields, rows } = await client.query<(string | null)[]>({
    text: query.sql,
    values: query.parameters,
    rowMode: 'array',
    types: { getTypeParser: () => (value: string) => value } as never,
  });
  return { types: fields.map((field) => field.dataTypeID), rows };
}
