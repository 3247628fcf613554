/** Whether a call was answered is one thing: for every format and way in, and wherever it is asked for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Json, testApi } from '#tests/calls_api.ts';
import { printedSeed } from '#tests/seed.ts';
import { assertUsageIsExact } from '#tests/usage.ts';
import {
  asteriskFile,
  carrierFile,
  cucmFile,
  freeswitchDocument,
  freeswitchDocuments,
  freeswitchFile,
  importWritten,
  postedRecord,
  type WrittenCall,
  type WrittenFile,
} from '#tests/written_calls.ts';
import { retryRejected } from './intake/retry.ts';

const api = await testApi();
const { pool } = api.database;
const operator = await api.key('operator');
const NEW_ACCOUNTS = { currency: 'EUR', timeZone: 'UTC', country: null };

const MARCH = Date.parse('2026-03-02T09:00:00Z') / 1000;

async function importInto(file: WrittenFile, name: string): Promise<void> {
  const counts = await importWritten(pool, file, name);
  assert.deepEqual([counts.stored, counts.rejected], [counts.read, 0], name);
}

async function post(body: object): Promise<void> {
  const answer = await api.post(body, operator, '/cdrs?create_accounts=true');
  assert.deepEqual([answer.status, answer.body?.set_aside], [200, 0], answer.text);
}

/** Sets the rows aside first, since nobody has their account, and tries them again when somebody has. */
async function importByRetry(file: WrittenFile, name: string): Promise<void> {
  const counts = await importWritten(pool, file, name, { newAccounts: null });
  assert.equal(counts.rejected, counts.read, name);
  const again = await retryRejected(
    pool,
    { filter: { file: name }, newAccounts: NEW_ACCOUNTS, read: {} },
    () => undefined,
  );
  assert.equal(again.stillRejected, 0);
}

async function postByRetry(calls: readonly WrittenCall[]): Promise<void> {
  const answer = await api.post(calls.map(postedRecord), operator);
  assert.equal(answer.body.set_aside, calls.length, answer.text);
  const filter = { file: 'POST /cdrs' };
  await retryRejected(pool, { filter, newAccounts: NEW_ACCOUNTS, read: {} }, () => undefined);
}

const accountNumber = async (code: string): Promise<number> =>
  (await pool.query('SELECT i_account FROM calls.accounts WHERE code = $1', [code])).rows[0].i_account;

async function listed(iAccount: number, query = ''): Promise<Json[]> {
  const answer = await api.get(`/cdrs?i_account=${iAccount}&limit=1000&order=asc${query}`, operator);
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.body.total, answer.body.data.length);
  return answer.body.data;
}

const choices = <T, U>(some: readonly T[], others: readonly U[]): [T, U][] =>
  some.flatMap((one) => others.map((other): [T, U] => [one, other]));

/** Every combination of what a source may tell. */
function combinations(account: string, words: readonly (string | null)[], ends: readonly (number | null)[]) {
  const told = choices(choices([null, 5] as const, ends), choices([null, 0, 60, 66] as const, words));
  const durations = [0, 65] as const;
  return choices(told, durations).map(
    ([[[answerAfter, endAfter], [billed, word]], duration], index): WrittenCall => {
      const id = `${account}-${index}`;
      return { account, id, start: MARCH + index * 60, answerAfter, endAfter, duration, billed, word };
    },
  );
}

/** docs/decisions/0013, written down once more. */
function expected(call: WrittenCall) {
  const { answerAfter, endAfter, billed, duration, word } = call;
  const isProven = answerAfter !== null || (billed ?? 0) > 0;
  const isAnswered = isProven || (answerAfter === null && billed === null && word === 'ANSWERED');
  const word_ = word?.toLowerCase().replace(' ', '_') ?? 'no_answer';
  const talk = answerAfter === null ? duration : (endAfter ?? duration) - answerAfter;
  const flags = [
    ...(word !== null && (word === 'ANSWERED') !== isAnswered ? ['result_contradicted'] : []),
    ...(!isAnswered && word === null ? ['result_unknown'] : []),
    ...(isAnswered && billed === null ? ['billed_inferred'] : []),
    ...((billed ?? 0) > duration ? ['billed_longer_than_duration'] : []),
  ];
  return {
    result: isAnswered ? 'answered' : word_ === 'answered' ? 'no_answer' : word_,
    billed_duration_s: billed ?? (isAnswered ? Math.max(0, Math.min(duration, talk)) : 0),
    flags,
  };
}

const WORDS = ['ANSWERED', 'NO ANSWER', 'BUSY', 'FAILED'] as const;

test('whatever is told and left out, by file, by mapping, by post and by retry: the same result and billed time', async () => {
  const all = (account: string) => combinations(account, [...WORDS, null], [null, 65]);
  const withWords = (account: string) => combinations(account, WORDS, [65]);
  const ways: [way: string, calls: WrittenCall[], store: (calls: WrittenCall[]) => Promise<void>][] = [
    ['map', all('map'), (calls) => importInto(carrierFile(calls), 'map.csv')],
    ['map-retry', all('map-retry'), (calls) => importByRetry(carrierFile(calls), 'map-retry.csv')],
    ['post', all('post'), (calls) => post(calls.map(postedRecord))],
    ['post-retry', all('post-retry'), postByRetry],
    ['asterisk', withWords('asterisk'), (calls) => importInto(asteriskFile(calls), 'asterisk.csv')],
    [
      'asterisk-retry',
      withWords('asterisk-retry'),
      (calls) => importByRetry(asteriskFile(calls), 'asterisk-retry.csv'),
    ],
  ];
  for (const [way, calls, store] of ways) {
    await store(calls);
    const stored = await listed(await accountNumber(way));
    const shown = new Map(stored.map((call) => [call.call_id, call]));
    for (const call of calls) {
      const { result, billed_duration_s, flags } = shown.get(call.id);
      // Of the stamps, and of who else was on the leg, which are other matters.
      const others = ['times_out_of_order', 'answered_by_switch'];
      const own = flags.filter((flag: string) => !others.includes(flag)).sort();
      const wanted = expected(call);
      assert.deepEqual(
        { result, billed_duration_s, flags: own },
        { ...wanted, flags: wanted.flags.sort() },
        JSON.stringify(call),
      );
    }
  }
  await assertUsageIsExact(pool);
});

test('columns that a file does not have are as blank as fields that a post leaves out', async () => {
  const base = {
    start: MARCH,
    answerAfter: null,
    endAfter: null,
    duration: 60,
    billed: null,
    word: 'ANSWERED',
  };
  const call = (account: string): WrittenCall => ({ ...base, account, id: `${account}-1` });
  await importInto(carrierFile([call('bare')], ['Answer', 'End', 'Billed']), 'bare.csv');
  await importInto(carrierFile([call('blank')]), 'blank.csv');
  await post([postedRecord(call('bare-post'))]);
  for (const account of ['bare', 'blank', 'bare-post']) {
    const [shown] = await listed(await accountNumber(account));
    assert.deepEqual(
      [shown.result, shown.duration_s, shown.billed_duration_s, shown.flags],
      ['answered', 60, 60, ['billed_inferred']],
    );
  }
  await importInto(carrierFile([call('untold')], ['Answer', 'End', 'Billed', 'Result']), 'untold.csv');
  const [shown] = await listed(await accountNumber('untold'));
  assert.deepEqual(
    [shown.result, shown.billed_duration_s, shown.flags],
    ['answered', 60, ['answer_inferred', 'billed_inferred']],
  );
});

test('filter, field, counter, usage table and export tell the same of random calls of every format and way in', async (t) => {
  const anyTold = fc.record({
    at: fc.integer({ min: 0, max: 40 * 86_400 }),
    answerAfter: fc.option(fc.integer({ min: 0, max: 20 })),
    endAfter: fc.option(fc.integer({ min: 0, max: 90 })),
    duration: fc.integer({ min: 0, max: 90 }),
    billed: fc.option(fc.integer({ min: 0, max: 90 })),
    word: fc.constantFrom(...WORDS),
  });
  const WAYS: ((calls: WrittenCall[], name: string) => Promise<void>)[] = [
    (calls, name) => importInto(carrierFile(calls), name),
    (calls, name) => importInto(carrierFile(calls, ['Billed']), name),
    (calls, name) => importInto(carrierFile(calls, ['Answer']), name),
    (calls, name) => importInto(carrierFile(calls, ['Answer', 'Billed', 'Result']), name),
    (calls, name) => importInto(asteriskFile(calls), name),
    (calls, name) => importInto(freeswitchFile(calls), name),
    (calls, name) => importInto(freeswitchDocuments(calls), name),
    (calls, name) => importInto(cucmFile(calls), name),
    (calls) => post(calls.map(postedRecord)),
    async (calls) => {
      for (const call of calls) await post(freeswitchDocument(call));
    },
    (calls, name) => importByRetry(carrierFile(calls), name),
  ];
  let run = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(WAYS.length - 1), fc.array(anyTold, { minLength: 1, maxLength: 4 })), {
        minLength: 1,
        maxLength: 6,
      }),
      async (parts) => {
        run++;
        const accounts: string[] = [];
        for (const [index, [way, told]] of parts.entries()) {
          const account = `r${run}-${index}`;
          accounts.push(account);
          const calls = told.map(({ at, ...rest }, n): WrittenCall => {
            const id = `00000000-0000-4000-8000-${String(run * 1000 + index * 10 + n).padStart(12, '0')}`;
            return { account, id, start: MARCH + at, ...rest };
          });
          await WAYS[way]!(calls, `${account}.csv`);
        }
        for (const account of accounts) await assertOneNotion(await accountNumber(account));
      },
    ),
    { seed: printedSeed(t), numRuns: 40 },
  );
  await assertUsageIsExact(pool);
});

async function assertOneNotion(iAccount: number): Promise<void> {
  const all = await listed(iAccount);
  const answered = all.filter((call) => call.result === 'answered');
  const filtered = await listed(iAccount, '&type=answered');
  assert.deepEqual(filtered, answered);
  const nonZero = await listed(iAccount, '&type=non_zero');
  assert.ok(nonZero.every((call) => call.result === 'answered' && call.billed_duration_s > 0));
  for (const call of all) {
    assert.equal(
      call.result === 'answered' || (call.connect_time === null && call.billed_duration_s === 0),
      true,
    );
  }
  const sumOf = (calls: Json[], field: string) => calls.reduce((sum, call) => sum + call[field], 0);
  // From the usage tables, and from the calls themselves where less than a quarter of an hour is asked for.
  for (const [from, to] of [
    ['2026-01-01', '2027-01-01'],
    ['2026-03-02T09:03:00Z', '2026-03-20T17:01:00Z'],
  ]) {
    const query = `i_account=${iAccount}&granularity=total&from=${from}&to=${to}`;
    const { totals } = (await api.get(`/consumption?${query}`, operator)).body;
    const within = all.filter(({ start_time: at }) => at >= from! && at < to!);
    assert.equal(totals.answered, within.filter((call) => call.result === 'answered').length, query);
    assert.equal(totals.billed_seconds, sumOf(within, 'billed_duration_s'), query);
  }
  const csv = await api.get(`/cdrs?i_account=${iAccount}&type=answered`, operator, { accept: 'text/csv' });
  const [header, ...records] = csv.text.trimEnd().split('\r\n');
  const at = header!.split(',').indexOf('result');
  assert.deepEqual(
    records.map((record) => record.split(',')[at]),
    answered.map(() => 'answered'),
  );
}
