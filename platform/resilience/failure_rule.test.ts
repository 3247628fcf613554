import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { TimeoutError } from '#platform/lifecycle/within.ts';
import { isConnectionLost, judgeError, type Outcome } from './failure_rule.ts';

const withCode = (code: string, message = 'something happened', more: object = {}) =>
  Object.assign(new Error(message), { code, ...more });

const cases: readonly (readonly [what: string, error: unknown, expected: Outcome])[] = [
  ['connection exception', withCode('08000'), 'failure'],
  ['connection failure', withCode('08006'), 'failure'],
  ['an error of PgBouncer', withCode('08P01', 'query_wait_timeout'), 'failure'],
  ['administrator shut it down', withCode('57P01'), 'failure'],
  ['a crash of another backend', withCode('57P02'), 'failure'],
  ['starting up', withCode('57P03'), 'failure'],
  ['database dropped', withCode('57P04'), 'failure'],
  ['idle session ended', withCode('57P05'), 'failure'],
  ['too many connections', withCode('53300'), 'failure'],
  ['the primary has become a replica', withCode('25006'), 'failure'],
  ['statement timeout', withCode('57014', 'canceling statement due to statement timeout'), 'failure'],
  ['cancelled by us', withCode('57014', 'canceling statement due to user request'), 'neutral'],
  ['unique violation', withCode('23505'), 'success'],
  ['bad number', withCode('22P02'), 'success'],
  ['no such column', withCode('42703'), 'success'],
  ['deadlock', withCode('40P01'), 'success'],
  ['disk full', withCode('53100'), 'neutral'],
  ['out of memory', withCode('53200'), 'neutral'],
  ['internal error', withCode('XX000'), 'neutral'],
  ['wrong password', withCode('28P01'), 'neutral'],
  ['refused', withCode('ECONNREFUSED'), 'failure'],
  ['reset', withCode('ECONNRESET'), 'failure'],
  ['broken pipe', withCode('EPIPE'), 'failure'],
  ['network timeout', withCode('ETIMEDOUT'), 'failure'],
  ['no such host', withCode('ENOTFOUND'), 'failure'],
  ['no socket file', withCode('ENOENT', 'connect ENOENT', { syscall: 'connect' }), 'failure'],
  ['no other file', withCode('ENOENT', 'no such file', { syscall: 'open' }), 'neutral'],
  ['our timeout', new TimeoutError('query', 30_000), 'failure'],
  ['pg: connection lost', new Error('Connection terminated unexpectedly'), 'failure'],
  ['pg: connect timeout', new Error('Connection terminated due to connection timeout'), 'failure'],
  ['pg: connect timeout of a client', new Error('timeout expired'), 'failure'],
  ['pg: pool timeout', new Error('timeout exceeded when trying to connect'), 'failure'],
  ['pg: read timeout', new Error('Query read timeout'), 'failure'],
  [
    'pg: broken client',
    new Error('Client has encountered a connection error and is not queryable'),
    'failure',
  ],
  ['wrapped', new Error('could not read calls', { cause: withCode('ECONNRESET') }), 'failure'],
  ['wrapped bad request', new Error('could not read calls', { cause: withCode('22007') }), 'success'],
  ['the outer error decides first', withCode('23505', 'x', { cause: withCode('ECONNRESET') }), 'success'],
  ['aborted', new DOMException('the client has gone', 'AbortError'), 'neutral'],
  ['a fault of our own', new TypeError('undefined is not a function'), 'neutral'],
  ['no error at all', 'text', 'neutral'],
  ['nothing', undefined, 'neutral'],
];

for (const [what, error, expected] of cases) {
  test(`${what}: ${expected}`, () => assert.equal(judgeError(error), expected));
}

test('causes that form a circle end', () => {
  const first = new Error('first');
  first.cause = new Error('second', { cause: first });
  assert.equal(judgeError(first), 'neutral');
});

test('what Node itself says of a port where nobody listens is a failure', async () => {
  const error = await new Promise<unknown>((resolve) => {
    // Port 1 of the loopback address: nothing listens there.
    connect(1, '127.0.0.1').once('error', resolve);
  });
  assert.equal(judgeError(error), 'failure');
});

const LOST = [
  'connection exception',
  'connection failure',
  'an error of PgBouncer',
  'administrator shut it down',
  'a crash of another backend',
  'starting up',
  'idle session ended',
  'refused',
  'reset',
  'broken pipe',
  'no socket file',
  'pg: connection lost',
  'pg: broken client',
  'wrapped',
];

test('of these, a connection lost, refused or told to go is worth another try; no timeout is, nor a full server', () => {
  const lost = cases.filter(([, error]) => isConnectionLost(error)).map(([what]) => what);
  assert.deepEqual(lost, LOST);
});
