import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asText, asWhole, Fault } from './readers.ts';
import { environmentName, Faults, missing, optional, readSettings, setting } from './settings.ts';

const group = {
  service: 'hello',
  table: {
    greeting: setting('Hello', 'The greeting', asText),
    poolSize: setting('10', 'Connections', asWhole(1, 100)),
    key: optional('A key', () => assert.fail(), { secret: true }),
    shared: setting('a', 'One with a name of its own', asText, { env: 'SHARED_NAME' }),
  },
};
const read = (environment: Record<string, string>) => readSettings(environment, [group], ['hello']);

test('the variable of a setting is made of its service and its name, unless the setting names its own', () => {
  assert.deepEqual(
    Object.keys(group.table).map((name) => environmentName(group, name)),
    ['HELLO_GREETING', 'HELLO_POOL_SIZE', 'HELLO_KEY', 'SHARED_NAME'],
  );
});

test('an unset or empty setting has its default, or no value', () => {
  const { values, faults } = read({ HELLO_POOL_SIZE: '', SHARED_NAME: 'b' });
  assert.deepEqual(values, [{ greeting: 'Hello', poolSize: 10, shared: 'b' }]);
  assert.deepEqual(faults, []);
});

test('all faults are reported, none with a secret value', () => {
  const table = {
    ...group.table,
    key: optional(
      'A key',
      () => {
        throw new Fault('a long text');
      },
      { secret: true },
    ),
    list: setting('', 'A list', () => {
      throw new Faults(['entry 1 is wrong', 'entry 2 is wrong']);
    }),
  };
  const { faults } = readSettings(
    { HELLO_POOL_SIZE: 'x', HELLO_KEY: 'hunter2', HELLO_LIST: '[]' },
    [{ service: 'hello', table }],
    ['hello'],
  );
  assert.deepEqual(faults, [
    'HELLO_POOL_SIZE: "x" is not a whole number from 1 to 100',
    'HELLO_KEY: its value is not a long text',
    'HELLO_LIST: entry 1 is wrong',
    'HELLO_LIST: entry 2 is wrong',
  ]);
});

test('an unknown name that begins with a service is refused with the nearest setting; the variables of Kubernetes are not refused', () => {
  for (const [wrong, right] of [
    ['HELLO_GRETING', 'HELLO_GREETING'],
    ['HELLO_POOLSIZE', 'HELLO_POOL_SIZE'],
    ['HELLO_KEYS', 'HELLO_KEY'],
  ])
    assert.deepEqual(read({ [wrong!]: 'x' }).faults, [
      `${wrong}: there is no such setting; the nearest is ${right}`,
    ]);
  const links = {
    HELLO_SERVICE_HOST: '10.0.0.1',
    HELLO_SERVICE_PORT: '1',
    HELLO_PORT_3012_TCP_ADDR: '10.0.0.1',
  };
  assert.deepEqual(read({ ...links, OTHER_GRETING: 'x', HELLOS: 'x' }).faults, []);
});

test('a setting that needs others names all missing ones', () => {
  const needs = [
    { name: 'A', all: ['B', 'C'], why: 'so it is' },
    { name: 'D', oneOf: ['E', 'F'], why: 'so it is' },
  ];
  assert.deepEqual(missing(needs, { B: '1' }), []);
  assert.deepEqual(missing(needs, { A: '1', C: '', D: '1' }), [
    'A needs B and C: so it is',
    'D needs E or F: so it is',
  ]);
  assert.deepEqual(missing(needs, { A: '1', B: '1', C: '1', D: '1', F: '1' }), []);
});
