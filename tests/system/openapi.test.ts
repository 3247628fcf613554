/** The OpenAPI document tells of every route that the code has. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { testApi } from '#tests/calls_api.ts';

/** Machines' own routes, which are no part of the API. */
const NOT_IN_IT = ['GET /openapi.json', 'GET /metrics'];

const api = await testApi();
const { body: document } = await api.get('/openapi.json', null);

test('every route of the code is in the document, and answers, errors and who may use it are told', () => {
  const files = [...globSync('services/calls/api/routes_*.ts'), 'platform/http/server.ts'].filter(
    (f) => !f.endsWith('.test.ts'),
  );
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
