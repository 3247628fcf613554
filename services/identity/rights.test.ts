/** The table of rights, written out a second time, by hand: every who, every right, every relation. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MACHINE_SCOPES, ORGANIZATION_ROLES, PROVIDER_ROLES, SCOPE_OF_ROLE, SCOPES } from './contract.ts';
import { judge, RELATIONS, RIGHTS, type Right, WHO } from './rights.ts';

/**
 * A line a right, a column a caller. Y: own organization and below. O: own, refused below. -: refused in both.
 * The provider's own see every organization; for all others another organization does not exist.
 */
const EXPECTED = `
                      operator support owner billing technician reader customer ingest notify
calls.read            Y        Y       Y     Y       Y          Y      Y        -      -
calls.write           Y        -       -     -       -          -      -        Y      -
numbers.read          Y        -       Y     -       Y          Y      Y        -      -
cost.read             Y        Y       Y     Y       -          Y      Y        -      -
exports.read          Y        Y       Y     Y       -          -      Y        -      -
orders.read           Y        Y       Y     Y       -          -      -        -      -
orders.write          Y        -       Y     O       -          -      -        -      -
invoices.read         Y        Y       Y     Y       -          -      -        -      -
webhooks.read         Y        Y       Y     -       Y          -      -        -      -
webhooks.write        Y        -       Y     -       O          -      -        -      -
own_keys.write        Y        -       Y     -       O          -      -        -      -
keys.read             Y        Y       Y     -       -          -      -        -      -
keys.write            Y        -       Y     -       -          -      -        -      -
people.read           Y        Y       Y     -       -          -      -        -      -
people.write          Y        -       Y     -       -          -      -        -      -
organizations.write   Y        -       Y     -       -          -      -        -      -
messages.send         Y        -       -     -       -          -      -        -      Y
system.write          Y        -       -     -       -          -      -        -      -
`;

const THE_PROVIDERS = ['operator', 'support', 'ingest', 'notify'];

const [head = '', ...lines] = EXPECTED.split('\n').filter((line) => line.trim() !== '');
const columns = head.trim().split(/\s+/);

test('every caller, every right, in the own organization, below it and in another one: 200, 403 or 404', () => {
  const expected: Record<string, number> = {};
  for (const line of lines) {
    const [right, ...cells] = line.trim().split(/\s+/);
    for (const [index, who] of columns.entries()) {
      const cell = cells[index]!;
      const own = cell === '-' ? 403 : 200;
      expected[`${who} ${right} own`] = own;
      expected[`${who} ${right} below`] = cell === 'Y' ? 200 : 403;
      expected[`${who} ${right} other`] = THE_PROVIDERS.includes(who) ? own : 404;
    }
  }
  const actual: Record<string, number> = {};
  for (const who of WHO)
    for (const right of Object.keys(RIGHTS) as Right[])
      for (const relation of RELATIONS) actual[`${who} ${right} ${relation}`] = judge(who, right, relation);
  assert.equal(Object.keys(actual).length, 9 * 18 * 3);
  assert.deepEqual(actual, expected);
});

test('every role and every scope of a machine is in the table, once', () => {
  const words = new Set<string>([...PROVIDER_ROLES, ...ORGANIZATION_ROLES, ...MACHINE_SCOPES]);
  assert.deepEqual(WHO.toSorted(), [...words].toSorted());
});

test('no narrow role of an organization has a token that passes for a scope of today', () => {
  const keyScopes: readonly string[] = SCOPES;
  const passing = Object.entries(SCOPE_OF_ROLE).filter(([, scope]) => keyScopes.includes(scope));
  assert.deepEqual(passing, [
    ['operator', 'operator'],
    ['support', 'support'],
    ['owner', 'customer'],
  ]);
});
