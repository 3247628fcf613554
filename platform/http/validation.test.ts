import assert from 'node:assert/strict';
import { test } from 'node:test';
import { validatorCompiler } from './validation.ts';

test('numbers and booleans of a query are parsed in their only allowed notation', () => {
  const schema = {
    type: 'object',
    properties: { limit: { type: 'integer' }, least: { type: 'number' }, total: { type: 'boolean' } },
  } as const;
  const check = validatorCompiler({ schema, method: 'GET', url: '/', httpPart: 'querystring' }) as (
    values: object,
  ) => boolean;
  const values = { limit: '12', least: '-0.5', total: 'false' };
  assert.ok(check(values));
  assert.deepEqual(values, { limit: 12, least: -0.5, total: false });
  for (const limit of [
    '0x10',
    '1e3',
    ' 5',
    '5 ',
    '+5',
    '',
    '1.5',
    '٣',
    'NaN',
    '1_000',
    '9'.repeat(30),
    ['1', '2'],
  ])
    assert.ok(!check({ limit }), String(limit));
  for (const total of ['TRUE', '1', 'yes', '']) assert.ok(!check({ total }), total);
});
