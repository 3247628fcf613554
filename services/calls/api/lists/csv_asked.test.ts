/** CSV as spreadsheets of other countries want it: of calls and of consumption, the same values in whatever form. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { callRow, testImportSource } from '#tests/calls.ts';
import { testApi } from '#tests/calls_api.ts';
import { printedSeed } from '#tests/seed.ts';
import { CALL_COLUMNS } from '../../call_fields.ts';
import { USAGE_COLUMNS } from '../../csv/consumption_csv.ts';
import { takeIn } from '../../intake/intake.ts';

const api = await testApi();
const operator = await api.key('operator');
const support = await api.key('support');
const acme = await api.account('acme', { timeZone: 'Europe/Berlin' });
/** Sunday and Monday on either side of midnight in Berlin, where the clocks were set back that night. */
const STARTS = [
  '2026-09-30T21:59:59Z',
  '2026-09-30T22:00:00Z',
  '2026-10-25T22:59:59.5Z',
  '2026-10-25T23:00:00Z',
  '2026-10-31T22:59:59Z',
  '2026-10-31T23:00:00Z',
];
await takeIn(
  api.database.pool,
  await testImportSource(api.database.pool),
  STARTS.flatMap((start, n) =>
    ['EUR', 'USD'].map((currency, of) =>
      callRow({
        accountCode: 'acme',
        callId: `${n}-${currency}`,
        startTime: Date.parse(start) + of,
        durationS: 65.25,
        billedDurationS: 60.5,
        cost: of === 0 ? `0.0${n}25` : n === 0 ? null : '12.50',
        currency,
        cld: n % 2 === 0 ? '+442079460001' : '+33145678901',
        description: ['a;b', 'a,b', 'a\tb', '"q"', '=1+1', '1.5'][n]!,
      }),
    ),
  ),
);

/** RFC 4180. */
function cellsOf(text: string, separator: string): string[][] {
  const records: string[][] = [[]];
  const cell = new RegExp(`("(?:[^"]|"")*"|[^"${separator}\r\n]*)(${separator}|\r\n)`, 'gy');
  for (const [, value = '', end] of text.matchAll(cell)) {
    records.at(-1)!.push(value.startsWith('"') ? value.slice(1, -1).replaceAll('""', '"') : value);
    if (end === '\r\n') records.push([]);
  }
  assert.deepEqual(records.pop(), []);
  return records;
}

async function file(path: string, key = operator): Promise<{ text: string; name: string | null }> {
  const { status, text, headers } = await api.get(path, key);
  assert.equal(status, 200, `${path} ${text}`);
  assert.match(headers.get('content-type')!, /^text\/csv; charset=utf-8/);
  return { text, name: headers.get('content-disposition') };
}

const DECIMALS = [
  'duration_s',
  'billed_duration_s',
  'cost',
  'seconds',
  'billed_seconds',
  'minutes',
  'billed_minutes',
];

test('in every form the cells are the same, in calls and consumption, shown and masked', async (t) => {
  const forms = fc.record({
    separator: fc.constantFrom(',', ';', 'tab'),
    decimal: fc.constantFrom('.', ','),
    bom: fc.boolean(),
    picks: fc.array(fc.nat(), { minLength: 1, maxLength: 12 }),
  });
  const asks = [
    ['/cdrs', CALL_COLUMNS, operator],
    ['/cdrs', CALL_COLUMNS, support],
    ['/consumption', USAGE_COLUMNS, operator],
  ] as const;
  const range = 'time_zone=Europe/Berlin&from=2026-10-01&to=2026-11-01&format=csv';
  await fc.assert(
    fc.asyncProperty(forms, fc.constantFrom(...asks), async (form, [route, known, key]) => {
      fc.pre(form.separator !== form.decimal);
      const path = `${route}?i_account=${acme}&${range}`;
      const columns = [...new Set(form.picks.map((pick) => known[pick % known.length]!))];
      const [header, ...plain] = cellsOf((await file(`${path}&columns=${known.join(',')}`, key)).text, ',');
      assert.deepEqual(header, known);
      const expected = plain.map((record) =>
        columns.map((column) => {
          const value = record[known.indexOf(column as never)]!;
          return DECIMALS.includes(column) ? value.replace('.', form.decimal) : value;
        }),
      );
      const asked = `separator=${encodeURIComponent(form.separator)}&decimal=${encodeURIComponent(form.decimal)}`;
      const { text } = await file(`${path}&${asked}&bom=${form.bom}&columns=${columns.join(',')}`, key);
      // fetch() drops the mark, so it is looked for in the bytes below.
      const got = cellsOf(text, form.separator === 'tab' ? '\t' : form.separator);
      assert.deepEqual(got, [columns, ...expected]);
    }),
    { seed: printedSeed(t), numRuns: 60 },
  );
});

test('a byte-order mark comes first where it is asked for, and nowhere else', async () => {
  for (const route of ['/cdrs', '/consumption']) {
    for (const bom of [true, false]) {
      const response = await fetch(`${api.calls.url}${route}?i_account=${acme}&format=csv&bom=${bom}`, {
        headers: { authorization: `Bearer ${operator}` },
      });
      const bytes = Buffer.from(await response.arrayBuffer());
      assert.equal(bytes.subarray(0, 3).equals(Buffer.from([0xef, 0xbb, 0xbf])), bom, route);
    }
  }
});

test('consumption as CSV has the sums of the JSON, those of each currency in records of their own', async () => {
  for (const group of ['', 'country', 'direction', 'direction,country']) {
    for (const granularity of ['day', 'week', 'month', 'total']) {
      const asked = `/consumption?i_account=${acme}&from=2026-10-01&to=2026-11-01&granularity=${granularity}${group && `&group_by=${group}`}`;
      const json = (await api.get(asked, operator)).body;
      const { text } = await file(`${asked}&format=csv`);
      const [header, ...records] = cellsOf(text, ',');
      const groups = ['direction', 'country'].filter((name) => group.split(',').includes(name));
      assert.deepEqual(header, [
        'from',
        'to',
        ...groups,
        'calls',
        'answered',
        'seconds',
        'billed_seconds',
        'cost',
        'currency',
      ]);
      const of = (record: string[], column: string) => record[header!.indexOf(column)]!;
      for (const column of ['calls', 'answered', 'seconds', 'billed_seconds'])
        assert.equal(
          records.reduce((sum, record) => sum + Number(of(record, column)), 0),
          json.totals[column],
          `${asked} ${column}`,
        );
      for (const { currency, amount } of json.totals.cost) {
        const costs = records
          .filter((record) => of(record, 'currency') === currency)
          .map((record) => Number(of(record, 'cost')));
        assert.ok(Math.abs(costs.reduce((sum, cost) => sum + cost, 0) - Number(amount)) < 1e-9);
      }
      const buckets = new Set(
        records.map((record) => [of(record, 'from'), ...groups.map((name) => of(record, name))].join()),
      );
      assert.equal(buckets.size, json.data.length);
      for (const bucket of json.data)
        for (const record of records.filter((one) => of(one, 'from') === bucket.from))
          assert.equal(of(record, 'to'), bucket.to);
    }
  }
});

test('a bucket in which nothing was rated has an empty cost, an empty bucket zeros', async () => {
  const { text } = await file(
    `/consumption?i_account=${acme}&from=2026-09-30&to=2026-10-02&time_zone=UTC&format=csv&columns=date,calls,cost,currency`,
  );
  assert.deepEqual(cellsOf(text, ','), [
    ['date', 'calls', 'cost', 'currency'],
    ['2026-09-30', '2', '0.015', 'EUR'],
    ['2026-09-30', '2', '12.5', 'USD'],
    ['2026-10-01', '0', '', ''],
  ]);
});

test('weeks begin on Mondays by the clocks of the zone', async () => {
  const weeks = async (zone: string) =>
    (
      await api.get(
        `/consumption?i_account=${acme}&granularity=week&from=2026-10-22&to=2026-11-01&time_zone=${zone}`,
        operator,
      )
    ).body.data.map((bucket: { from: string; calls: number }) => [bucket.from, bucket.calls]);
  assert.deepEqual(await weeks('Europe/Berlin'), [
    ['2026-10-22T00:00:00+02:00', 2],
    ['2026-10-26T00:00:00+01:00', 4],
  ]);
  assert.deepEqual(await weeks('America/New_York'), [
    ['2026-10-22T00:00:00-04:00', 4],
    ['2026-10-26T00:00:00-04:00', 4],
  ]);
});

test('dates are days of the zone that is told, else of the account, in pages and files; files are named by its days', async () => {
  const ids = async (query: string) =>
    (await api.get(`/cdrs?i_account=${acme}&order=asc&${query}`, operator)).body.data.map(
      (call: { call_id: string }) => call.call_id,
    );
  const october = ['1-EUR', '1-USD', '2-EUR', '2-USD', '3-EUR', '3-USD', '4-EUR', '4-USD'];
  assert.deepEqual(await ids('from=2026-10-01&to=2026-11-01'), october);
  assert.deepEqual(await ids('from=2026-10-01&to=2026-11-01&time_zone=Europe/Paris'), october);
  assert.deepEqual(await ids('from=2026-10-01&to=2026-11-01&time_zone=UTC'), [
    ...october.slice(2),
    '5-EUR',
    '5-USD',
  ]);
  assert.deepEqual(await ids('from=2026-10-01&to=2026-09-30T22:00:00.001Z'), ['1-EUR']);
  const page = await api.get(`/cdrs?i_account=${acme}&from=2026-10-01&to=2026-11-01&limit=3`, operator);
  assert.equal(page.body.total, 8);
  const next = `&cursor=${encodeURIComponent(page.body.next_cursor)}`;
  const goesOn = await api.get(
    `/cdrs?i_account=${acme}&from=2026-10-01&to=2026-11-01&limit=3${next}`,
    operator,
  );
  assert.equal(goesOn.body.data.length, 3);
  const other = await api.get(
    `/cdrs?i_account=${acme}&from=2026-10-01&to=2026-11-01&time_zone=UTC${next}`,
    operator,
  );
  assert.deepEqual([other.status, other.body.fields], [400, ['cursor', 'time_zone']]);

  for (const [query, name, first] of [
    ['from=2026-10-01&to=2026-11-01', '2026-10-01-2026-11-01', '2026-10-01T00:00:00+02:00'],
    ['from=2026-09-30T22:00:00Z&time_zone=Europe/Berlin', '2026-10-01', '2026-10-01T00:00:00+02:00'],
    ['from=2026-09-30T22:00:00Z', '2026-09-30', '2026-09-30T22:00:00+00:00'],
  ] as const) {
    const calls = await file(`/cdrs?i_account=${acme}&format=csv&columns=start_time&order=asc&${query}`);
    assert.equal(calls.name, `attachment; filename="calls-${acme}-${name}.csv"`);
    assert.equal(calls.text.split('\r\n')[1], first);
  }
  const used = await file(
    `/consumption?i_account=${acme}&format=csv&from=2026-09-30T22:00:00Z&to=2026-11-01`,
  );
  assert.equal(used.name, `attachment; filename="consumption-${acme}-2026-10-01-2026-11-01.csv"`);
});

test('what is wrong with the form of a file is said, with the name of the parameter', async () => {
  const cases: [query: string, words: RegExp, field: string][] = [
    ['separator=%7C&format=csv', /`separator` must be one of: ,, ;, tab/, 'separator'],
    ['decimal=,&format=csv', /`decimal` `,` needs another separator/, 'decimal'],
    ['columns=calls,cli,nothing&format=csv', /`columns` must name, with commas between: /, 'columns'],
    ['columns=from,from&format=csv', /`columns` names a column twice|`columns` must name/, 'columns'],
    ['format=xlsx', /`format` must be one of: json, csv/, 'format'],
    ['bom=yes&format=csv', /`bom` must be true or false/, 'bom'],
    ['separator=;', /`separator` is for text\/csv/, 'separator'],
    ['format=json&decimal=,', /`decimal` is for text\/csv/, 'decimal'],
    ['bom=false', /`bom` is for text\/csv/, 'bom'],
    ['columns=country', /`columns` is for text\/csv/, 'columns'],
    ['from=2026-02-30&format=csv', /`from` names no day of the calendar/, 'from'],
    ['from=2026-10-02&to=2026-10-01&format=csv', /`from` must be before `to`/, 'from'],
    ['from=2026-10-02&to=2026-10-01T00:00:00Z', /`from` must be before `to`/, 'from'],
  ];
  for (const route of ['/cdrs', '/consumption']) {
    for (const [query, words, field] of cases) {
      const { status, body } = await api.get(`${route}?i_account=${acme}&${query}`, operator);
      assert.equal(status, 400, `${route} ${query}`);
      assert.match(body.error, words);
      assert.deepEqual(body.fields, [field]);
    }
  }
  // What Accept asks for, `format` overrules.
  const csv = { accept: 'text/csv' };
  assert.equal(
    (await api.get(`/consumption?i_account=${acme}&format=json`, operator, csv)).body.success,
    true,
  );
  assert.match((await api.get(`/consumption?i_account=${acme}`, operator, csv)).text, /^from,to,calls,/);
});
