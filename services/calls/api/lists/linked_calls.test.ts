/**
 * Calls as their legs make them together, against a model that joins them in memory: whatever file or post a leg comes in,
 * in whatever order, be it told twice, lists, files, legs and consumption tell the same calls.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Json, testApi } from '#tests/calls_api.ts';
import { printedSeed } from '#tests/seed.ts';
import { importWritten, type WrittenFile } from '#tests/written_calls.ts';

const api = await testApi();
const operator = await api.key('operator');

const HOUR = 3_600_000;
/** An hour before a month ends, in UTC. */
const BASE = Date.parse('2026-03-31T23:00:00Z');

interface Leg {
  readonly account: number;
  readonly source: number;
  /** 0: none of its own. */
  readonly link: number;
  /** Minutes after BASE. */
  readonly at: number;
  readonly durationS: number;
  readonly answer: 'party' | 'switch' | 'ring behind Answer()' | 'none';
  readonly cost: string | null;
  readonly currency: string;
  readonly direction: string;
  readonly id: string;
}

const anyLeg = fc.record({
  account: fc.nat(1),
  source: fc.nat(1),
  link: fc.nat(3),
  at: fc.oneof(
    fc.integer({ min: -10, max: 200 }),
    fc.constantFrom(0, 60, 24 * 60, 3 * 24 * 60, 40 * 24 * 60, 45 * 24 * 60),
  ),
  durationS: fc.constantFrom(0, 5, 60, 3_600, 7 * 3_600, 3 * 86_400, 41 * 86_400),
  answer: fc.constantFrom('party', 'party', 'switch', 'ring behind Answer()', 'none') as fc.Arbitrary<
    Leg['answer']
  >,
  cost: fc.constantFrom(null, '0.01', '0.025', '1'),
  currency: fc.constantFrom('EUR', 'EUR', 'USD'),
  direction: fc.constantFrom('inbound', 'outbound'),
});

const legs = fc.array(anyLeg, { minLength: 1, maxLength: 14 }).map((drawn) =>
  drawn.map(
    (leg, n): Leg => ({
      ...leg,
      // The first of those that share an id may bear it for its own.
      id:
        leg.link > 0 && n % 3 === 0 && drawn.findIndex((other) => other.link === leg.link) === n
          ? `L${leg.link}`
          : `c${n}`,
    }),
  ),
);

const startOf = (leg: Leg) => BASE + leg.at * 60_000;
const endOf = (leg: Leg) => startOf(leg) + leg.durationS * 1_000;
const answerOf = (leg: Leg) => Math.min(endOf(leg), startOf(leg) + 2_000);
const linkOf = (leg: Leg) => (leg.link === 0 ? leg.id : `L${leg.link}`);
const text = (ms: number) => new Date(ms).toISOString().replace('.000Z', 'Z');

const record = (leg: Leg, codes: readonly string[]) => ({
  account: codes[leg.account],
  call_id: leg.id,
  ...(leg.link > 0 && { linked_id: `L${leg.link}` }),
  cli: '+493023125001',
  cld: `10${leg.id.length}${leg.id.charCodeAt(1)}`,
  direction: leg.direction,
  start_time: text(startOf(leg)),
  duration_s: leg.durationS,
  ...(leg.answer !== 'none' && { connect_time: text(answerOf(leg)) }),
  billed_duration_s: leg.answer === 'none' ? 0 : Math.max(0, leg.durationS - 2),
  result: leg.answer === 'none' || leg.answer === 'ring behind Answer()' ? 'NO ANSWER' : 'ANSWERED',
  ...(leg.cost !== null && { cost: leg.cost, currency: leg.currency }),
  attributes:
    leg.answer === 'switch'
      ? { lastapp: 'Queue' }
      : leg.answer === 'none'
        ? {}
        : { lastapp: 'Queue', dstchannel: `PJSIP/${leg.id}` },
});

/** What the legs make, by the words of docs/decisions/0030. */
function callsOf(all: readonly Leg[]): Leg[][] {
  const rank = (leg: Leg) => [startOf(leg), leg.id === linkOf(leg) ? 0 : 1, -leg.durationS, leg.id] as const;
  const byRank = (a: Leg, b: Leg) => {
    const [one, other] = [rank(a), rank(b)];
    for (const [at, value] of one.entries()) if (value !== other[at]) return value < other[at]! ? -1 : 1;
    return 0;
  };
  const groups = Map.groupBy(all.toSorted(byRank), (leg) => `${leg.account} ${leg.source} ${linkOf(leg)}`);
  return [...groups.values()].flatMap((group) => {
    const calls: Leg[][] = [];
    let reach = Number.NEGATIVE_INFINITY;
    for (const leg of group) {
      if (startOf(leg) > reach) calls.push([]);
      calls.at(-1)!.push(leg);
      reach = Math.max(reach, endOf(leg) + 2 * HOUR);
    }
    return calls;
  });
}

const isPartys = (leg: Leg) => leg.answer === 'party';

function talkOf(call: readonly Leg[]): number {
  let spoken = 0;
  let until = Number.NEGATIVE_INFINITY;
  for (const leg of call.filter(isPartys).toSorted((a, b) => answerOf(a) - answerOf(b))) {
    spoken += Math.max(0, endOf(leg) - Math.max(until, answerOf(leg)));
    until = Math.max(until, endOf(leg));
  }
  return spoken / 1_000;
}

function costOf(call: readonly Leg[]) {
  const rated = Map.groupBy(
    call.filter(({ cost }) => cost !== null),
    ({ currency }) => currency,
  );
  return [...rated]
    .map(([currency, of]) => ({
      amount: String(of.reduce((sum, { cost }) => sum + Number(cost) * 1_000, 0) / 1_000),
      currency,
    }))
    .sort((a, b) => (a.currency < b.currency ? -1 : 1));
}

const lastEnd = (call: readonly Leg[]) => Math.max(...call.map(endOf));

function expected(call: readonly Leg[]) {
  const [first] = call as [Leg];
  const partys = call.filter(isPartys);
  return {
    call_id: first.id,
    linked_id: linkOf(first),
    direction: first.direction,
    source: `s${first.source}r${runs - 1}`,
    start_time: text(startOf(first)),
    connect_time: partys.length === 0 ? null : text(Math.min(...partys.map(answerOf))),
    disconnect_time: text(lastEnd(call)),
    duration_s: (lastEnd(call) - startOf(first)) / 1_000,
    talk_s: talkOf(call),
    billed_duration_s: call.reduce(
      (sum, leg) => sum + (leg.answer === 'none' ? 0 : Math.max(0, leg.durationS - 2)),
      0,
    ),
    result: partys.length === 0 ? 'missed' : 'answered',
    legs: call.length,
    cost: costOf(call),
  };
}

const fieldsOf = (call: Json) =>
  Object.fromEntries(
    Object.keys(
      expected([
        {
          account: 0,
          source: 0,
          link: 0,
          at: 0,
          durationS: 0,
          answer: 'none',
          cost: null,
          currency: 'EUR',
          direction: 'inbound',
          id: 'x',
        },
      ]),
    ).map((name) => [name, call[name]]),
  );

async function allPages(query: string, limit: number): Promise<Json[]> {
  const calls: Json[] = [];
  for (let cursor = ''; ; ) {
    const { status, body, text: said } = await api.get(`/cdrs?${query}&limit=${limit}${cursor}`, operator);
    assert.equal(status, 200, said);
    calls.push(...body.data);
    if (body.next_cursor === null) return calls;
    cursor = `&cursor=${encodeURIComponent(body.next_cursor)}`;
  }
}

let runs = 0;
const sorted = <T>(list: readonly T[]) => list.map((one) => JSON.stringify(one)).sort();

test('whatever post a leg comes in, in whatever order and however often: the same calls, legs and sums', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      legs,
      fc.array(fc.tuple(fc.nat(13), fc.nat(3)), { maxLength: 20 }),
      fc.tuple(fc.integer({ min: -700, max: 4_000 }), fc.integer({ min: 1, max: 70_000 })),
      async (drawn, order, [fromMinute, minutes]) => {
        const run = runs++;
        const codes = [`a${run}`, `b${run}`];
        const iTop = await api.account(codes[0]!);
        const iBelow = await api.account(codes[1]!, { parent: iTop });
        // Some are told before the others, some twice.
        const told = [...order.map(([n]) => drawn[n % drawn.length]!), ...drawn];
        for (let at = 0, size = 1; at < told.length; at += size) {
          size = 1 + ((order[at]?.[1] ?? 2) % 4);
          for (const source of [0, 1]) {
            const batch = told.slice(at, at + size).filter((leg) => leg.source === source);
            if (batch.length === 0) continue;
            const posted = await api.post(
              batch.map((leg) => record(leg, codes)),
              operator,
              `/cdrs?source=s${source}r${run}`,
            );
            assert.equal(posted.body.stored + posted.body.duplicates, batch.length, posted.text);
          }
        }
        for (const [accounts, whose] of [
          [[0], `i_account=${iTop}`],
          [[1], `i_account=${iBelow}`],
          [[0, 1], `i_account=${iTop}&include=children`],
        ] as const) {
          const calls = callsOf(drawn.filter((leg) => accounts.some((account) => account === leg.account)));
          const query = `${whose}&view=calls`;
          const shown = await allPages(query, 2);
          assert.deepEqual(sorted(shown.map(fieldsOf)), sorted(calls.map(expected)));
          assert.deepEqual(shown, (await allPages(`${query}&order=asc`, 3)).reverse());
          const missed = calls.filter((call) => !call.some(isPartys));
          const { body: listed } = await api.get(
            `/cdrs?${query}&type=missed&limit=1&with_total=true`,
            operator,
          );
          assert.equal(listed.total, missed.length);
          for (const call of shown) {
            const { body } = await api.get(`/cdrs/${call.i_cdr}/legs`, operator);
            assert.deepEqual(
              [body.data.length, body.total, body.data[0].i_cdr],
              [call.legs, call.legs, call.i_cdr],
            );
            const last = await api.get(`/cdrs/${body.data.at(-1).i_cdr}/legs`, operator);
            assert.deepEqual(last.body.data, body.data);
          }
          const csv = await api.get(`/cdrs?${query}`, operator, { accept: 'text/csv' });
          const [, ...lines] = csv.text.trimEnd().split('\r\n');
          assert.deepEqual(
            lines.filter((line) => line !== '').map((line) => line.split(',')[0]),
            shown.map((call) => String(call.i_cdr)),
          );
          const from = BASE + fromMinute * 60_000;
          await assertConsumption(whose, calls, from, from + minutes * 60_000);
          await assertConsumption(whose, calls, BASE - 100 * 86_400_000, BASE + 200 * 86_400_000);
        }
      },
    ),
    { seed: printedSeed(t), numRuns: 40 },
  );
});

async function assertConsumption(
  whose: string,
  calls: readonly Leg[][],
  from: number,
  to: number,
): Promise<void> {
  const range = `${whose}&view=calls&time_zone=UTC&from=${text(from)}&to=${text(to)}`;
  const sumsOf = (of: readonly Leg[][]) => ({
    calls: of.length,
    answered: of.filter((call) => call.some(isPartys)).length,
    missed: of.filter((call) => !call.some(isPartys)).length,
    seconds: of.reduce((sum, call) => sum + (lastEnd(call) - startOf(call[0]!)) / 1_000, 0),
    talk_seconds: of.reduce((sum, call) => sum + talkOf(call), 0),
    billed_seconds: of
      .flat()
      .reduce((sum, leg) => sum + (leg.answer === 'none' ? 0 : Math.max(0, leg.durationS - 2)), 0),
    cost: costOf(of.flat()),
  });
  const within = calls.filter(([first]) => startOf(first!) >= from && startOf(first!) < to);
  for (const group of ['', 'direction']) {
    const {
      status,
      body,
      text: said,
    } = await api.get(`/consumption?${range}${group && `&group_by=${group}`}`, operator);
    assert.equal(status, 200, said);
    assert.deepEqual(body.totals, sumsOf(within), range);
    for (const { from: begins, to: ends, direction, ...sums } of body.data) {
      const [since, until] = [Date.parse(begins), Date.parse(ends)];
      const inBucket = within.filter(([first]) => startOf(first!) >= since && startOf(first!) < until);
      assert.deepEqual(
        sums,
        sumsOf(inBucket.filter(([first]) => group === '' || first!.direction === direction)),
      );
    }
    await assertFile(`${range}${group && `&group_by=${group}`}`, body, within);
  }
}

const COUNTS = ['calls', 'answered', 'missed', 'seconds', 'talk_seconds', 'billed_seconds'] as const;

/** A record that tells no price has its account's currency. */
const currencyOf = (leg: Leg) => (leg.cost === null ? 'EUR' : leg.currency);

/** In a file each bucket and group has a record a currency: calls are of their first leg's, amounts of their own. */
async function assertFile(query: string, { data, totals }: Json, within: readonly Leg[][]): Promise<void> {
  const { status, text: file } = await api.get(`/consumption?${query}`, operator, { accept: 'text/csv' });
  assert.equal(status, 200, file);
  const [header, ...lines] = file.trimEnd().split('\r\n');
  const names = header!.split(',');
  const records = lines.map((line) =>
    Object.fromEntries(line.split(',').map((cell, at) => [names[at]!, cell])),
  );
  const sum = (of: readonly Json[], name: string) => of.reduce((all, one) => all + Number(one[name]), 0);
  for (const name of COUNTS) assert.equal(sum(records, name), totals[name], `${name} of ${query}`);
  for (const currency of ['EUR', 'USD']) {
    const inIt = records.filter((one) => one.currency === currency);
    assert.equal(sum(inIt, 'calls'), within.filter(([first]) => currencyOf(first!) === currency).length);
    const amount = totals.cost.find((one: Json) => one.currency === currency)?.amount ?? '0';
    assert.equal(Math.round(sum(inIt, 'cost') * 1_000) / 1_000, Number(amount));
  }
  for (const bucket of data.filter(({ calls }: Json) => calls > 0)) {
    const of = records.filter((one) => one.from === bucket.from && one.direction === bucket.direction);
    for (const name of COUNTS) assert.equal(sum(of, name), bucket[name], `${name} of ${bucket.from}`);
    const priced = of.filter(({ cost }) => cost !== '');
    assert.deepEqual(
      priced.map(({ currency, cost }) => ({ amount: cost, currency })),
      bucket.cost,
    );
  }
}

/** Calls of an account as `view=calls` tells them, oldest first: how they ended, how many legs, who answered, talk time. */
async function told(code: string, file: WrittenFile): Promise<unknown[]> {
  const counts = await importWritten(api.database.pool, file, `${code}.csv`);
  assert.deepEqual([counts.rejected, counts.conflicts], [0, 0]);
  const { rows } = await api.database.pool.query('SELECT i_account FROM calls.accounts WHERE code = $1', [
    code,
  ]);
  const calls = await allPages(`i_account=${rows[0].i_account}&view=calls&order=asc`, 10);
  return calls.map(({ result, legs: count, answered_by: by, talk_s: talk }) => [result, count, by, talk]);
}

test('Asterisk: a queue with two rings, one that is given up, a mailbox, without linkedid too', async () => {
  const row = (
    code: string,
    dst: string,
    far: string,
    app: string,
    at: string,
    answer: string,
    end: string,
    s: number,
    billed: number,
    word: string,
    id: string,
    linked: string,
    n: number,
  ) =>
    `"${code}","+493023125001","${dst}","from-trunk","","PJSIP/trunk-1","${far}","${app}","","2026-03-02 ${at}",${answer && `"2026-03-02 ${answer}"`},"2026-03-02 ${end}",${s},${billed},"${word}","DOCUMENTATION","${id}",""${linked && `,"","${linked}",${n}`}`;
  const rows = (code: string, linked: boolean) => {
    // A source has each id once.
    const id = (epoch: number, n: number) => `${epoch}.${linked ? n : n + 70}`;
    const link = (uniqueId: string) => (linked ? uniqueId : '');
    return [
      // Answer(), Queue(): the ring of 1001 is not answered, that of 1002 is; Asterisk tells the caller's own answer of both.
      row(
        code,
        '600',
        'PJSIP/1001-2',
        'Queue',
        '09:00:00',
        '09:00:01',
        '09:00:20',
        20,
        19,
        'NO ANSWER',
        id(1772442000, 1),
        link(id(1772442000, 1)),
        1,
      ),
      row(
        code,
        '600',
        'PJSIP/1002-3',
        'Queue',
        '09:00:20',
        '09:00:20',
        '09:05:20',
        300,
        300,
        'ANSWERED',
        id(1772442000, 1),
        link(id(1772442000, 1)),
        2,
      ),
      // Given up while waiting.
      row(
        code,
        '600',
        '',
        'Queue',
        '10:00:00',
        '10:00:01',
        '10:01:00',
        60,
        59,
        'ANSWERED',
        id(1772445600, 9),
        link(id(1772445600, 9)),
        3,
      ),
      // Nobody answers, and the mailbox does.
      row(
        code,
        '1003',
        'PJSIP/1003-5',
        'Dial',
        '11:00:00',
        '',
        '11:00:20',
        20,
        0,
        'NO ANSWER',
        id(1772449200, 4),
        link(id(1772449200, 4)),
        4,
      ),
      row(
        code,
        '1003',
        '',
        'VoiceMail',
        '11:00:20',
        '11:00:20',
        '11:00:50',
        30,
        30,
        'ANSWERED',
        id(1772449200, 4),
        link(id(1772449200, 4)),
        5,
      ),
    ];
  };
  const expectedCalls = [
    ['answered', 2, '600', 300],
    ['missed', 1, null, 0],
    ['missed', 2, null, 0],
  ];
  for (const [code, linked] of [
    ['queue-linked', true],
    ['queue-unlinked', false],
  ] as const) {
    const text = `${rows(code, linked).join('\n')}\n`;
    assert.deepEqual(await told(code, { format: 'asterisk-csv', text, read: {} }), expectedCalls, code);
  }
});

test('FreeSWITCH: both legs of a bridge, and a queue with the legs of its agents', async () => {
  const uuid = (n: number) => `c1e5d0a7-94b2-4b0c-8c11-5b2f0e7a3c0${n}`;
  const start = Date.parse('2026-03-02T09:00:00Z') * 1_000;
  const document = (n: number, at: number, answer: number | null, end: number, variables: object) =>
    JSON.stringify({
      'core-uuid': 'x',
      variables: {
        ...{
          uuid: uuid(n),
          accountcode: 'fs-legs',
          start_uepoch: String(start + at * 1e6),
          end_uepoch: String(start + end * 1e6),
        },
        ...{
          answer_uepoch: answer === null ? '0' : String(start + answer * 1e6),
          duration: String(end - at),
        },
        ...{
          billsec: String(answer === null ? 0 : end - answer),
          hangup_cause: answer === null ? 'NO_ANSWER' : 'NORMAL_CLEARING',
        },
        ...variables,
      },
      callflow: [{ caller_profile: { caller_id_number: '+493023125001', destination_number: `100${n}` } }],
    });
  const text = [
    document(1, 0, 5, 65, { last_app: 'bridge', bridge_uuid: uuid(2) }),
    document(2, 1, 5, 65, { originating_leg_uuid: uuid(1), originator: uuid(1), bridge_uuid: uuid(1) }),
    document(3, 600, 601, 700, { last_app: 'callcenter' }),
    document(4, 605, null, 620, { cc_member_session_uuid: uuid(3) }),
    document(5, 620, null, 640, { cc_member_session_uuid: uuid(3) }),
  ];
  assert.deepEqual(
    await told('fs-legs', { format: 'freeswitch-json', text: `${text.join('\n')}\n`, read: {} }),
    [
      ['answered', 2, '1001', 60],
      ['missed', 3, null, 0],
    ],
  );
});

test('CUCM: a transfer has the global call id of its call, the consultation one of its own, and ids come again', async () => {
  const start = Date.parse('2026-03-02T09:00:00Z') / 1_000;
  const row = (
    id: number,
    at: number,
    connect: number,
    end: number,
    cause: number,
    cld: string,
    pkid: string,
  ) =>
    [
      1,
      2,
      id,
      start + at,
      connect && start + connect,
      start + end,
      connect && end - connect,
      '2001',
      cld,
      cause,
      cause,
      pkid,
      'cm-legs',
    ].join(',');
  const header =
    'cdrRecordType,globalCallID_callManagerId,globalCallID_callId,dateTimeOrigination,dateTimeConnect,dateTimeDisconnect,duration,callingPartyNumber,originalCalledPartyNumber,origCause_value,destCause_value,pkid,globalCallId_ClusterID';
  const text = [
    header,
    row(101, 0, 10, 130, 393216, '3071111', 'p-1'),
    row(102, 130, 140, 170, 393216, '2002', 'p-2'),
    row(101, 170, 170, 520, 16, '2002', 'p-3'),
    // Twenty days later the number has come round.
    row(101, 20 * 86_400, 0, 20 * 86_400 + 15, 16, '2009', 'p-4'),
  ];
  assert.deepEqual(await told('cm-legs', { format: 'cisco-cucm', text: `${text.join('\n')}\n`, read: {} }), [
    ['answered', 2, '3071111', 470],
    ['answered', 1, '2002', 30],
    ['missed', 1, null, 0],
  ]);
});

test('the same id of another source, or of another account, joins nothing', async () => {
  const codes = ['apart-a', 'apart-b'];
  const [iFirst, iSecond] = (await Promise.all(codes.map((code) => api.account(code)))) as [number, number];
  const leg = (n: number, account = 'apart-a') => ({
    ...{ account, call_id: `apart-${n}`, linked_id: 'shared', cli: '+493023125001', cld: '1001' },
    ...{ start_time: '2026-03-02T09:00:00Z', duration_s: 60, result: 'busy' },
  });
  await api.post([leg(1), leg(2, 'apart-b')], operator, '/cdrs?source=one');
  await api.post([leg(3)], operator, '/cdrs?source=two');
  for (const [iAccount, count] of [
    [iFirst, 2],
    [iSecond, 1],
  ] as const) {
    const { body } = await api.get(`/cdrs?i_account=${iAccount}&view=calls`, operator);
    assert.deepEqual(
      body.data.map((call: Json) => call.legs),
      Array(count).fill(1),
    );
    const legs = await api.get(`/cdrs?i_account=${iAccount}&linked_id=shared`, operator);
    assert.equal(legs.body.data.length, count);
  }
  const customer = await api.key('customer', iSecond);
  const [{ i_cdr: iTheirs }] = (await api.get(`/cdrs?i_account=${iFirst}`, operator)).body.data;
  const [theirs, none] = [
    await api.get(`/cdrs/${iTheirs}/legs`, customer),
    await api.get('/cdrs/2026030999999999/legs', customer),
  ];
  assert.deepEqual([theirs.status, none.status], [404, 404]);
});
