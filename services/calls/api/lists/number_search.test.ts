/** What an answer shows of a number finds the call: by whatever way it is asked, and nothing else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { callRow, testImportSource } from '#tests/calls.ts';
import { type Json, testApi } from '#tests/calls_api.ts';
import { printedSeed } from '#tests/seed.ts';
import type { SourceRecord } from '../../cdr.ts';
import { takeIn } from '../../intake/intake.ts';
import { createNumberReader } from '../../numbers.ts';

const api = await testApi();
const { pool } = api.database;
const operator = await api.key('operator');
const reader = createNumberReader();
let accounts = 0;

async function newAccount(country: string | null): Promise<{ code: string; iAccount: number }> {
  const code = `searched-${++accounts}`;
  const iAccount = await api.account(code);
  await pool.query('UPDATE calls.accounts SET country = $1 WHERE i_account = $2', [country, iAccount]);
  return { code, iAccount };
}

async function store(calls: readonly Partial<SourceRecord>[]): Promise<void> {
  const outcomes = await takeIn(pool, await testImportSource(pool), calls.map(callRow));
  for (const outcome of outcomes) assert.equal(outcome.kind, 'stored', JSON.stringify(outcome));
}

async function list(query: string, key = operator): Promise<Json> {
  const answer = await api.get(`/cdrs?${query}`, key);
  assert.equal(answer.status, 200, `${query} ${answer.text}`);
  return answer.body;
}

/** A number as a query's value: stars and backslashes of its own written as such. */
const value = (number: string) => encodeURIComponent(number.replace(/[\\*]/g, '\\$&'));

const DE = await newAccount('DE');
const HOUR = 3_600_000;
const T0 = Date.parse('2026-11-10T12:00:00Z');
const written = [
  '03023125001',
  '0302312500',
  '+493023125001',
  '00493023125001',
  '030 23125001',
  '+442079460001',
  '1001',
];
await store(
  written.map((cli, n) => ({ accountCode: DE.code, startTime: T0 + n * HOUR, cli, callId: `c${n}` })),
);
const berlin = ['c0', 'c2', 'c3', 'c4'];
const ids = (page: Json): string[] => page.data.map((call: Json) => call.call_id);

test('a call shown with cli_in 03023125001 is found by that, and by every other way to write the number', async () => {
  const ways = [
    '03023125001',
    '030 23125001',
    '030%2023125001',
    '00493023125001',
    '%2B493023125001',
    '493023125001',
  ];
  ways.push('%2B49 30 23125001', '+49 30 23125001', '+493023125001', '030/23125-001', 'tel:%2B493023125001');
  ways.push(encodeURIComponent('*31#03023125001').replace('*', '\\*'), 'sip:%2B493023125001@host');
  const key = await api.key('customer', DE.iAccount);
  for (const way of ways) {
    for (const asker of [operator, key]) {
      const page = await list(
        `i_account=${DE.iAccount}&order=asc&with_total=true&cli=${way.replaceAll(' ', '%20')}`,
        asker,
      );
      assert.deepEqual(ids(page), berlin, way);
      assert.equal(page.total, 4);
    }
  }
  const begins = ['030*', '030 2312*', '0049302312500*', '%2B49302312*', '+49 302312*', '4930*'];
  for (const way of begins) {
    const page = await list(`i_account=${DE.iAccount}&order=asc&cli=${way.replaceAll(' ', '%20')}`);
    assert.deepEqual(ids(page), ['c0', 'c1', 'c2', 'c3', 'c4'], way);
  }
  assert.deepEqual(ids(await list(`i_account=${DE.iAccount}&order=asc&cli=00*`)), ['c3']);
  assert.deepEqual(ids(await list(`i_account=${DE.iAccount}&order=asc&cli=1001`)), ['c6']);
  for (const none of ['0302312500100', '03023125002', '+4930231250011', '23125001', '100', '0300*'])
    assert.deepEqual(ids(await list(`i_account=${DE.iAccount}&cli=${none}`)), [], none);
});

test('pages, totals, the cursor and the file tell of the same calls', async () => {
  for (const query of [
    'cli=030%2023125001',
    'cli=030*',
    'cli=03023125001&cld=%2B442079460001',
    'cli=030*&cld=0044*',
  ]) {
    const all = await list(`i_account=${DE.iAccount}&${query}&with_total=true`);
    const paged: string[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page: Json = await list(
        `i_account=${DE.iAccount}&${query}&limit=1&with_total=true${cursor && `&cursor=${encodeURIComponent(cursor)}`}`,
      );
      assert.equal(page.total, all.total);
      paged.push(...ids(page));
      cursor = page.next_cursor;
    }
    assert.deepEqual(paged, ids(all), query);
    assert.equal(all.total, paged.length);
    const file = await api.get(`/cdrs?i_account=${DE.iAccount}&${query}`, operator, { accept: 'text/csv' });
    assert.equal(file.status, 200);
    assert.equal(file.text.trim().split(/\r?\n/).length - 1, paged.length, query);
  }
  const page = await list(`i_account=${DE.iAccount}&cli=03023125001&limit=1`);
  const other = await api.get(
    `/cdrs?i_account=${DE.iAccount}&cli=03023125002&cursor=${encodeURIComponent(page.next_cursor)}`,
    operator,
  );
  assert.deepEqual([other.status, other.body.fields], [400, ['cursor', 'cli']]);
});

test('number= finds what cli= or cld= finds, each call once, in pages, totals and files', async () => {
  const account = await newAccount('DE');
  const pairs = [
    ['03023125001', '+442079460001'],
    ['+442079460001', '00493023125001'],
    ['+493023125001', '030 23125001'], // a call to itself
    ['+493023125002', '1001'],
    ['03023125002', '+493023125001'],
    ['*97', '+493023125003'],
  ];
  await store(
    pairs.map(([cli = '', cld = ''], n) => ({
      accountCode: account.code,
      startTime: T0 + n * HOUR,
      cli,
      cld,
      callId: `n${n}`,
    })),
  );
  const of = `i_account=${account.iAccount}`;
  for (const way of [
    '03023125001',
    '+493023125001',
    '030 231250*',
    '00493023125*',
    '%2B44*',
    '1001',
    '\\*97',
    '9*',
  ]) {
    const asked = way.replaceAll(' ', '%20').replace('+', '%2B');
    for (const order of ['asc', 'desc']) {
      const [cli, cld] = [
        ids(await list(`${of}&order=${order}&cli=${asked}`)),
        ids(await list(`${of}&order=${order}&cld=${asked}`)),
      ];
      const either = [...new Set([...cli, ...cld])].sort();
      if (order === 'desc') either.reverse();
      const page = await list(`${of}&order=${order}&number=${asked}&with_total=true`);
      assert.deepEqual(ids(page), either, way);
      assert.equal(page.total, either.length, way);
      const paged: string[] = [];
      for (let cursor: string | null = ''; cursor !== null; ) {
        const next: Json = await list(
          `${of}&order=${order}&number=${asked}&limit=1${cursor && `&cursor=${encodeURIComponent(cursor)}`}`,
        );
        paged.push(...ids(next));
        cursor = next.next_cursor;
      }
      assert.deepEqual(paged, either, way);
      const file = await api.get(`/cdrs?${of}&number=${asked}`, operator, { accept: 'text/csv' });
      assert.equal(file.text.trim().split(/\r?\n/).length - 1, either.length, way);
      const both = await list(`${of}&order=${order}&number=${asked}&cli=03023125001`);
      assert.deepEqual(
        ids(both),
        ids(await list(`${of}&order=${order}&cli=03023125001`)).filter((id) => either.includes(id)),
      );
    }
  }
  const page = await list(`${of}&number=030*&limit=1`);
  const other = await api.get(`/cdrs?${of}&cursor=${encodeURIComponent(page.next_cursor)}`, operator);
  assert.deepEqual([other.status, other.body.fields], [400, ['cursor', 'number']]);
  for (const [asked, reason] of [
    ['*', /`number` needs at least one character/],
    ['0*3', /`number` may have a \* at its end only/],
  ] as const) {
    const { status, body } = await api.get(`/cdrs?${of}&number=${asked}`, operator);
    assert.equal(status, 400);
    assert.match(body.error, reason);
  }
});

test('where the country is not known, or another than it was, as an answer shows it, or in E.164', async () => {
  const account = await newAccount('DE');
  await store([{ accountCode: account.code, cli: '03023125001', callId: 'before' }]);
  for (const country of [null, 'AT', 'US']) {
    await pool.query('UPDATE calls.accounts SET country = $1 WHERE i_account = $2', [
      country,
      account.iAccount,
    ]);
    for (const way of ['03023125001', '%2B493023125001', '00493023125001', '030*', '%2B4930*', '0*'])
      if (!(country === 'US' && way.startsWith('00')))
        assert.deepEqual(
          ids(await list(`i_account=${account.iAccount}&cli=${way}`)),
          ['before'],
          `${country} ${way}`,
        );
  }
  await pool.query('UPDATE calls.accounts SET country = NULL WHERE i_account = $1', [account.iAccount]);
  await store([{ accountCode: account.code, cli: '03023125002', callId: 'without' }]);
  await pool.query(`UPDATE calls.accounts SET country = 'DE' WHERE i_account = $1`, [account.iAccount]);
  assert.deepEqual(ids(await list(`i_account=${account.iAccount}&cli=03023125002`)), ['without']);
  assert.deepEqual(ids(await list(`i_account=${account.iAccount}&cli=030231250*&order=asc`)).sort(), [
    'before',
    'without',
  ]);
});

test('support still cannot search by number, whatever its writing', async () => {
  const support = await api.key('support');
  for (const way of ['03023125001', '%2B493023125001', '0*', 'tel:%2B493023125001'])
    for (const column of ['cli', 'cld', 'number'])
      assert.equal((await api.get(`/cdrs?i_account=${DE.iAccount}&${column}=${way}`, support)).status, 403);
});

test('of random numbers: every way that an answer shows one finds its call, and what does not match is not found', async (t) => {
  const seed = printedSeed(t);
  const countries = ['DE', 'US', 'GB', 'ES', 'IT', 'RU', null];
  const digits = (length: number) => fc.stringMatching(new RegExp(`^[0-9]{${length}}$`));
  const number = fc.oneof(
    digits(4),
    digits(8).map((n) => `030${n}`),
    digits(8).map((n) => `+4930${n}`),
    digits(7).map((n) => `00442079${n.slice(1)}`),
    digits(7).map((n) => `1202${n}`),
    digits(7).map((n) => `0114420${n}`),
    digits(7).map((n) => `+1 202 ${n}`),
    digits(8).map((n) => `*31#+4930${n}`),
    digits(7).map((n) => `sip:+49302${n}@host;user=phone`),
    fc.constantFrom(
      'anonymous',
      '*97',
      'a\\b',
      'x*y',
      'Ann <1002>',
      ' 1003',
      '+',
      '%',
      '_%',
      'Ä',
      '１２３４',
    ),
    fc.string({ minLength: 1, maxLength: 20 }).filter((text) => text.trim() !== '' && !text.includes('\0')),
  );
  const drawn = fc.sample(fc.tuple(number, number), { seed, numRuns: 240 });
  for (const country of countries) {
    const { code, iAccount } = await newAccount(country);
    await store(
      drawn.map(([cli, cld], n) => ({
        accountCode: code,
        startTime: T0 + n * 1000,
        cli,
        cld,
        callId: `${code}-${n}`,
      })),
    );
    const all: Json[] = (await list(`i_account=${iAccount}&limit=250`)).data;
    assert.equal(all.length, drawn.length);
    for (const call of all.filter((_, n) => n % 10 === 0)) {
      for (const column of ['cli', 'cld'] as const) {
        const shown = [call[column], call[`${column}_in`]].filter((text) => text);
        const ways = shown.flatMap((text: string): [query: string, asked: string, isBegin: boolean][] => {
          const begin = text.slice(0, 1 + (call.i_cdr % text.length));
          const whole: [string, string, boolean] = [value(text), text, false];
          // Half of a pair of surrogates is no text.
          return begin.isWellFormed() ? [whole, [`${value(begin)}*`, begin, true]] : [whole];
        });
        for (const [query, asked, isBegin] of ways) {
          const found: Json[] = (await list(`i_account=${iAccount}&limit=250&${column}=${query}`)).data;
          assert.ok(
            found.some(({ i_cdr }) => i_cdr === call.i_cdr),
            `${country}: ${query} finds ${shown}`,
          );
          for (const other of found) {
            const numbers = JSON.stringify([other[column], other[`${column}_in`]]);
            assert.ok(
              matches(other, column, asked, isBegin, country),
              `${country}: ${query} found ${numbers}`,
            );
          }
        }
      }
    }
  }

  /** Told plainly: it is shown so, or begins so, or is read as the same E.164. */
  function matches(
    call: Json,
    column: 'cli' | 'cld',
    asked: string,
    isBegin: boolean,
    country: string | null,
  ): boolean {
    const texts = asked.startsWith(' ') ? [asked, `+${asked.slice(1)}`] : [asked];
    return [call[column], call[`${column}_in`]].some((shown: string | null) =>
      texts.some((text) => {
        if (shown === null) return false;
        if (!isBegin) return shown === text || reader.read(text, country).number === shown;
        const begin = reader.readBegin(text, country);
        return shown.startsWith(text) || (begin !== null && shown.startsWith(begin));
      }),
    );
  }
});
