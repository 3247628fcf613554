import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AnyModule, ModuleStartError, startModules, startOrder } from './modules.ts';

interface Parts {
  a: string;
  b: string;
  c: string;
}

const told: string[] = [];
const module = (name: keyof Parts, needs: (keyof Parts)[], fails = false): AnyModule<Parts> => ({
  name,
  needs,
  purpose: '',
  start: async (_needs: unknown, lifetime: { onStop(what: string, stop: () => unknown): void }) => {
    told.push(`start ${name}`);
    lifetime.onStop('first', () => told.push(`stop ${name} first`));
    lifetime.onStop('last', () => told.push(`stop ${name} last`));
    if (fails) throw new Error('CALLS_PORT: 3006 is taken');
    return name;
  },
});

test('modules start after their needs and stop in reverse, their own steps in reverse too', async () => {
  told.length = 0;
  const running = await startModules(
    [module('c', ['b']), module('b', ['a']), module('a', [])],
    ['c'],
    assert.fail,
  );
  assert.deepEqual(running.parts, { a: 'a', b: 'b', c: 'c' });
  await running.stop();
  await running.stop();
  assert.deepEqual(told, [
    ...['start a', 'start b', 'start c'],
    ...['stop c last', 'stop c first', 'stop b last', 'stop b first', 'stop a last', 'stop a first'],
  ]);
});

test('when a module fails, the running ones are stopped, and the error names it with its reason', async () => {
  told.length = 0;
  const modules = [module('a', []), module('b', ['a'], true), module('c', ['b'])];
  await assert.rejects(startModules(modules, ['c'], assert.fail), (error) => {
    assert.ok(error instanceof ModuleStartError);
    assert.equal(error.message, 'b did not start: CALLS_PORT: 3006 is taken');
    return true;
  });
  assert.deepEqual(told, [
    'start a',
    'start b',
    'stop b last',
    'stop b first',
    'stop a last',
    'stop a first',
  ]);
});

test('a stop step that fails is reported and does not keep the others from running', async () => {
  const reports: string[] = [];
  const stopped: string[] = [];
  const only: AnyModule<Parts> = {
    ...module('a', []),
    start: async (_needs: unknown, lifetime: { onStop(what: string, stop: () => unknown): void }) => {
      lifetime.onStop('well', () => stopped.push('well'));
      lifetime.onStop('badly', () => Promise.reject(new Error('no')));
      return 'a';
    },
  };
  const running = await startModules([only], ['a'], (what, error) => reports.push(`${what}: ${error}`));
  await running.stop();
  assert.deepEqual(stopped, ['well']);
  assert.deepEqual(reports, ['a: badly: Error: no']);
});

test('unknown names and circles are refused', () => {
  assert.throws(() => startOrder([module('a', [])], ['x']), /no module is called "x"; there are: a/);
  assert.throws(() => startOrder([module('a', ['b']), module('b', ['a'])], ['a']), /a -> b -> a/);
});
