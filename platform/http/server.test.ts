import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { createLogger } from '#platform/telemetry/logger.ts';
import { httpError } from './errors.ts';
import { createServer } from './server.ts';

const lines: string[] = [];
const server = await createServer({
  name: 'test',
  title: 'Test',
  description: '',
  version: '1',
  logger: createLogger('test', 'info', { write: (line: string) => void lines.push(line) }),
  registry: new Registry(),
  corsOrigins: [],
});
server.get('/refused', () => {
  throw httpError('unavailable', { cause: new Error('the cause') });
});
server.get('/broken', () => {
  throw new Error('a mistake');
});

server.post('/taken', (request) => ({ body: request.body }));

const NUMBER = '493023125001';

test('an address that cannot be read is answered in the form of every error', async () => {
  const answer = await server.inject('/%');
  assert.equal(answer.statusCode, 400);
  const { success, code, error, request_id } = answer.json();
  assert.deepEqual([success, code], [false, 'bad_request']);
  assert.match(error, /%25/);
  assert.equal(answer.headers['x-request-id'], request_id);
});

test('a JSON body that is not UTF-8 is refused with the position of the fault', async () => {
  const post = (payload: Buffer) =>
    server.inject({
      method: 'POST',
      url: '/taken',
      payload,
      headers: { 'content-type': 'application/json' },
    });
  for (const [body, fault] of [
    [Buffer.from('{"a":"\xfc"}', 'latin1'), 'the byte 0xFC at position 6'],
    [Buffer.from('{"a":"\xc3\xbc \xed\xa0\x80"}', 'latin1'), 'the byte 0xED at position 9'],
    [Buffer.from('{"a":1}\xef\xbf', 'latin1'), 'it ends within a character at position 9'],
  ] as const) {
    const answer = await post(body);
    assert.equal(answer.statusCode, 400);
    assert.match(answer.json().error, new RegExp(`not UTF-8, as JSON must be: ${fault}$`));
  }
  assert.deepEqual((await post(Buffer.from('{"a":"\u00fc\ufffd"}'))).json(), { body: { a: '\u00fc\ufffd' } });
  for (const odd of ['', '{', '{"__proto__":1}'])
    assert.equal((await post(Buffer.from(odd))).json().code, 'bad_request', odd);
});

test('a refusal is a warning without a stack, a mistake is an error with one', async () => {
  lines.length = 0;
  assert.equal((await server.inject('/refused')).statusCode, 503);
  const refused = lines.map((line) => JSON.parse(line)).find(({ msg }) => msg === 'request refused');
  assert.deepEqual([refused.level, refused.code], ['warn', 'unavailable']);
  assert.ok(!lines.join('').includes('"stack"'));

  lines.length = 0;
  assert.equal((await server.inject('/broken')).statusCode, 500);
  const failed = lines.map((line) => JSON.parse(line)).find(({ msg }) => msg === 'request failed');
  assert.equal(failed.level, 'error');
  assert.ok(failed.err.stack.includes('a mistake'));
});

test("a client's request id is used unless it could be a phone number", async () => {
  const sent = async (id: string) =>
    (await server.inject({ url: '/refused', headers: { 'x-request-id': id } })).headers['x-request-id'];
  for (const id of [
    'follow-me',
    'a1',
    '12345678-1234-4123-8123-1234567890ab',
    '0af7651916cd43dd8448eb211c80319c',
  ])
    assert.equal(await sent(id), id);
  for (const id of [NUMBER, `a${NUMBER}`, '4930-2312-5001', `call-${NUMBER}`])
    assert.notEqual(await sent(id), id);
});

test('the answer names the fault of a body', async () => {
  const sent = async (payload: string, headers: Record<string, string> = {}) => {
    const all = { 'content-type': 'application/json', ...headers };
    const answer = await server.inject({ method: 'POST', url: '/taken', payload, headers: all });
    return [answer.statusCode, answer.json().error];
  };
  assert.deepEqual(await sent(''), [400, 'The body is empty; it should be JSON']);
  for (const body of [
    '{"a":',
    '[1,]',
    '{"__proto__":{"x":1}}',
    '{"a":{"constructor":{"prototype":1}}}',
    '\u0000',
  ]) {
    const [status, error] = await sent(body);
    assert.equal(status, 400, body);
    assert.match(error, /^The body is not JSON/);
  }
  for (const encoding of ['gzip', 'x-gzip', 'br', 'deflate', 'zstd', 'GZIP, identity']) {
    const [status, error] = await sent('{}', { 'content-encoding': encoding });
    assert.equal(status, 415, encoding);
    assert.match(error, /Content-Encoding/);
  }
  assert.equal((await sent('{}', { 'content-encoding': 'identity' }))[0], 200);
});

test('an unsupported method is 405 with the methods of the address, or 404; a route that finds no file is 404', async () => {
  const asked = async (method: string, url: string) => {
    const answer = await server.inject({ method: method as 'GET', url });
    return [answer.statusCode, answer.headers.allow];
  };
  for (const method of ['QUERY', 'PUT', 'PROPFIND', 'TRACE'])
    assert.deepEqual(await asked(method, '/taken'), [405, 'POST'], method);
  assert.deepEqual(await asked('QUERY', '/nothing'), [404, undefined]);
  for (const file of ['..%2f..%2fpackage.json', '%2e%2e/package.json', 'nothing.js', '..%5cpackage.json'])
    assert.deepEqual(await asked('GET', `/docs/static/${file}`), [404, undefined], file);
});

test('with CORS an unknown address is the same 404, whatever the method; a preflight of a known one passes', async () => {
  const open = await createServer({
    name: 'test',
    title: 'Test',
    description: '',
    version: '1',
    logger: createLogger('test', 'info', { write: () => undefined }),
    registry: new Registry(),
    corsOrigins: ['https://shop.example'],
  });
  open.post('/taken', () => ({}));
  const preflight = { origin: 'https://shop.example', 'access-control-request-method': 'POST' };
  const asked = async (method: string, url: string, headers: Record<string, string> = {}) => {
    const { statusCode, body, headers: has } = await open.inject({ method: method as 'GET', url, headers });
    return [statusCode, body && JSON.parse(body).code, has.allow, has['access-control-allow-methods']];
  };
  const unknown = [404, 'not_found', undefined, undefined];
  for (const method of ['GET', 'POST', 'OPTIONS', 'PUT']) {
    assert.deepEqual(await asked(method, '/nothing'), unknown, method);
    assert.deepEqual(await asked(method, '/nothing?a=1', preflight), unknown, method);
  }
  assert.deepEqual(await asked('OPTIONS', '/taken', preflight), [204, '', undefined, 'GET,HEAD,POST']);
  assert.deepEqual(await asked('OPTIONS', '/taken'), [405, 'method_not_allowed', 'POST', undefined]);
  assert.deepEqual(await asked('GET', '/taken', preflight), [405, 'method_not_allowed', 'POST', undefined]);
});
