/** The OpenAPI document tells of every route that the code has. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as monitorSchemas from '#services/monitor/contract.ts';
import { testApi } from '#tests/calls_api.ts';

/** Machines' own routes, which are no part of the API. */
const NOT_IN_IT = ['GET /openapi.json', 'GET /asyncapi.json', 'GET /metrics'];

const api = await testApi();
const { body: document } = await api.get('/openapi.json', null);

test('every route of the code is in the document, and answers, errors and who may use it are told', () => {
  const files = [
    ...globSync('services/calls/api/*/routes_*.ts'),
    ...globSync('platform/service/*.ts'),
    'platform/http/server.ts',
  ].filter((f) => !f.endsWith('.test.ts'));
  const routes = files.flatMap((file) =>
    [
      ...readFileSync(file, 'utf8').matchAll(
        /\b(?:api|server|ingest)\.(get|post|put|patch|delete)\(\s*'([^']+)'/g,
      ),
    ].map(([, method, path]) => `${method!.toUpperCase()} ${path!.replaceAll(/:(\w+)/g, '{$1}')}`),
  );
  assert.ok(routes.length >= 8, `only ${routes.length} routes were found in the code`);
  const documented = Object.entries<object>(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  assert.deepEqual(documented.toSorted(), routes.filter((route) => !NOT_IN_IT.includes(route)).toSorted());
  for (const [path, methods] of Object.entries<
    Record<string, { summary?: string; security?: unknown[]; responses: object }>
  >(document.paths)) {
    for (const [method, route] of Object.entries(methods)) {
      assert.ok(route.summary, `${method} ${path} has no summary`);
      assert.ok(route.security, `${method} ${path} does not say who may use it`);
      assert.ok(
        '200' in route.responses && Object.keys(route.responses).length > 1,
        `${method} ${path} does not tell its errors`,
      );
    }
  }
});

test('the document is OpenAPI 3.1, and the page to try it on is served', async () => {
  assert.match(document.openapi, /^3\.1\./);
  const page = await api.get('/docs/', null);
  assert.equal(page.status, 200);
  assert.match(page.text, /swagger-ui/);
});

/** Every `pattern` and patterned name in a schema, at any depth. */
function patternsIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => {
    if (name === 'pattern' && typeof inner === 'string') return [inner];
    if (name === 'patternProperties') return [...Object.keys(inner), ...patternsIn(inner)];
    return patternsIn(inner);
  });
}

test('patterns of schemas are such that the regular expressions of every language read them', () => {
  const patterns = [...new Set([...patternsIn(document), ...patternsIn(monitorSchemas)])];
  assert.ok(patterns.length >= 2);
  for (const pattern of patterns) {
    // Of escapes only those that ECMAScript, Python, Java, .NET, Go, Rust and PCRE have alike; no looking around.
    const escapes = pattern.match(/\\./g) ?? [];
    assert.deepEqual(
      escapes.filter((one) => !/^\\[xdwsDWS.\\/*+?()[\]{}^$|-]$/.test(one)),
      [],
      pattern,
    );
    assert.doesNotMatch(pattern, /\(\?|[^ -~]/);
    for (const flags of ['', 'u', 'v']) assert.ok(new RegExp(pattern, flags));
  }
  const [noControls] = patterns.filter((pattern) => pattern.includes('x00'));
  for (const text of ['a', 'Z\u00fcrich \u{1f4a9}', '\u00a0', '~'])
    assert.match(text, new RegExp(noControls!, 'u'));
  for (const text of ['', 'a\0', '\x1b[2J', '\x7f', '\x85', 'a\nb'])
    assert.doesNotMatch(text, new RegExp(noControls!, 'u'));
});
