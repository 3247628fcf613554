/** What is erased is nowhere any more, in no table and no writing; sums stay, others' data stays, and nothing comes back by itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Pool, withSession } from '#platform/database/pool.ts';
import { SCHEMAS } from '#system';
import { callRow, testImportSource } from '#tests/calls.ts';
import { type FilledColumn, fillTables, tablesOf } from '#tests/filled_tables.ts';
import { testDatabase } from '#tests/postgres.ts';
import { createAccount } from '../accounts/accounts.ts';
import { adviceForPost } from '../api/posts/advice.ts';
import { takeIn } from '../intake/intake.ts';
import { ensureMonths } from '../partitions.ts';
import { forgetHeard } from '../pseudonyms/erased.ts';
import { discardRejected } from '../store/rejected.ts';
import { eraseAccount } from './erase_account.ts';
import { allowNumber, type EraseOptions, eraseNumber } from './erase_number.ts';

const BY = { id: 'terminal:test', name: 'test' };
const APPLY: EraseOptions = {
  by: BY,
  schemas: SCHEMAS.map(({ schema }) => schema),
  apply: true,
  onProgress: () => undefined,
  heardMs: 0,
};
const NEW = { name: 'x', currency: 'EUR', timeZone: 'UTC', country: 'DE' };
const CODE = 'acme-gone';
const NUMBER = '+493023125001';

/** Tables of the whole database that hold a text anywhere, bytes included. */
async function holding(pool: Pool, text: string): Promise<string[]> {
  const { rows } = await pool.query<{ name: string }>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`,
  );
  const found: string[] = [];
  for (const { name } of rows) {
    const hit = await pool.query(
      `SELECT 1 FROM ${name} t WHERE strpos(t::text, $1) > 0 OR strpos(t::text, encode($1::bytea, 'hex')) > 0 LIMIT 1`,
      [text],
    );
    if (hit.rowCount) found.push(name);
  }
  return found.toSorted();
}

/** A row in every table, in whose every text stands this one. */
async function filled(text: string, more: (column: FilledColumn) => string | undefined): Promise<Pool> {
  const { pool } = await testDatabase();
  await ensureMonths(pool, [202610]);
  const json = JSON.stringify({ a: `"${text}"`, n: [{ [text]: 1 }], i_account: 7, i_cdr: 7 });
  await fillTables(pool, (column) => {
    const wanted = more(column);
    if (wanted !== undefined) return wanted;
    if (/\.(audit|erasures|secrets)$/.test(column.table)) return undefined;
    // Names of queues and topics are the program's own.
    if (/^messaging\./.test(column.table) && /^(queue|topic|state|cause|paused_by)$/.test(column.column))
      return undefined;
    if (column.type === 'text') return `'${text}'`;
    if (column.type === 'text[]') return `ARRAY['a', '${text}']`;
    if (column.type === 'jsonb' || column.type === 'json') return `'${json}'`;
    if (`${column.table}.${column.column}` === 'calls.rejected_cdrs.bytes')
      return `convert_to('7,"${text}",x', 'UTF8')`;
    return undefined;
  });
  return pool;
}

const LONG_AGO = `'2020-01-01Z'`;

test('an account is in no table any more but the audit trail, whatever tables there are', async () => {
  const pool = await filled(`x ${CODE}: y`, (column) => {
    const name = `${column.table}.${column.column}`;
    if (name === 'calls.accounts.code') return `'${CODE}'`;
    if (name === 'calls.followed_sources.held_until') return LONG_AGO;
    return undefined;
  });
  await pool.query(
    `INSERT INTO identity.api_keys (i_key, name, hash, prefix, scope, i_account) VALUES (8, $1, '\\x01', 'tl_', 'customer', 7)`,
    [`${CODE}'s console`],
  );
  const before = await holding(pool, CODE);
  assert.ok(before.length > 15, before.join());
  const dry = await eraseAccount(pool, CODE, { ...APPLY, apply: false });
  assert.deepEqual(await holding(pool, CODE), before);
  assert.deepEqual(
    [dry.counts.cdrs, dry.counts.usage_quarters, dry.counts['identity.api_keys'], dry.counts.rejected_cdrs],
    [1, 1, 2, 1],
  );
  const { counts } = await eraseAccount(pool, CODE, APPLY);
  assert.deepEqual(counts, dry.counts, 'what was told before');
  assert.deepEqual(await holding(pool, CODE), []);
  for (const table of [
    'cdrs',
    'usage_quarters',
    'usage_days',
    'cdr_history',
    'provisional_rows',
    'account_sources',
    'watermarks',
  ])
    assert.equal((await pool.query(`SELECT 1 FROM calls.${table}`)).rowCount, 0, table);
  const { rows } = await pool.query(
    "SELECT subject, detail FROM calls.audit WHERE action = 'accounts.erase'",
  );
  assert.deepEqual([rows[0].subject, rows[0].detail.rows.cdrs], ['account 7', 1]);
  await assert.rejects(eraseAccount(pool, CODE, APPLY), /"acme-gone" was erased on 20/);
});

test('a number is in no table any more, in no writing; every table has as many rows as before', async () => {
  for (const text of [
    NUMBER,
    '030 23125001',
    '"Ann" <0049 (30) 231-25001>',
    'PJSIP/493023125001-0000001a',
    '%2B493023125001',
  ]) {
    const pool = await filled(text, (column) => {
      if (`${column.table}.${column.column}` === 'calls.accounts.code') return "'acme'";
      if (column.table === 'calls.former_codes' && column.column === 'code') return "'former'";
      return undefined;
    });
    const tables = await tablesOf(pool);
    const countOf = async () =>
      Object.fromEntries(
        await Promise.all(
          tables
            .filter((table) => !/\.(audit|erasures|secrets)$/.test(table))
            .map(async (table) => [table, (await pool.query(`SELECT 1 FROM ${table}`)).rowCount] as const),
        ),
      );
    const before = await countOf();
    assert.ok((await holding(pool, '25001')).length > 15);
    const dry = await eraseNumber(pool, NUMBER, { ...APPLY, apply: false });
    const { counts, pseudonym } = await eraseNumber(pool, NUMBER, APPLY);
    assert.deepEqual(await holding(pool, '25001'), [], text);
    assert.deepEqual(await countOf(), before);
    assert.deepEqual(dry.counts, counts);
    assert.match(pseudonym, /^erased-de-[a-p]{20}$/);
    assert.ok((await holding(pool, pseudonym)).length > 15);
  }
});

const sumsOf = async (pool: Pool) => {
  const { rows } = await pool.query(
    `SELECT i_account, direction, country, count(*), sum(cost) AS cost, sum(duration_s) AS s FROM calls.cdrs GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`,
  );
  const usage = await pool.query('SELECT * FROM calls.usage_quarters ORDER BY 1, 2, 3, 4, 5');
  return [rows, usage.rows];
};

test('calls of an erased number keep their sums, are one by its pseudonym, and are known when their file is read again', async () => {
  const { pool } = await testDatabase();
  const importSource = await testImportSource(pool);
  await createAccount(pool, { ...NEW, code: 'acme' }, null, BY);
  await createAccount(pool, { ...NEW, code: 'hu', country: 'HU' }, null, BY);
  const rowsOf = () => [
    callRow({
      callId: 'n-1',
      identity: 'n-1',
      cli: '030 23125001',
      startTime: Date.UTC(2026, 9, 5),
      attributes: { clid: '"Ann" <03023125001>' },
    }),
    callRow({ callId: `n-2@${NUMBER}`, identity: 'n-2', cld: NUMBER, startTime: Date.UTC(2026, 9, 6) }),
    // Another number there: Hungary's trunk prefix is 06.
    callRow({
      callId: 'n-3',
      identity: 'n-3',
      cli: '06 1 234 5678',
      cld: '03023125001',
      accountCode: 'hu',
      startTime: Date.UTC(2026, 9, 7),
    }),
  ];
  const outcomes = await takeIn(pool, importSource, rowsOf());
  assert.deepEqual(
    outcomes.map(({ kind }) => kind),
    ['stored', 'stored', 'stored'],
  );
  const before = await sumsOf(pool);
  const { pseudonym, counts } = await eraseNumber(pool, '00493023125001', APPLY);
  assert.deepEqual(counts, { cdrs: 2 });
  assert.deepEqual(await sumsOf(pool), before);
  const { rows } = await pool.query(
    'SELECT cli, cld, cli_in, call_id, attributes FROM calls.cdrs ORDER BY start_time',
  );
  assert.deepEqual([rows[0].cli, rows[0].cli_in, rows[0].attributes.clid], [pseudonym, null, pseudonym]);
  assert.deepEqual([rows[1].cld, rows[1].call_id], [pseudonym, `n-2@${pseudonym}`]);
  assert.equal(rows[2].cld, '03023125001');

  const fresh = await testImportSource(pool);
  const again = await takeIn(pool, fresh, rowsOf());
  assert.deepEqual(
    again.map(({ kind }) => kind),
    ['duplicate', 'duplicate', 'duplicate'],
  );
  const [other] = await takeIn(pool, fresh, [
    callRow({
      callId: 'n-1',
      identity: 'other',
      cli: NUMBER,
      durationS: 99,
      startTime: Date.UTC(2026, 9, 5),
    }),
  ]);
  assert.equal(other!.kind, 'conflict');
  // Found out of a row that nobody can read, too.
  const bad = callRow();
  const bytes = Buffer.from('x;"030 23125001";y');
  await takeIn(pool, fresh, [
    {
      row: { ...bad.row, bytes },
      parsed: { kind: 'rejected', rejection: { code: 'bad_time', reason: 'start is 030 23125001' } },
    },
  ]);
  assert.deepEqual(await holding(pool, '3125001'), ['calls.cdrs_202610']);
  assert.equal(
    (await pool.query("SELECT 1 FROM calls.cdrs WHERE strpos(cdrs::text, '3125001') > 0")).rowCount,
    1,
  );

  // A call that is made afterwards is another matter, and what is asked for comes back.
  const later = callRow({ callId: 'later', cli: NUMBER, startTime: Date.now() + 60_000 });
  assert.equal((await takeIn(pool, fresh, [later]))[0]!.kind, 'stored');
  assert.equal(await allowNumber(pool, NUMBER, BY), true);
  assert.equal(await allowNumber(pool, NUMBER, BY), false);
});

test('rows of an erased account are left out when their file is read again, until it is made anew', async () => {
  const { pool } = await testDatabase();
  const importSource = await testImportSource(pool);
  const rowsOf = () => [
    callRow({ accountCode: CODE, callId: 'e-1', identity: 'e-1', startTime: Date.UTC(2026, 9, 5) }),
    callRow({
      accountCode: 'acme-gone-2',
      callId: 'e-2',
      identity: 'e-2',
      startTime: Date.UTC(2026, 9, 5),
      attributes: { peer: `SIP/${CODE}-00000001` },
    }),
  ];
  await takeIn(pool, importSource, rowsOf());
  await eraseAccount(pool, CODE, APPLY);
  const codes = async () =>
    (await pool.query('SELECT code FROM calls.accounts ORDER BY 1')).rows.map(({ code }) => code);
  assert.deepEqual(await codes(), ['acme-gone-2']);
  const { rows } = await pool.query('SELECT attributes FROM calls.cdrs');
  assert.match(rows[0].attributes.peer, /^SIP\/erased-[a-p]{20}-00000001$/);

  const bad = callRow();
  const cut = {
    row: { ...bad.row, bytes: Buffer.from(`1,"${CODE}",x`) },
    parsed: { kind: 'rejected', rejection: { code: 'bad_time', reason: 'no time' } },
  } as const;
  for (let times = 0; times < 2; times++) {
    const again = await takeIn(pool, await testImportSource(pool), [...rowsOf(), cut]);
    assert.deepEqual(
      again.map(({ kind }) => kind),
      ['set_aside', 'duplicate', 'set_aside'],
    );
  }
  const erased = await pool.query("SELECT reason FROM calls.rejected_cdrs WHERE code = 'erased_account'");
  assert.equal(erased.rowCount, 1);
  const { reason } = erased.rows[0];
  assert.match(reason, /`trunkline import rejected discard --code erased_account --reason …`$/);
  assert.equal(
    adviceForPost(reason),
    'The account was erased, and so its rows are left out, all those of a source as one',
  );
  assert.equal(
    (await pool.query("SELECT 1 FROM calls.rejected_cdrs WHERE strpos(encode(bytes, 'escape'), 'acme') > 0"))
      .rowCount,
    0,
  );
  assert.deepEqual(await codes(), ['acme-gone-2']);
  await createAccount(pool, { ...NEW, code: CODE }, null, BY);
  forgetHeard(pool);
  const [taken] = await takeIn(pool, await testImportSource(pool), rowsOf());
  assert.equal(taken!.kind, 'stored');
});

test('a row that was discarded is known as before, though the number goes from the reason for which it was set aside', async () => {
  const { pool } = await testDatabase();
  const importSource = await testImportSource(pool);
  const { row } = callRow();
  const rejection = { code: 'bad_time', reason: `no time beside ${NUMBER}` } as const;
  await takeIn(pool, importSource, [{ row, parsed: { kind: 'rejected', rejection } }]);
  await withSession(pool, (session) => session.rows(discardRejected({})));
  const contents = async () => (await pool.query('SELECT content FROM calls.rejected_cdrs')).rows;
  const before = await contents();
  await eraseNumber(pool, NUMBER, APPLY);
  assert.deepEqual(await holding(pool, NUMBER), []);
  assert.deepEqual(await contents(), before);
});

test('an erasure that is cut off at any step goes on when the same is asked for again', async () => {
  const { pool } = await testDatabase();
  const text = `${CODE} ${NUMBER}`;
  await takeIn(
    pool,
    await testImportSource(pool, { file: `/var/spool/${CODE}.csv`, source: CODE }),
    ['a', 'b'].map((callId) => callRow({ accountCode: CODE, callId, startTime: Date.UTC(2026, 9, 5) })),
  );
  const other = callRow({ callId: 'c', cli: NUMBER, description: text, startTime: Date.UTC(2026, 9, 6) });
  await takeIn(pool, await testImportSource(pool), [other]);
  for (const erase of [
    (options: EraseOptions) => eraseAccount(pool, CODE, options),
    (options: EraseOptions) => eraseNumber(pool, NUMBER, options),
  ]) {
    let cut = 0;
    for (let steps = 1; ; steps++) {
      const cutOff = new AbortController();
      let left = steps;
      const onProgress = () => {
        if (--left === 0) cutOff.abort(new Error('cut off'));
      };
      const done = await erase({ ...APPLY, signal: cutOff.signal, onProgress }).catch(
        (error: Error) => error,
      );
      if (!(done instanceof Error)) break;
      assert.match(String(done), /cut off|abort/i);
      cut++;
    }
    assert.ok(cut > 5, String(cut));
  }
  assert.deepEqual(await holding(pool, CODE), []);
  assert.deepEqual(await holding(pool, '3023125001'), []);
  const { rows } = await pool.query(
    "SELECT action, detail FROM calls.audit WHERE action IN ('accounts.erase', 'numbers.erase') ORDER BY 1",
  );
  assert.deepEqual([rows[0].detail.rows.cdrs, rows[1].detail.rows.cdrs], [3, 1]);
  const imports = await pool.query(
    'SELECT stored, erased FROM calls.imports WHERE stored IN (1, 2) ORDER BY stored',
  );
  assert.deepEqual(imports.rows, [
    { stored: 1, erased: 0 },
    { stored: 2, erased: 2 },
  ]);
});

test('an account with others below it, or under whose code a file is being followed, is not erased', async () => {
  const { pool } = await testDatabase();
  await createAccount(pool, { ...NEW, code: 'holding' }, null, BY);
  await createAccount(pool, { ...NEW, code: 'branch' }, 'holding', BY);
  assert.deepEqual((await eraseAccount(pool, 'holding', { ...APPLY, apply: false })).below, ['branch']);
  await assert.rejects(eraseAccount(pool, 'holding', APPLY), /accounts stand below it: "branch"/);
  await pool.query(
    `INSERT INTO calls.followed_sources (machine, path, time_zone, held_until) VALUES ('m', '/var/branch/Master.csv', 'UTC', now() + interval '1 min')`,
  );
  await assert.rejects(eraseAccount(pool, 'branch', APPLY), /\/var\/branch\/Master.csv is being followed/);
  await createAccount(pool, { ...NEW, code: NUMBER }, null, BY);
  await assert.rejects(eraseNumber(pool, NUMBER, APPLY), /was called by this number/);
  await assert.rejects(eraseNumber(pool, '030 1', APPLY), /no telephone number in E.164/);
});
