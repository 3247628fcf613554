/** Whatever comes in is answered in the API's form, and nothing of it is a fault of the service. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testApi } from '#tests/calls_api.ts';
import { assertAnswer, tryMalformedRequests, tryOddRequests } from '#tests/odd_requests.ts';
import { requestBytes, sendRaw } from '#tests/raw_http.ts';

const api = await testApi();
const { url } = api.calls;
const operator = await api.key('operator');
await api.account('acme');

test('odd requests against every route', async () => {
  await tryOddRequests(url, operator, 3_000);
});

test('what names no thing that there can be, and methods that a route has not, are said to be that', async () => {
  const big = 'a'.repeat(300);
  for (const [method, path, status, code] of [
    ['GET', `/cdrs/${'9'.repeat(300)}`, 414, 'address_too_long'],
    ['GET', '/docs/static/%2e%2e/package.json', 404, 'not_found'],
    ['GET', '/docs/static/..%2f..%2fpackage.json', 404, 'not_found'],
    ['QUERY', '/cdrs', 405, 'method_not_allowed'],
    ['QUERY', '/nowhere', 404, 'not_found'],
    ['GET', `/docs/static/${big}`, 404, 'not_found'],
    ['GET', '/cdrs/%', 400, 'bad_request'],
    ['GET', '/cdrs/%zz', 400, 'bad_request'],
    ['GET', '/nowhere', 404, 'not_found'],
    ['PUT', '/cdrs', 405, 'method_not_allowed'],
    ['DELETE', '/cdrs/202611000000001', 405, 'method_not_allowed'],
    ['TRACE', '/health/live', 405, 'method_not_allowed'],
    ['OPTIONS', '/consumption', 405, 'method_not_allowed'],
    ['PROPFIND', '/cdrs/', 405, 'method_not_allowed'],
  ] as const) {
    const answer = await sendRaw(url, requestBytes(method, path));
    assertAnswer(answer, method, `${method} ${path}`);
    assert.deepEqual([answer!.status, JSON.parse(answer!.body).code], [status, code], `${method} ${path}`);
  }
  const allowed = await sendRaw(url, requestBytes('PUT', '/cdrs?x=1'));
  assert.equal(allowed?.headers.get('allow'), 'GET, POST');
  const head = await sendRaw(url, requestBytes('HEAD', '/cdrs'));
  assert.deepEqual([head?.status, head?.headers.get('allow'), head?.body], [405, 'GET, POST', '']);
});

test('what is no request is answered in the same form, and its connection closed', () =>
  tryMalformedRequests(url, '/cdrs'));
