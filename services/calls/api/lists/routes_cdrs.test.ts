import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { callRow, testImportSource } from '#tests/calls.ts';
import { type Json, testApi } from '#tests/calls_api.ts';
import type { SourceRecord } from '../../cdr.ts';
import { takeIn } from '../../intake/intake.ts';
import type { RowOutcome } from '../../intake/rows.ts';

const api = await testApi();
const operator = await api.key('operator');
const T0 = Date.parse('2026-11-10T12:00:00Z');
const MINUTE = 60_000;

let accounts = 0;
async function newAccount(timeZone = 'UTC'): Promise<{ code: string; iAccount: number }> {
  const code = `account-${++accounts}`;
  return { code, iAccount: await api.account(code, { timeZone }) };
}

/** Stores calls; gives their numbers in the order given. */
async function store(calls: readonly Partial<SourceRecord>[]): Promise<number[]> {
  const importSource = await testImportSource(api.database.pool);
  const outcomes = await takeIn(api.database.pool, importSource, calls.map(callRow));
  return outcomes.map((outcome: RowOutcome) => {
    assert.equal(outcome.kind, 'stored');
    return outcome.kind === 'stored' ? outcome.iCdr : 0;
  });
}

async function list(query: string, key = operator): Promise<Json> {
  const answer = await api.get(`/cdrs?${query}`, key);
  assert.equal(answer.status, 200, answer.text);
  return answer.body;
}

const numbers = (page: Json): number[] => page.data.map((call: Json) => call.i_cdr);

/** Follows next_cursor to the end. */
async function walk(
  query: string,
  onPage: (page: Json) => Promise<void> | void = () => undefined,
): Promise<number[]> {
  const seen: number[] = [];
  let cursor: string | null = null;
  do {
    const page: Json = await list(`${query}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`);
    seen.push(...numbers(page));
    cursor = page.next_cursor;
    await onPage(page);
  } while (cursor !== null);
  return seen;
}

const { code: acme, iAccount: iAcme } = await newAccount('Europe/Berlin');
const stored = await store([
  {
    accountCode: acme,
    startTime: T0,
    callId: 'a',
    cli: '+493023125001',
    cld: '+442079460001',
    cost: '0.0420',
    country: 'GB',
  },
  {
    accountCode: acme,
    startTime: T0 + MINUTE,
    callId: 'b',
    cli: '+442079460001',
    cld: '+493023125001',
    direction: 'inbound',
  },
  {
    accountCode: acme,
    startTime: T0 + 2 * MINUTE,
    callId: 'c',
    cld: '+442079469999',
    connectTime: null,
    billedDurationS: 0,
    result: 'busy',
    durationS: 3,
  },
  {
    accountCode: acme,
    startTime: T0 + 3 * MINUTE,
    callId: 'd',
    cld: '*100',
    direction: 'outbound',
    connectTime: null,
    billedDurationS: 0,
    result: 'failed',
    durationS: 0,
  },
  {
    accountCode: acme,
    startTime: T0 + 4 * MINUTE + 0.001,
    callId: 'a',
    cld: '+12025550143',
    billedDurationS: 0,
    flags: ['ambiguous_time'],
    attributes: { codec: 'PCMA' },
  },
]);
const [first, second, third, fourth, fifth] = stored as [number, number, number, number, number];
const whose = `i_account=${iAcme}`;

test('a call as it is shown', async () => {
  const page = await list(`${whose}&order=asc&limit=1`);
  assert.deepEqual(page.data[0], {
    i_cdr: first,
    i_account: iAcme,
    call_id: 'a',
    cli: '+493023125001',
    cld: '+442079460001',
    cli_in: null,
    cld_in: null,
    direction: 'outbound',
    start_time: '2026-11-10T12:00:00Z',
    connect_time: '2026-11-10T12:00:05Z',
    disconnect_time: '2026-11-10T12:01:05Z',
    duration_s: 65,
    billed_duration_s: 60,
    result: 'answered',
    disconnect_cause: '16',
    country: 'GB',
    description: null,
    cost: '0.0420',
    currency: 'EUR',
    remote_ip: null,
    user_agent: null,
    flags: [],
    source: 'test',
    linked_id: 'a',
  });
  assert.equal(page.total, 5);
  assert.equal(page.success, true);
  assert.equal(typeof page.duration_ms, 'number');
});

test('a call alone tells its source and what else came with it', async () => {
  const { body } = await api.get(`/cdrs/${fifth}`, operator);
  assert.equal(body.data.start_time, '2026-11-10T12:04:00.000001Z');
  assert.deepEqual(body.data.flags, ['ambiguous_time']);
  assert.deepEqual(body.data.attributes, { codec: 'PCMA' });
  assert.equal(body.data.file, '/var/log/test.csv');
  assert.ok(body.data.line > 0 && body.data.i_import > 0 && body.data.source_key.length > 10);
});

test("numbers that are no call's answer 404, those that can be none 400", async () => {
  for (const number of [
    first + 100_000,
    202613_0000000001,
    202600_0000000001,
    1,
    189901_0000000001,
    Number.MAX_SAFE_INTEGER,
  ]) {
    const { status, body } = await api.get(`/cdrs/${number}`, operator);
    assert.equal(status, 404, String(number));
    assert.equal(body.error, `There is no call ${number}`);
  }
  for (const number of ['x', '0', '-1', '1.5', '99999999999999999999']) {
    assert.equal((await api.get(`/cdrs/${number}`, operator)).status, 400, number);
  }
});

test('each filter narrows the list', async () => {
  const found = async (query: string) => numbers(await list(`${whose}&${query}`));
  assert.deepEqual(await found(''), [fifth, fourth, third, second, first]);
  assert.deepEqual(await found('order=asc'), stored);
  assert.deepEqual(await found('from=2026-11-10T12:01:00Z'), [fifth, fourth, third, second]);
  assert.deepEqual(await found('to=2026-11-10T12:01:00Z'), [first]);
  assert.deepEqual(await found('from=2026-11-10T12:04:00.000001Z'), [fifth]);
  assert.deepEqual(await found('from=2026-11-10T12:04:00.000002Z'), []);
  assert.deepEqual(await found('from=2026-11-10T13:01:00%2B01:00&to=2026-11-10T13:02:00 01:00'), [second]);
  assert.deepEqual(await found('cli=%2B442079460001'), [second]);
  assert.deepEqual(await found('cli=+442079460001'), [second]);
  assert.deepEqual(await found('cld=%2B44*'), [third, first]);
  assert.deepEqual(await found('cld=%2B4420794600*'), [first]);
  assert.deepEqual(await found('cld=%5C*100'), [fourth]);
  assert.deepEqual(await found('cld=%5C*1*'), [fourth]);
  assert.deepEqual(await found('call_id=a'), [fifth, first]);
  assert.deepEqual(await found('direction=inbound'), [second]);
  assert.deepEqual(await found('type=all'), [fifth, fourth, third, second, first]);
  assert.deepEqual(await found('type=answered'), [fifth, second, first]);
  assert.deepEqual(await found('type=non_zero'), [second, first]);
  assert.deepEqual(await found('type=errors'), [fourth]);
  assert.deepEqual(await found('min_duration_s=3'), [fifth, third, second, first]);
  assert.deepEqual(await found('min_duration_s=3.001&cld=%2B44*'), [first]);
});

test('what is wrong with a query is said, with the name of the parameter', async () => {
  const cases: [query: string, words: RegExp, field: string][] = [
    ['unknown=1', /Unknown query parameter: `unknown`/, 'unknown'],
    ['from=2026-11-10T12:00:00', /`from` has no zone/, 'from'],
    ['to=2026-11-31', /`to` names no day of the calendar/, 'to'],
    ['from=2026-11-10T12:00:00Z&to=2026-11-10T12:00:00Z', /`from` must be before `to`/, 'from'],
    ['cli=*', /`cli` needs at least one character/, 'cli'],
    ['cld=%2B44*1', /`cld` may have a \* at its end only/, 'cld'],
    ['cld=a%00b', /`cld` is not of the right form/, 'cld'],
    ['call_id=', /`call_id`/, 'call_id'],
    ['direction=up', /`direction` must be one of: outbound, inbound/, 'direction'],
    ['type=complete', /`type` must be one of: all, answered, non_zero, errors/, 'type'],
    ['limit=0', /`limit` must be >= 1/, 'limit'],
    ['limit=1001', /`limit` must be <= 1000/, 'limit'],
    ['limit=1&limit=2', /`limit`/, 'limit'],
    ['order=up', /`order` must be one of: desc, asc/, 'order'],
    ['min_duration_s=-1', /`min_duration_s`/, 'min_duration_s'],
    ['with_total=maybe', /`with_total` must be true or false/, 'with_total'],
    ['time_zone=Europe/Berlin', /`time_zone` is for text\/csv/, 'time_zone'],
  ];
  for (const [query, words, field] of cases) {
    const { status, body } = await api.get(`/cdrs?${whose}&${query}`, operator);
    assert.equal(status, 400, query);
    assert.match(body.error, words);
    assert.ok(body.fields.includes(field), query);
    assert.equal(body.success, false);
    assert.equal(typeof body.request_id, 'string');
  }
  const nobody = await api.get('/cdrs', operator);
  assert.deepEqual([nobody.status, nobody.body.code], [400, 'no_account']);
});

test('a deadline that is no number of seconds is refused', async () => {
  for (const seconds of ['soon', '0', '-1', '301']) {
    const { status, body } = await api.get(`/cdrs?${whose}`, operator, { 'request-timeout': seconds });
    assert.equal(status, 400, seconds);
    assert.match(body.error, /Request-Timeout/);
  }
  assert.equal((await api.get(`/cdrs?${whose}`, operator, { 'request-timeout': '2.5' })).status, 200);
});

test('total: given where it costs nothing, counted when asked for, left out when not wanted', async () => {
  const total = async (query: string) => (await list(`${whose}&limit=1&${query}`)).total;
  assert.equal(await total(''), 5);
  assert.equal(await total('type=answered'), 3);
  assert.equal(await total('with_total=false'), undefined);
  assert.equal(await total('cld=%2B44*'), undefined);
  assert.equal(await total('cld=%2B44*&with_total=true'), 2);
  assert.equal(await total('direction=inbound&with_total=true'), 1);
});

test('cursors: forged, of another query, of another customer', async () => {
  const { next_cursor: cursor } = await list(`${whose}&limit=2&cld=%2B*`);
  const ask = (query: string, key = operator) => api.get(`/cdrs?limit=2&${query}&cursor=${cursor}`, key);
  assert.equal((await ask(`${whose}&cld=%2B*`)).status, 200);
  assert.equal((await ask(`${whose}&cld=%2B*&limit=1`.replace('limit=2&', ''))).status, 400);

  const other = await ask(`${whose}&cld=%2B4*&order=asc`);
  assert.equal(other.status, 400);
  assert.equal(other.body.code, 'cursor_of_other_query');
  assert.match(other.body.error, /another cld, order/);
  assert.deepEqual(other.body.fields, ['cursor', 'cld', 'order']);

  const changed = cursor.slice(0, 10) + (cursor[10] === 'A' ? 'B' : 'A') + cursor.slice(11);
  const forged = await api.get(`/cdrs?${whose}&limit=2&cld=%2B*&cursor=${changed}`, operator);
  assert.deepEqual([forged.status, forged.body.code], [400, 'bad_cursor']);

  const customer = await api.key('customer', iAcme);
  assert.equal((await ask(`${whose}&cld=%2B*`, customer)).status, 404);
  const sibling = await list(`${whose}&limit=2`, customer);
  const twin = await api.key('customer', iAcme);
  assert.equal((await api.get(`/cdrs?${whose}&limit=2&cursor=${sibling.next_cursor}`, twin)).status, 200);
});

test('a cursor works in every process on the database', async () => {
  const another = await testApi({}, { database: api.database });
  const { next_cursor: cursor } = await list(`${whose}&limit=2`);
  const { status, body } = await another.get(`/cdrs?${whose}&limit=2&cursor=${cursor}`, operator);
  assert.equal(status, 200);
  assert.deepEqual(numbers(body), [third, second]);
});

test('pages while calls come in: each call that was there is seen once, in order, and none twice', async () => {
  // Few instants, so that many calls share one to the microsecond; near and far months, so that pages cross partitions
  // and are found in the nearest months, in a year, or beyond.
  const start = fc.constantFrom(
    T0 - 900 * 86_400_000,
    T0 - 200 * 86_400_000,
    T0 - 40 * 86_400_000,
    T0,
    T0 + 0.001,
    T0 + 0.002,
    T0 + 1,
    T0 + 20 * 86_400_000,
    T0 + 21 * 86_400_000,
  );
  const batch = fc.array(start, { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(start, { minLength: 1, maxLength: 25 }),
      fc.array(batch, { maxLength: 12 }),
      fc.integer({ min: 1, max: 7 }),
      fc.constantFrom('asc' as const, 'desc' as const),
      async (before, meanwhile, limit, order) => {
        const { code, iAccount } = await newAccount();
        const started = new Map<number, number>();
        const add = async (starts: readonly number[]) => {
          const ids = await store(starts.map((startTime) => ({ accountCode: code, startTime })));
          for (const [index, id] of ids.entries()) started.set(id, starts[index]!);
          return ids;
        };
        const there = await add(before);
        const arrivals = [...meanwhile];
        const seen = await walk(`i_account=${iAccount}&limit=${limit}&order=${order}`, async (page) => {
          assert.ok(page.data.length <= limit);
          assert.ok(page.total >= page.data.length);
          await add(arrivals.shift() ?? []);
        });
        assert.equal(new Set(seen).size, seen.length, 'a call was shown twice');
        for (const id of there) assert.ok(seen.includes(id), 'a call was skipped');
        const sign = order === 'asc' ? 1 : -1;
        for (let i = 1; i < seen.length; i++) {
          const [a, b] = [seen[i - 1]!, seen[i]!];
          const by = started.get(a)! - started.get(b)! || a - b;
          assert.ok(by * sign < 0, 'out of order');
        }
      },
    ),
    { numRuns: 30 },
  );
});

test('total is what counting gives, for any range, type and zone', async () => {
  const zones = [
    'UTC',
    'Asia/Kathmandu',
    'America/St_Johns',
    'Africa/Casablanca',
    'Australia/Lord_Howe',
    'Africa/Monrovia',
  ];
  const base = Date.parse('2026-10-20T00:00:00Z');
  for (const zone of zones) {
    const { code, iAccount } = await newAccount(zone);
    const offsets = fc.sample(fc.integer({ min: 0, max: 20 * 1440 * 60 }), 300);
    await store(
      offsets.map((seconds, index) => ({
        accountCode: code,
        startTime: base + seconds * 1000,
        ...(index % 3 === 0 && {
          connectTime: null,
          billedDurationS: 0,
          result: index % 2 ? 'failed' : 'busy',
        }),
        ...(index % 7 === 0 && { billedDurationS: 0 }),
      })),
    );
    const TERMS = {
      all: 'true',
      answered: "result = 'answered'",
      non_zero: 'billed_duration_s > 0',
      errors: "result = 'failed'",
    };
    const end = fc.option(fc.integer({ min: -1000, max: 21 * 1440 * 60 }));
    await fc.assert(
      fc.asyncProperty(
        end,
        end,
        fc.constantFrom(...(Object.keys(TERMS) as (keyof typeof TERMS)[])),
        async (a, b, type) => {
          fc.pre(a === null || b === null || a !== b);
          const [from, to] = a !== null && b !== null && a > b ? [b, a] : [a, b];
          const text = (seconds: number | null) =>
            seconds === null ? null : new Date(base + seconds * 1000).toISOString();
          const query = [`i_account=${iAccount}`, 'limit=1', `type=${type}`];
          if (from !== null) query.push(`from=${text(from)}`);
          if (to !== null) query.push(`to=${text(to)}`);
          const counted = await api.database.pool.query(
            `SELECT count(*) AS n FROM calls.cdrs WHERE i_account = $1 AND ${TERMS[type]}
             AND start_time >= coalesce($2, '-infinity'::timestamptz) AND start_time < coalesce($3, 'infinity'::timestamptz)`,
            [iAccount, text(from), text(to)],
          );
          assert.equal((await list(query.join('&'))).total, counted.rows[0].n, `${zone} ${query.join('&')}`);
        },
      ),
      { numRuns: 25 },
    );
  }
});
