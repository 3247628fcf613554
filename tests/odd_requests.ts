/**
 * Odd requests against every route of a service's OpenAPI document: none is answered as the service's own fault, and every
 * refusal has the one form.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type RawAnswer, requestBytes, sendRaw } from './raw_http.ts';

interface Operation {
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

const METHODS = [
  ...['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT'],
  ...['PROPFIND', 'M-SEARCH', 'PURGE', 'QUERY', 'get', 'GETT', 'X'],
];

const odd = fc.oneof(
  fc.constantFrom(
    ...[
      '',
      '0',
      '-1',
      '1',
      '1e3',
      '0x10',
      ' 5',
      '1.5',
      'NaN',
      'null',
      'true',
      '[]',
      '{}',
      '..',
      '.',
      '*',
      '%',
      '%%',
      '%2',
      '%zz',
    ],
    ...[
      '%00',
      '%ff',
      '%c0%ae',
      '%2e%2e',
      '%2f',
      '%5c',
      '%0d%0a',
      '%F0%9F%92%A9',
      '%ED%A0%80',
      '\\',
      "'",
      '__proto__',
      'constructor',
    ],
    ...[
      '9'.repeat(19),
      '9'.repeat(300),
      'a'.repeat(201),
      'a'.repeat(5_000),
      '9007199254740993',
      '99999999999999999999',
      '202611',
    ],
    ...[
      '2026-11-01T00:00:00Z',
      '+275760-09-13T00:00:00Z',
      '0000-00-00',
      '9999-12-31T23:59:60Z',
      'Europe/Berlin',
      'constructor.x',
    ],
  ),
  fc.string().map(encodeURIComponent),
  fc.string({ unit: 'binary', maxLength: 30 }).map((text) => encodeURIComponent(text.toWellFormed())),
  fc.integer().map(String),
  fc.double().map(String),
);

const BODY_TYPES = [
  ...[
    'application/json',
    'application/json; charset=utf-8',
    'application/json; charset=latin1',
    'text/plain',
    'text/xml',
  ],
  ...[
    'application/x-www-form-urlencoded',
    'application/x-www-form-base64-encoded',
    'multipart/form-data',
    'x',
    '',
    'a/b; =',
    'application/*',
  ],
];

const oddHeaders = fc.dictionary(
  fc.constantFrom(
    ...[
      'accept',
      'content-type',
      'request-timeout',
      'read-after',
      'x-request-id',
      'if-none-match',
      'range',
      'expect',
      'origin',
    ],
    ...[
      'content-encoding',
      'accept-encoding',
      'upgrade',
      'transfer-encoding',
      'if-modified-since',
      'last-event-id',
      'cookie',
      'te',
    ],
  ),
  fc.oneof(
    fc.constantFrom(
      ...[
        '',
        '*/*',
        'text/csv',
        'application/json;q=x',
        'text/csv;q=-1',
        ',;,',
        'bytes=0-',
        'bytes=9-1',
        '100-continue',
        'x',
      ],
      ...[
        'gzip',
        'chunked',
        'identity',
        'websocket',
        'h2c',
        '0',
        '-5',
        '1e9',
        'NaN',
        'a'.repeat(3_000),
        '\u00e9',
        '"',
        'null',
      ],
    ),
    fc.constantFrom(...BODY_TYPES),
  ),
  { maxKeys: 3 },
);

const oddBody = fc.option(
  fc.oneof(
    fc.jsonValue().map((value) => JSON.stringify(value)),
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      '',
      '{',
      '[{}]',
      '[[]]',
      '{"variables":{}}',
      '{"__proto__":{}}',
      '{"match":{"__proto__":"x"}}',
      'cdr=%7B',
      '\0',
      '[1e999]',
    ),
    fc
      .record(
        {
          by: fc.constantFrom('x', 1, null),
          reason: fc.constantFrom('x', '', 'a'.repeat(9_000)),
          until: fc.constantFrom(
            '2026-01-01T00:00:00Z',
            '+275760-09-13T00:00:00Z',
            '9999-12-31T23:59:59Z',
            'x',
            5,
          ),
          match: fc.dictionary(
            fc.constantFrom('rule', 'severity', '__proto__', 'constructor', 'server'),
            fc.constantFrom('x', 'warning', 'PgBouncerDown'),
          ),
          server: fc.constantFrom('primary', 'x'),
          action: fc.constantFrom('close', 'x'),
        },
        { requiredKeys: [] },
      )
      .map((value) => JSON.stringify(value)),
  ),
);

/** @param key a key that may do everything, so that requests come as far as they can */
export async function tryOddRequests(url: string, key: string, runs: number): Promise<void> {
  const document = (await (await fetch(`${url}/openapi.json`)).json()) as Document;
  const routes = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, { parameters = [] }]) => {
      return { path, method: method.toUpperCase(), query: parameters.filter((one) => one.in === 'query') };
    }),
  );
  const paths = [
    '/',
    '/docs',
    '/docs/',
    '/docs/json',
    '/docs/static/index.css',
    '/docs/static/{id}',
    '/openapi.json',
    '/metrics',
    '/{id}',
  ];
  const targets = [...routes, ...paths.map((path) => ({ path, method: 'GET', query: [] }))];
  const request = fc.constantFrom(...targets).chain(({ path, method, query }) =>
    fc.record({
      method: fc.oneof({ weight: 3, arbitrary: fc.constant(method) }, fc.constantFrom(...METHODS)),
      path: fc
        .array(odd, { minLength: 3, maxLength: 3 })
        .map((values) => path.replace(/\{\w+\}/g, () => values.pop()!)),
      tail: fc.oneof(
        { weight: 4, arbitrary: fc.constant('') },
        odd.map((text) => `/${text}`),
      ),
      query: fc.array(
        fc.tuple(
          fc.oneof(fc.constantFrom(...query.map(({ name }) => name), 'i_account', '__proto__'), odd),
          odd,
        ),
        { maxLength: 4 },
      ),
      headers: oddHeaders,
      authorization: fc.constantFrom(
        `Bearer ${key}`,
        `Bearer ${key}`,
        `Bearer ${key}`,
        undefined,
        'Bearer',
        'Basic eA==',
        'Bearer a.b.c',
      ),
      body: oddBody,
    }),
  );
  await fc.assert(
    fc.asyncProperty(request, async ({ method, path, tail, query, headers, authorization, body }) => {
      // An event stream has no end; a test of the channels waits for each of them.
      if (path.startsWith('/alerts/test')) return;
      const asked = query.map(([name, value]) => `${name}=${value}`).join('&');
      const target = `${path}${tail}${asked && `?${asked}`}`.replaceAll(' ', '+');
      const all = { ...headers, ...(authorization && { authorization }) };
      const bytes = requestBytes(method, target, all, body === null ? undefined : Buffer.from(body));
      assertAnswer(await sendRaw(url, bytes), method, bytes.subarray(0, 2_000).toString('latin1'));
    }),
    { numRuns: runs },
  );
}

/** No fault of the service's, and where it refuses, the one form. */
export function assertAnswer(answer: RawAnswer | undefined, method: string, what: string): void {
  assert.ok(answer, `no answer to ${what}`);
  const { status, headers, body } = answer;
  const said = `${status} ${body.slice(0, 500)}\nto ${what}`;
  assert.ok(status < 500 || status === 503, said);
  assert.equal(headers.get('x-content-type-options'), 'nosniff', said);
  assert.ok(headers.get('x-request-id'), said);
  if (status === 405) assert.match(headers.get('allow') ?? '', /^[A-Z]+(, [A-Z]+)*$/, said);
  if (status < 400 || method === 'HEAD') return;
  assert.match(headers.get('content-type') ?? '', /^application\/json/, said);
  const { success, error, code, request_id } = JSON.parse(body);
  assert.equal(success, false, said);
  assert.ok(typeof error === 'string' && error !== '', said);
  assert.match(code, /^[a-z_]+$/, said);
  assert.equal(request_id, headers.get('x-request-id'), said);
}

/**
 * What is no request is answered in the one form, and its connection closed.
 * @param post an address that takes POST
 */
export async function tryMalformedRequests(url: string, post: string): Promise<void> {
  for (const [bytes, status, code] of [
    ['FOO / HTTP/1.1\r\n\r\n', 400, 'malformed'],
    ['\x16\x03\x01\x02\x00\x01\x00', 400, 'malformed'],
    ['GET / HTTP/3.0\r\n\r\n', 400, 'malformed'],
    ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 'malformed'],
    ['GET /health/live HTTP/1.1\r\n\r\n', 400, 'malformed'],
    ['GET /health/live HTTP/1.1\r\nhost: x\r\nHost: y\r\n\r\n', 400, 'malformed'],
    ['GET /a b HTTP/1.1\r\nhost: x\r\n\r\n', 400, 'malformed'],
    ['GET /\x01 HTTP/1.1\r\nhost: x\r\n\r\n', 400, 'malformed'],
    ['GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n', 400, 'malformed'],
    [
      `POST ${post} HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
      400,
      'malformed',
    ],
    [`POST ${post} HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n`, 400, 'malformed'],
    [`GET /health/live HTTP/1.1\r\nhost: x\r\nx: ${'a'.repeat(20_000)}\r\n\r\n`, 431, 'headers_too_large'],
    [`GET /${'a'.repeat(20_000)} HTTP/1.1\r\nhost: x\r\n\r\n`, 431, 'headers_too_large'],
    [
      'GET /health/live HTTP/1.1\r\nhost: x\r\nexpect: tea\r\nconnection: close\r\n\r\n',
      417,
      'expectation_failed',
    ],
    ['CONNECT example.com:443 HTTP/1.1\r\nhost: x\r\n\r\n', 405, 'method_not_allowed'],
  ] as const) {
    const answer = await sendRaw(url, Buffer.from(bytes, 'latin1'));
    assertAnswer(answer, '', bytes.slice(0, 60));
    assert.deepEqual([answer!.status, JSON.parse(answer!.body).code], [status, code], bytes.slice(0, 60));
  }
}
