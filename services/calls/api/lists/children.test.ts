/** An account with all below it: the calls and sums of each, put together, for whoever may see them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { callRow, testImportSource } from '#tests/calls.ts';
import { type Json, testApi } from '#tests/calls_api.ts';
import { printedSeed } from '#tests/seed.ts';
import { takeIn } from '../../intake/intake.ts';

const api = await testApi();
const { pool } = api.database;
const iTop = await api.account('top', { timeZone: 'Europe/Berlin' });
const iSales = await api.account('sales', { timeZone: 'Europe/Paris', parent: iTop });
const iUsa = await api.account('usa', { timeZone: 'America/New_York', parent: iTop, currency: 'USD' });
const iLab = await api.account('lab 493023125001', { timeZone: 'Asia/Kathmandu', parent: iUsa });
const iEmpty = await api.account('empty', { parent: iSales });
const iOther = await api.account('other', { timeZone: 'Europe/Berlin' });
await pool.query(`UPDATE calls.accounts SET country = 'US' WHERE i_account = ANY($1)`, [[iUsa, iLab]]);

const codes = ['top', 'sales', 'usa', 'lab 493023125001', 'other'];
const COUNT = 900;
const BEGIN = Date.parse('2026-08-20T00:00:00Z');
const STEP_MS = 6_791_000;
await takeIn(
  pool,
  await testImportSource(pool),
  Array.from({ length: COUNT }, (_, n) =>
    callRow({
      accountCode: codes[(n * 7 + (n % 11)) % codes.length]!,
      callId: `c${n}`,
      // Some start at once, in several accounts.
      startTime: BEGIN + Math.floor(n / 3) * 3 * STEP_MS,
      cli: n % 4 === 0 ? '03023125001' : n % 4 === 1 ? '2025550142' : '+493023125001',
      cld: n % 3 === 0 ? '+12025550142' : '0049 30 23125001',
      direction: n % 5 === 0 ? 'inbound' : 'outbound',
      result: n % 7 === 0 ? 'failed' : 'answered',
      connectTime: n % 7 === 0 ? null : BEGIN + Math.floor(n / 3) * 3 * STEP_MS,
      billedDurationS: n % 7 === 0 ? 0 : 60,
      durationS: 60 + (n % 9),
      cost: n % 6 === 0 ? null : `0.0${n}`,
      currency: n % 10 === 0 ? 'CHF' : n % 5 === 2 ? 'USD' : 'EUR',
    }),
  ),
);

/** Other switches gave the same id. */
for (const accountCode of ['sales', 'usa', 'other'])
  await takeIn(pool, await testImportSource(pool, { source: `switch of ${accountCode}` }), [
    callRow({ accountCode, callId: 'c44', startTime: BEGIN + COUNT * STEP_MS }),
  ]);

const operator = await api.key('operator');
const support = await api.key('support');
const ofTop = await api.key('customer', iTop);
const ofUsa = await api.key('customer', iUsa);
/** Roots, the accounts below each, and who may ask for them. */
const TREES: [root: number, accounts: number[], keys: string[]][] = [
  [iTop, [iTop, iSales, iUsa, iLab, iEmpty], [operator, ofTop]],
  [iUsa, [iUsa, iLab], [operator, ofTop, ofUsa]],
  [iLab, [iLab], [ofUsa]],
  [iEmpty, [iEmpty], [ofTop]],
];

async function get(path: string, key: string): Promise<Json> {
  const { status, body, text } = await api.get(path, key);
  assert.equal(status, 200, `${path} ${text}`);
  return body;
}

/** In the order of lists. */
const sorted = (calls: Json[], order: string) => {
  const newest = calls.sort((a, b) =>
    a.start_time < b.start_time ? 1 : a.start_time > b.start_time ? -1 : b.i_cdr - a.i_cdr,
  );
  return order === 'asc' ? newest.reverse() : newest;
};

const filters = fc.record(
  {
    type: fc.constantFrom('answered', 'errors', 'non_zero'),
    direction: fc.constantFrom('inbound', 'outbound'),
    number: fc.constantFrom('%2B493023125001', '03023125001', '2025550142', '030*', '%2B1202*'),
    cli: fc.constantFrom('03023125001', '2025550142', '%2B49*'),
    cld: fc.constantFrom('%2B12025550142', '00493023125001', '01149*'),
    call_id: fc.constantFrom('c7', 'c44', 'nobody'),
    min_duration_s: fc.constantFrom('64'),
    from: fc.constantFrom('2026-09-01', '2026-09-12T10:00:00Z'),
    to: fc.constantFrom('2026-10-01', '2026-09-20T23:59:59.5Z'),
  },
  { requiredKeys: [] },
);

test('lists, pages, totals and files of a tree are those of its accounts put together', async (t) => {
  const asked = fc.tuple(fc.constantFrom(...TREES), filters, fc.constantFrom('asc', 'desc'), fc.nat());
  await fc.assert(
    fc.asyncProperty(asked, async ([[root, accounts, keys], filter, order, n]) => {
      const key = keys[n % keys.length]!;
      // Dates are days of the root's zone.
      const zone = filter.from?.length === 10 || filter.to?.length === 10 ? '&time_zone=Europe/Berlin' : '';
      const query = `order=${order}&with_total=true${zone}${Object.entries(filter)
        .map(([name, value]) => `&${name}=${value}`)
        .join('')}`;
      const each = await Promise.all(
        accounts.map((i) => get(`/cdrs?i_account=${i}&limit=1000&${query}`, key)),
      );
      const wanted = sorted(
        each.flatMap((page) => page.data),
        order,
      );
      const path = `/cdrs?i_account=${root}&include=children&${query}`;
      const whole = await get(`${path}&limit=1000`, key);
      assert.deepEqual(whole.data, wanted, path);
      assert.equal(whole.total, wanted.length);
      assert.equal(whole.next_cursor, null);
      const limit = 1 + (n % 97);
      const paged: Json[] = [];
      for (let cursor: string | null = ''; cursor !== null && paged.length < 5 * limit; ) {
        const page: Json = await get(
          `${path}&limit=${limit}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`,
          key,
        );
        assert.equal(page.total, wanted.length);
        paged.push(...page.data);
        cursor = page.next_cursor;
      }
      assert.deepEqual(paged, wanted.slice(0, paged.length));
      const file = await api.get(
        `${path.replace('&with_total=true', '')}&format=csv&columns=i_cdr,i_account`,
        key,
      );
      assert.deepEqual(
        file.text.trim().split('\r\n').slice(1),
        wanted.map(({ i_cdr, i_account }) => `${i_cdr},${i_account}`),
      );
    }),
    { seed: printedSeed(t), numRuns: 60 },
  );
});

test('what most ask for, a tree without filters, has its total without a count', async () => {
  const page = await get(`/cdrs?i_account=${iTop}&include=children&limit=10`, ofTop);
  const { rows } = await pool.query('SELECT count(*)::int AS n FROM calls.cdrs WHERE i_account = ANY($1)', [
    TREES[0]![1],
  ]);
  assert.deepEqual([page.data.length, page.total], [10, rows[0].n]);
});

/** The plain way, by PostgreSQL's clocks of one zone. */
async function counted(
  accounts: number[],
  from: string,
  to: string,
  unit: string,
  zone: string,
  by: string[],
) {
  const columns = by.map((name) => (name === 'account' ? 'c.i_account, a.code AS account' : `c.${name}`));
  const { rows } = await pool.query(
    `SELECT date_trunc($5, c.start_time AT TIME ZONE $4)::date::text AS day, ${columns.map((column) => `${column}, `).join('')}
            count(*)::int AS calls, count(*) FILTER (WHERE result = 'answered')::int AS answered,
            sum(duration_s)::float8 AS seconds, sum(billed_duration_s)::float8 AS billed_seconds,
            sum(cost) FILTER (WHERE c.currency = 'EUR')::float8 AS eur, sum(cost) FILTER (WHERE c.currency = 'USD')::float8 AS usd,
            sum(cost) FILTER (WHERE c.currency = 'CHF')::float8 AS chf
     FROM calls.cdrs c JOIN calls.accounts a USING (i_account)
     WHERE c.i_account = ANY($1) AND c.start_time >= $2::timestamp AT TIME ZONE $4 AND c.start_time < $3::timestamp AT TIME ZONE $4
     GROUP BY 1 ${by.map((name) => (name === 'account' ? ', c.i_account, a.code' : `, c.${name}`)).join('')}`,
    [accounts, from, to, zone, unit],
  );
  return rows;
}

const amounts = (cost: { currency: string; amount: string }[]) => {
  const of = (currency: string) => {
    const found = cost.find((one) => one.currency === currency);
    return found ? Number(Number(found.amount).toFixed(6)) : null;
  };
  return { eur: of('EUR'), usd: of('USD'), chf: of('CHF') };
};
const rounded = (value: number | null) => (value === null ? null : Number(value.toFixed(6)));
const inOrder = (rows: object[]) => rows.map((row) => JSON.stringify(Object.entries(row).sort())).sort();

test('sums of a tree are those of counting its calls, whatever the zones of its accounts; currencies stay apart', async (t) => {
  const asked = fc.tuple(
    fc.constantFrom(...TREES),
    fc.constantFrom('day', 'week', 'month'),
    fc.uniqueArray(fc.constantFrom('account', 'country', 'direction'), { maxLength: 3 }),
    fc.constantFrom('Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'UTC'),
    fc.nat(),
  );
  await fc.assert(
    fc.asyncProperty(asked, async ([[root, accounts, keys], granularity, by, zone, n]) => {
      const [from, to] = ['2026-08-31', '2026-10-26'];
      const group = by.length > 0 ? `&group_by=${by.join(',')}` : '';
      const body = await get(
        `/consumption?i_account=${root}&include=children&from=${from}&to=${to}&granularity=${granularity}&time_zone=${zone}${group}`,
        keys[n % keys.length]!,
      );
      const wanted = await counted(accounts, from, to, granularity, zone, by);
      const got = body.data
        .filter(({ calls }: Json) => calls > 0)
        .map(({ from: begin, to: _, cost, ...rest }: Json) => ({
          // A week or month that is cut begins where the range does.
          day: begin.slice(0, 10) === from ? firstDay(from, granularity) : begin.slice(0, 10),
          ...rest,
          ...amounts(cost),
        }));
      assert.deepEqual(
        inOrder(got),
        inOrder(
          wanted.map((row) => ({
            ...row,
            eur: rounded(row.eur),
            usd: rounded(row.usd),
            chf: rounded(row.chf),
          })),
        ),
      );
      assert.equal(
        body.totals.calls,
        wanted.reduce((sum, { calls }) => sum + calls, 0),
      );
    }),
    { seed: printedSeed(t), numRuns: 40 },
  );
});

const firstDay = (date: string, granularity: string) =>
  granularity === 'month' ? `${date.slice(0, 7)}-01` : date;

test('as a file, consumption of a tree names the account, and its records add up by currency', async () => {
  const path = `/consumption?i_account=${iTop}&include=children&from=2026-08-31&to=2026-10-26&granularity=total&group_by=account`;
  const { text } = await api.get(`${path}&format=csv`, ofTop);
  const [header, ...lines] = text.trim().split('\r\n');
  assert.equal(header, 'from,to,i_account,account,calls,answered,seconds,billed_seconds,cost,currency');
  const { totals } = await get(path, ofTop);
  for (const { currency, amount } of totals.cost) {
    const sum = lines
      .map((line) => line.split(','))
      .filter((cells) => cells[9] === currency)
      .reduce((all, cells) => all + Number(cells[8]), 0);
    assert.ok(Math.abs(sum - Number(amount)) < 1e-6, currency);
  }
});

test('accounts to choose from: a customer sees its own and all below, by pages too; the top of them has no parent', async () => {
  const { data, next_after } = await get('/accounts', ofUsa);
  assert.equal(next_after, null);
  assert.deepEqual(data, [
    {
      i_account: iUsa,
      code: 'usa',
      name: 'usa',
      i_parent: null,
      currency: 'USD',
      time_zone: 'America/New_York',
      country: 'US',
      seen: null,
      closed_from: null,
    },
    {
      i_account: iLab,
      code: 'lab 493023125001',
      name: 'lab 493023125001',
      i_parent: iUsa,
      currency: 'EUR',
      time_zone: 'Asia/Kathmandu',
      country: 'US',
      seen: null,
      closed_from: null,
    },
  ]);
  const numbers = (body: Json) => body.data.map(({ i_account }: Json) => i_account);
  assert.deepEqual(numbers(await get('/accounts', ofTop)), [iTop, iSales, iUsa, iLab, iEmpty]);
  assert.deepEqual(numbers(await get('/accounts', operator)), [iTop, iSales, iUsa, iLab, iEmpty, iOther]);
  const first = await get('/accounts?limit=2', ofTop);
  assert.deepEqual([numbers(first), first.next_after], [[iTop, iSales], iSales]);
  assert.deepEqual(numbers(await get(`/accounts?limit=2&after=${first.next_after}`, ofTop)), [iUsa, iLab]);
  // What may be a number is masked to who sees numbers masked, here and as a group.
  const masked = (await get('/accounts', support)).data.find((one: Json) => one.i_account === iLab);
  assert.doesNotMatch(JSON.stringify(masked), /23125001/);
  const grouped = await api.get(
    `/consumption?i_account=${iTop}&include=children&from=2026-08-01&to=2026-10-26&group_by=account`,
    support,
  );
  assert.equal(grouped.status, 200);
  assert.doesNotMatch(grouped.text, /23125001/);
});

test('a tree of somebody else does not exist; an id is looked up in all that a key sees', async () => {
  for (const path of ['/cdrs', '/consumption'])
    for (const i of [iTop, iSales, iOther, 987_654])
      assert.equal(
        (await api.get(`${path}?i_account=${i}&include=children`, ofUsa)).status,
        404,
        `${path} ${i}`,
      );
  const foundBy = async (key: string, more = '') =>
    (await get(`/cdrs?call_id=c44${more}`, key)).data.map((call: Json) => call.i_account).sort();
  const everybody = await foundBy(operator);
  const within = (accounts: number[]) => everybody.filter((i: number) => accounts.includes(i));
  assert.equal(everybody.length, 4);
  assert.deepEqual(await foundBy(ofTop), within(TREES[0]![1]));
  assert.deepEqual(await foundBy(ofUsa), within([iUsa, iLab]));
  assert.deepEqual(await foundBy(ofTop, `&i_account=${iTop}`), within([iTop]));
  const cursor = (await get(`/cdrs?i_account=${iTop}&include=children&limit=1`, ofTop)).next_cursor;
  const alone = await api.get(`/cdrs?i_account=${iTop}&limit=1&cursor=${encodeURIComponent(cursor)}`, ofTop);
  assert.deepEqual([alone.status, alone.body.fields], [400, ['cursor', 'include']]);
  const nobody = await api.get('/cdrs?include=children', operator);
  assert.deepEqual([nobody.status, nobody.body.code], [400, 'no_account']);
  const odd = await api.get('/cdrs?include=children&call_id=c44', operator);
  assert.deepEqual([odd.status, odd.body.fields], [400, ['include']]);
  const own = await get('/cdrs?include=children&limit=1000', ofUsa);
  assert.deepEqual([...new Set(own.data.map((call: Json) => call.i_account))].sort(), [iUsa, iLab]);
});

test('more buckets than can be answered, over all groups and zones, are refused with what would be fewer', async () => {
  const iWide = await api.account('wide');
  const zones = ['Africa/Cairo', 'Africa/Lagos', 'America/Lima', 'Asia/Dubai', 'Asia/Tokyo', 'Asia/Seoul'];
  zones.push('Asia/Dhaka', 'Europe/Rome', 'Europe/Oslo', 'Europe/Kiev', 'Pacific/Fiji', 'Indian/Mahe');
  for (const timeZone of zones) await api.account(timeZone, { timeZone, parent: iWide });
  const path = `/consumption?i_account=${iWide}&from=2025-01-01&to=2026-01-01`;
  const { status, body } = await api.get(`${path}&granularity=hour&include=children`, operator);
  assert.deepEqual([status, body.code], [400, 'too_many_buckets']);
  assert.match(
    body.error,
    /more than 100000 buckets of all groups and zones together: ask for granularity=day/,
  );
  for (const fewer of ['granularity=hour', 'granularity=day&include=children'])
    assert.equal((await api.get(`${path}&${fewer}`, operator)).status, 200);
});

test('a file of many batches has each call of the tree once, in order, however unevenly they come', async () => {
  const iMany = await api.account('many');
  const codes = ['many', 'many-1', 'many-2'];
  for (const code of codes.slice(1)) await api.account(code, { parent: iMany });
  const start = Date.parse('2026-03-01T00:00:00Z');
  const BURST = 5_000;
  await takeIn(
    pool,
    await testImportSource(pool),
    Array.from({ length: 9_000 }, (_, n) =>
      callRow({
        accountCode: codes[n % 10 === 0 ? 1 : n % 3]!,
        callId: `many ${n}`,
        // Five thousand within three seconds, then one each hour or so.
        startTime: n < BURST ? start + Math.floor(n / 1_700) * 1_000 : start + (n - BURST) * 3_000_000,
      }),
    ),
  );
  for (const order of ['asc', 'desc'] as const) {
    const { rows } = await pool.query(
      `SELECT i_cdr FROM calls.cdrs JOIN calls.accounts a USING (i_account) WHERE a.code = ANY($1)
       ORDER BY start_time ${order}, i_cdr ${order}`,
      [codes],
    );
    assert.equal(rows.length, 9_000);
    const path = `/cdrs?i_account=${iMany}&include=children&order=${order}&format=csv&columns=i_cdr`;
    const { text } = await api.get(path, operator);
    assert.deepEqual(
      text.trim().split('\r\n').slice(1),
      rows.map(({ i_cdr }) => String(i_cdr)),
      order,
    );
  }
});
