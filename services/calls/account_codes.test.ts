import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sqlBuilder } from '#platform/database/statement.ts';
import { testDatabase } from '#tests/postgres.ts';
import { CODE_EDGES, foldedCode, tidyCode } from './account_codes.ts';
import { TIDIED_CODE } from './store/intake.ts';

const { pool } = await testDatabase();

const CODES = [
  ...[
    'acme',
    ' acme',
    'acme ',
    '\u00a0acme\u200b',
    '\u200bacme\ufeff\u2060 \t',
    'a b',
    ' a  b ',
    '',
    ' \u200b\u00a0',
  ],
  ...[
    'caf\u00e9',
    'cafe\u0301',
    ' cafe\u0301',
    '\u3000x\u3000',
    '\u0085x',
    'x\u180e',
    '\u200ex',
    '0',
    '-',
    'a\u200bb',
  ],
  ...[...CODE_EDGES].map((edge) => `${edge}a${edge}`),
];

test('white space and what has no width is taken off both ends, and letters are put together', () => {
  const tidied = CODES.slice(0, 9).map(tidyCode);
  assert.deepEqual(tidied, ['acme', 'acme', 'acme', 'acme', 'acme', 'a b', 'a  b', '', '']);
  assert.equal(tidyCode('cafe\u0301 '), 'caf\u00e9');
  for (const edge of CODE_EDGES)
    assert.equal(tidyCode(`${edge}a${edge}`), 'a', edge.codePointAt(0)!.toString(16));
  for (const space of ' \t\n\v\f\r\u0085\u00a0\u1680\u2028\u2029\u202f\u205f\u3000')
    assert.ok(CODE_EDGES.includes(space));
  assert.equal(tidyCode('a\u200bb'), 'a\u200bb', 'within it stays');
  assert.equal(tidyCode('\u180ex'), '\u180ex', 'which is no white space');
  assert.equal(foldedCode(' ÄCME'), foldedCode('a\u0308cme '));
});

test('PostgreSQL tidies a code as this does, by an index', async () => {
  const { sql } = TIDIED_CODE.compile(sqlBuilder());
  const { rows } = await pool.query(`SELECT code, ${sql} AS tidied FROM unnest($1::text[]) AS code`, [CODES]);
  for (const { code, tidied } of rows) assert.equal(tidied, tidyCode(code), JSON.stringify(code));
});
