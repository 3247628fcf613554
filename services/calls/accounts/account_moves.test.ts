/** An account that is moved: what each key sees of it, in lists, sums and files, is told by where it stood when a call started. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { withSession } from '#platform/database/pool.ts';
import { callRow, testImportSource } from '#tests/calls.ts';
import { type Json, testApi } from '#tests/calls_api.ts';
import { printedSeed } from '#tests/seed.ts';
import { takeIn } from '../intake/intake.ts';
import { accountsBelow } from '../store/account_parents.ts';
import { listAudit } from '../store/audit.ts';
import { moveAccount } from './account_moves.ts';
import { accountWithCode, changeAccount } from './accounts.ts';

const api = await testApi();
const { pool } = api.database;
const BY = { id: 'terminal:test', name: 'test' };
const operator = await api.key('operator');

async function get(path: string, key: string): Promise<Json> {
  const { status, body, text } = await api.get(path, key);
  assert.equal(status, 200, `${path} ${text}`);
  return body;
}

const account = (code: string) => withSession(pool, (session) => accountWithCode(session, code));
const move = (code: string, to: string | null, from?: string) =>
  moveAccount(pool, code, { to, from, apply: true }, BY);

let groups = 0;
/** Calls at these times, each with its id. */
async function take(accountCode: string, times: readonly string[], more: object = {}): Promise<string[]> {
  const importSource = await testImportSource(pool, { source: `switch of ${accountCode}` });
  const ids = times.map((time) => `${accountCode} ${time} ${groups++}`);
  const rows = times.map((time, n) =>
    callRow({ accountCode, callId: ids[n]!, startTime: Date.parse(time), ...more }),
  );
  await takeIn(pool, importSource, rows);
  return ids;
}

const ZONES = ['Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'UTC', 'Europe/Berlin', 'Asia/Tokyo'];
const COUNT = ZONES.length;
const HOUR = 3_600_000;
/** Midnights of several zones, an instant within a quarter of an hour, one before all calls, and one ahead. */
const DATES = [
  '2026-09-30T22:00:00Z',
  '2026-10-01T04:00:00Z',
  '2026-10-05T18:15:00Z',
  '2026-10-05T18:22:07.5Z',
  '2026-10-12T00:00:00Z',
  '2001-01-01T00:00:00Z',
  '2098-01-01T00:00:00Z',
];

const trees = fc.record({
  parents: fc.array(fc.integer({ min: -1, max: COUNT - 1 }), { minLength: COUNT, maxLength: COUNT }),
  moves: fc.array(
    fc.record({
      who: fc.nat(COUNT - 1),
      to: fc.integer({ min: -1, max: COUNT - 1 }),
      from: fc.constantFrom(...DATES.slice(0, 5), ...DATES),
    }),
    { minLength: 3, maxLength: 8 },
  ),
  calls: fc.array(
    fc.record({
      who: fc.nat(COUNT - 1),
      near: fc.constantFrom(...DATES.slice(0, 5)),
      off: fc.constantFrom(-30 * 24 * HOUR, -HOUR, -7_500, -1, 0, 1, 300_000, 5 * HOUR, 3 * 24 * HOUR),
      kind: fc.nat(11),
    }),
    { minLength: 60, maxLength: 90 },
  ),
  pick: fc.nat(),
});

/** Whom each account stood below, and since when: kept as plainly as can be. */
type Model = { since: number; parent: number }[][];

const parentAt = (model: Model, who: number, at: number) => model[who]!.findLast(({ since }) => since <= at)!;

/** Whether `who` stood at or below `above` at a time; nobody sees what lies ahead. */
function isBelow(model: Model, who: number, above: number, at: number): boolean {
  for (let one = who; one !== -1; ) {
    if (one === above) return true;
    const { since, parent } = parentAt(model, one, at);
    if (since > Date.now()) return false;
    one = parent;
  }
  return false;
}

/** Whether `who` would stand below itself at any time from then on. */
const isCircle = (model: Model, who: number, to: number, from: number): boolean =>
  [from, ...model.flat().map(({ since }) => since)].some((at) => {
    for (let one = to; at >= from && one !== -1; one = parentAt(model, one, at).parent)
      if (one === who) return true;
    return false;
  });

const sumOf = (values: number[]) => Number(values.reduce((all, value) => all + value, 0).toFixed(6));

test('what each key sees in lists, totals, files and sums, alone and with all below, is what a plain model says', async (t) => {
  let run = 0;
  await fc.assert(
    fc.asyncProperty(trees, async ({ parents, moves, calls, pick }) => {
      run++;
      const code = (n: number) => `r${run} ${n}`;
      const model: Model = [];
      const ids: number[] = [];
      for (const [n, parent] of parents.entries()) {
        const below = n === 0 || parent === -1 ? -1 : parent % n;
        model.push([{ since: Number.NEGATIVE_INFINITY, parent: below }]);
        const more = below === -1 ? {} : { parent: ids[below]! };
        ids.push(await api.account(code(n), { timeZone: ZONES[n]!, ...more }));
      }
      const made = await makeCalls(calls, code);
      for (const { who, to, from } of moves) {
        const at = Date.parse(from);
        const asked = () => move(code(who), to === -1 ? null : code(to), from);
        if (isCircle(model, who, to, at)) {
          await assert.rejects(asked, /itself or stands below it/);
          continue;
        }
        await asked();
        model[who] = [...model[who]!.filter(({ since }) => since < at), { since: at, parent: to }];
      }
      for (const [bound, iBound] of ids.entries()) {
        // Two keys of the six a run: there are more trees so.
        if ((bound + pick) % 3 !== 0) continue;
        const key = await api.key('customer', iBound);
        const seen = (who: number, at: number) => isBelow(model, who, bound, at);
        await checkAccounts(key, ids, model, bound);
        for (const [n, call] of made.entries()) {
          if ((n + pick + bound) % 5 !== 0) continue;
          const { status } = await api.get(`/cdrs/${call.iCdr}`, key);
          assert.equal(status, seen(call.who, call.at) ? 200 : 404, `call of ${call.who} by ${bound}`);
          const legs = await api.get(`/cdrs/${call.iCdr}/legs`, key);
          assert.equal(legs.status, status);
          const found = await get(`/cdrs?call_id=${encodeURIComponent(call.id)}`, key);
          assert.equal(found.data.length, seen(call.who, call.at) ? 1 : 0);
        }
        for (const [top, iTop] of ids.entries()) {
          const own = made.filter((call) => call.who === top && seen(top, call.at));
          const below = made.filter(
            (call) => seen(call.who, call.at) && isBelow(model, call.who, top, call.at) && seen(top, call.at),
          );
          const everSeen = times(model).some((at) => seen(top, at));
          if (!everSeen) {
            for (const path of ['/cdrs?', '/consumption?', '/cdrs?view=calls&'])
              assert.equal((await api.get(`${path}i_account=${iTop}`, key)).status, 404);
            continue;
          }
          if ((top + bound + pick) % 2 === 0) await checkLists(key, `i_account=${iTop}`, own);
          if ((top + bound + pick) % 2 === 0) await checkSums(key, `i_account=${iTop}`, own, ids, pick);
          await checkLists(key, `i_account=${iTop}&include=children`, below);
          await checkSums(key, `i_account=${iTop}&include=children`, below, ids, pick);
        }
      }
    }),
    { seed: printedSeed(t), numRuns: 4, endOnFailure: true },
  );
});

interface Made {
  readonly who: number;
  readonly at: number;
  readonly id: string;
  readonly iCdr: number;
  readonly cli: string;
  readonly seconds: number;
}

async function makeCalls(calls: readonly Json[], code: (n: number) => string): Promise<Made[]> {
  const importSource = await testImportSource(pool);
  const rows = calls.map(({ who, near, off, kind }, n) => ({
    who,
    at: Date.parse(near) + off,
    id: `${code(who)} c${n}`,
    cli: kind % 3 === 0 ? '+493023125001' : '+12025550142',
    seconds: 60 + kind,
  }));
  await takeIn(
    pool,
    importSource,
    rows.map(({ who, at, id, cli, seconds }) =>
      callRow({
        accountCode: code(who),
        callId: id,
        startTime: at,
        connectTime: at,
        cli,
        durationS: seconds,
        billedDurationS: seconds,
        cost: '0.01',
      }),
    ),
  );
  const { rows: stored } = await pool.query('SELECT call_id, i_cdr FROM calls.cdrs WHERE call_id = ANY($1)', [
    rows.map(({ id }) => id),
  ]);
  const iCdrs = new Map(stored.map(({ call_id, i_cdr }) => [call_id, Number(i_cdr)]));
  return rows.map((row) => ({ ...row, iCdr: iCdrs.get(row.id)! }));
}

/** Times between which nothing is moved, that are not ahead. */
const times = (model: Model): number[] =>
  [Date.parse('1980-01-01'), ...model.flat().map(({ since }) => since)].filter(
    (at) => Number.isFinite(at) && at <= Date.now(),
  );

async function checkAccounts(key: string, ids: number[], model: Model, bound: number): Promise<void> {
  const { data } = await get('/accounts', key);
  const shown = new Map<number, Json>(data.map((one: Json) => [one.i_account, one]));
  for (const [who, id] of ids.entries()) {
    const seenAt = times(model).filter((at) => isBelow(model, who, bound, at));
    assert.equal(shown.has(id), seenAt.length > 0, `${who} by ${bound}`);
    if (seenAt.length === 0) continue;
    const { seen, i_parent } = shown.get(id);
    for (const at of times(model)) {
      const isSeen =
        seen === null ||
        seen.some(
          ({ from, to }: Json) =>
            (from === null || Date.parse(from) <= at) && (to === null || at < Date.parse(to)),
        );
      assert.equal(isSeen, seenAt.includes(at), `${who} by ${bound} at ${at}`);
    }
    const parent = parentAt(model, who, Math.max(...seenAt)).parent;
    assert.equal(i_parent, who === bound ? null : ids[parent], `parent of ${who} by ${bound}`);
  }
}

const numbersOf = (calls: readonly { iCdr: number }[]) => calls.map(({ iCdr }) => iCdr);

async function checkLists(key: string, query: string, wanted: Made[]): Promise<void> {
  const newest = wanted.toSorted((a, b) => b.at - a.at || b.iCdr - a.iCdr);
  const whole = await get(`/cdrs?${query}&limit=1000`, key);
  assert.deepEqual(
    whole.data.map((call: Json) => call.i_cdr),
    numbersOf(newest),
    query,
  );
  const first = await get(`/cdrs?${query}&limit=3&order=asc`, key);
  assert.equal(first.total, wanted.length, query);
  assert.deepEqual(
    first.data.map((call: Json) => call.i_cdr),
    numbersOf(newest.toReversed().slice(0, 3)),
  );
  const [from, to] = ['2026-09-30T22:00:00Z', '2026-10-05T18:20:00Z'];
  const some = await get(`/cdrs?${query}&from=${from}&to=${to}&limit=1`, key);
  const inRange = wanted.filter(({ at }) => at >= Date.parse(from) && at < Date.parse(to));
  assert.equal(some.total, inRange.length);
  const number = await get(`/cdrs?${query}&number=%2B493023125001&limit=1&with_total=true`, key);
  assert.equal(number.total, wanted.filter(({ cli }) => cli === '+493023125001').length);
  const file = await api.get(`/cdrs?${query}&format=csv&columns=i_cdr`, key);
  assert.deepEqual(file.text.trim().split('\r\n').slice(1).map(Number), numbersOf(newest));
  const linked = await get(`/cdrs?${query}&view=calls&limit=1000`, key);
  assert.deepEqual(
    linked.data.map((call: Json) => call.i_cdr),
    numbersOf(newest),
  );
  const counted = await get(`/cdrs?${query}&view=calls&limit=1&with_total=true`, key);
  assert.equal(counted.total, wanted.length);
}

async function checkSums(
  key: string,
  query: string,
  wanted: Made[],
  ids: number[],
  pick: number,
): Promise<void> {
  const range = 'from=2026-08-01&to=2026-11-01';
  const zone = ZONES[pick % COUNT]!;
  const inRange = wanted.filter(({ at }) => at > Date.parse('2026-08-02') && at < Date.parse('2026-10-31'));
  for (const granularity of ['total', 'day']) {
    const path = `/consumption?${query}&${range}&granularity=${granularity}&time_zone=${zone}`;
    const { totals } = await get(path, key);
    assert.deepEqual(
      [totals.calls, totals.seconds],
      [inRange.length, sumOf(inRange.map((c) => c.seconds))],
      path,
    );
  }
  const linked = await get(`/consumption?${query}&${range}&granularity=total&view=calls`, key);
  assert.equal(linked.totals.calls, inRange.length);
  const path = `/consumption?${query}&${range}&granularity=week&group_by=account`;
  const byAccount = Map.groupBy(inRange, ({ who }) => ids[who]!);
  const { data } = await get(path, key);
  const got = Map.groupBy(data as Json[], (bucket) => bucket.i_account);
  assert.deepEqual(
    [...got].map(([i, buckets]) => [i, sumOf(buckets.map((b) => b.calls))]).sort(),
    [...byAccount].map(([i, calls]) => [i, calls.length]).sort(),
    path,
  );
  const { text } = await api.get(`${path}&format=csv&columns=i_account,calls`, key);
  const lines = text.trim().split('\r\n').slice(1);
  const cells = Map.groupBy(
    lines.map((line) => line.split(',').map(Number)),
    ([i]) => i!,
  );
  assert.deepEqual(
    [...cells].map(([i, rows]) => [i, sumOf(rows.map(([, n]) => n!))]).sort(),
    [...byAccount].map(([i, calls]) => [i, calls.length]).sort(),
  );
}

const NAMES = (periods: readonly { parent: string | null; from: string | null }[]) =>
  periods.map(({ parent, from }) => [parent, from]);

test('a date is midnight of the account; what lies later is replaced and told, a move back leaves a gap, and one to where it is changes nothing', async () => {
  for (const code of ['acme', 'globex', 'initech']) await api.account(code);
  const iBerlin = await api.account('berlin', {
    timeZone: 'Europe/Berlin',
    parent: (await account('acme')).i_account,
  });
  await api.account('mitte', { parent: iBerlin });
  await take('mitte', ['2026-10-04T12:00:00Z', '2026-10-06T12:00:00Z']);
  await take('berlin', ['2026-10-04T21:59:59Z', '2026-10-04T22:00:00Z']);

  const dry = await moveAccount(pool, 'berlin', { to: 'globex', from: '2026-10-05', apply: false }, BY);
  assert.deepEqual(
    [dry.from, dry.before, dry.to?.code, dry.below, dry.calls, dry.isThere],
    ['2026-10-04T22:00:00Z', 'acme', 'globex', 1, 2, false],
  );
  assert.deepEqual([dry.account.parent, dry.account.parents], ['acme', []]);

  const moved = await move('berlin', 'globex', '2026-10-05');
  assert.equal(moved.account.parent, 'globex');
  assert.deepEqual(moved.account.parents, [
    { parent: 'acme', from: null, to: '2026-10-04T22:00:00Z' },
    { parent: 'globex', from: '2026-10-04T22:00:00Z', to: null },
  ]);
  assert.equal((await move('berlin', 'globex', '2026-10-08')).isThere, true);
  const ahead = await move('berlin', 'initech', '2097-01-01');
  assert.equal(ahead.account.parent, 'globex');
  const replacing = await move('berlin', 'initech', '2026-10-05');
  assert.deepEqual(NAMES(replacing.replaced), [
    ['globex', '2026-10-04T22:00:00Z'],
    ['initech', '2096-12-31T23:00:00Z'],
  ]);
  assert.deepEqual(NAMES(replacing.account.parents), [
    ['acme', null],
    ['initech', '2026-10-04T22:00:00Z'],
  ]);
  const back = await move('berlin', 'acme', '2026-10-06');
  assert.deepEqual(NAMES(back.account.parents).slice(2), [['acme', '2026-10-05T22:00:00Z']]);
  await assert.rejects(move('acme', 'mitte'), /"mitte" is "acme" itself or stands below it$/);
  await move('berlin', null, '2026-10-07');
  await assert.rejects(move('acme', 'mitte', '2026-10-01'), /"mitte" is "acme" itself or stands below it/);
  assert.equal((await move('acme', 'mitte', '2026-10-08')).account.parent, 'mitte');
  assert.equal((await move('acme', null, '1980-01-01')).account.parents.length, 0);
  // As if it had never been moved.
  assert.equal((await move('berlin', 'acme', '1980-01-01')).account.parents.length, 0);
  await assert.rejects(move('berlin', 'nobody'), /no account has the code "nobody"/);
  await assert.rejects(move('berlin', 'berlin'), /itself/);
  await assert.rejects(move('berlin', 'globex', 'soon'), /must be an RFC 3339 instant.*or a date/);
});

test('the old parent lists, pages and sums what started before, the new one what did since', async () => {
  const [iOld, iNew] = [await api.account('before'), await api.account('since')];
  const iMoved = await api.account('mover', { parent: iOld });
  const iDesk = await api.account('desk', { parent: iMoved });
  const [first, second, third] = await take('desk', [
    '2026-10-04T12:00:00Z',
    '2026-10-06T12:00:00Z',
    '2026-10-08T12:00:00Z',
  ]);
  await move('mover', 'since', '2026-10-05');
  await move('mover', 'before', '2026-10-07');
  const sum = 'from=2026-10-01&to=2026-11-01&granularity=total';
  for (const [iParent, wanted] of [
    [iOld, [third, first]],
    [iNew, [second]],
  ] as const) {
    const key = await api.key('customer', iParent);
    // With all below, and the one alone, which one of them sees in two periods.
    for (const whose of ['include=children', `i_account=${iDesk}`]) {
      for (const more of ['', '&view=calls', '&number=%2B493023125001', '&order=asc', '&limit=1']) {
        const { data, total } = await get(`/cdrs?${whose}&with_total=true${more}`, key);
        const ids = data.map(({ call_id }: Json) => call_id);
        const listed = more === '&limit=1' ? wanted.slice(0, 1) : wanted;
        assert.deepEqual(more === '&order=asc' ? ids.reverse() : ids, listed, `${whose}${more}`);
        assert.equal(total, wanted.length, `${whose}${more}`);
      }
      for (const more of ['', '&view=calls', '&group_by=account']) {
        const { totals } = await get(`/consumption?${whose}&${sum}${more}`, key);
        assert.equal(totals.calls, wanted.length);
      }
    }
  }
});

test('a move is in the audit trail, one that changes nothing or is tried only is not; set takes no parent of one that was moved', async () => {
  const iOld = await api.account('old');
  const iNew = await api.account('new');
  const iMoved = await api.account('moved', { parent: iOld });
  await moveAccount(pool, 'moved', { to: 'new', from: '2026-10-05', apply: false }, BY);
  await move('moved', 'new', '2026-10-05');
  await move('moved', 'new', '2026-10-09');
  const subject = `account ${iMoved}`;
  const noted = await withSession(pool, (session) => session.rows(listAudit({ subject }, 10)));
  assert.deepEqual(
    noted.map(({ by_id, action, detail }) => [by_id, action, detail]),
    [
      [
        BY.id,
        'accounts.move',
        { from: '2026-10-05T00:00:00Z', i_parent: iNew, i_parent_before: iOld, replaced: 0 },
      ],
    ],
  );
  await assert.rejects(
    changeAccount(pool, 'moved', { parent: 'old' }, BY),
    /was moved: trunkline accounts move/,
  );
  assert.equal((await changeAccount(pool, 'moved', { name: 'M' }, BY)).parent, 'new');
  assert.deepEqual((await withSession(pool, (session) => session.rows(accountsBelow(iOld)))).length, 0);
});

test('moves at once make no circle together', async () => {
  for (const code of ['left', 'right']) await api.account(code);
  const done = await Promise.allSettled([move('left', 'right'), move('right', 'left')]);
  assert.deepEqual(done.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
});

test('an account that leaves holds back nobody whose it was, once its calls up to then are told', async () => {
  const iFirst = await api.account('first');
  const iSecond = await api.account('second');
  const iGoing = await api.account('going', { parent: iFirst });
  const [ofFirst, ofSecond] = [await api.key('customer', iFirst), await api.key('customer', iSecond)];
  const tree = async (key: string) => (await get('/cdrs?include=children', key)).data_complete_to;
  const alone = async (key: string) => (await get(`/cdrs?i_account=${iGoing}`, key)).data_complete_to;
  await take('going', ['2026-10-05T10:00:00Z', '2026-10-07T10:00:00Z'], { disconnectTime: null });
  await take('first', ['2026-10-07T20:00:00Z'], { disconnectTime: null });
  const [toldOfGoing, toldOfFirst] = ['2026-10-07T10:01:05Z', '2026-10-07T20:01:05Z'];
  assert.equal(await tree(ofFirst), toldOfGoing);
  await move('going', 'second', '2026-10-06');
  assert.equal(await tree(ofFirst), toldOfFirst);
  assert.equal(await alone(ofFirst), '2026-10-06T00:00:00Z');
  assert.equal(await tree(ofSecond), toldOfGoing);
  assert.equal(await alone(ofSecond), toldOfGoing);
  // Not all of what is the first one's is told yet.
  await move('going', 'first', '2026-10-06');
  await move('going', 'second', '2026-10-07T15:00:00Z');
  assert.equal(await tree(ofFirst), toldOfGoing);
  assert.equal(await alone(ofFirst), toldOfGoing);
});

test('a call whose legs lie on both sides of a move is whose its first leg is, with all of them; a record is whose it is itself', async () => {
  const iOld = await api.account('legs old');
  const iNew = await api.account('legs new');
  const iMoved = await api.account('legs', { parent: iOld });
  const importSource = await testImportSource(pool, { source: 'legs' });
  const leg = (callId: string, startTime: string) =>
    callRow({ accountCode: 'legs', callId, linkedId: 'joined', startTime: Date.parse(startTime) });
  await takeIn(pool, importSource, [
    leg('joined', '2026-10-05T23:59:30Z'),
    leg('second', '2026-10-06T00:00:10Z'),
  ]);
  await move('legs', 'legs new', '2026-10-06');
  const [ofOld, ofNew] = [await api.key('customer', iOld), await api.key('customer', iNew)];
  const calls = (key: string) => get(`/cdrs?i_account=${iMoved}&view=calls`, key);
  const sums = (key: string) =>
    get(`/consumption?i_account=${iMoved}&view=calls&from=2026-10-01&to=2026-11-01&granularity=total`, key);
  assert.deepEqual(
    (await calls(ofOld)).data.map(({ legs }: Json) => legs),
    [2],
  );
  assert.deepEqual([(await sums(ofOld)).totals.calls, (await sums(ofNew)).totals.calls], [1, 0]);
  assert.equal((await calls(ofNew)).data.length, 0);
  for (const [key, id] of [
    [ofOld, 'joined'],
    [ofNew, 'second'],
  ] as const) {
    const { data } = await get(`/cdrs?i_account=${iMoved}`, key);
    assert.deepEqual(
      data.map(({ call_id }: Json) => call_id),
      [id],
    );
    const legs = await get(`/cdrs/${data[0].i_cdr}/legs`, key);
    assert.deepEqual([legs.total, legs.data.map(({ call_id }: Json) => call_id)], [1, [id]]);
  }
  const { data } = await get(`/cdrs?i_account=${iMoved}`, operator);
  assert.equal((await get(`/cdrs/${data[0].i_cdr}/legs`, operator)).total, 2);
});
