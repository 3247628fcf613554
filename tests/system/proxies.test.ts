/** Trunkline behind nginx, Caddy and HAProxy with TLS, by the files of infrastructure/proxy that docs/DEPLOY.md tells of. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { FAILURES_PER_MINUTE } from '#platform/access/protected_routes.ts';
import { testApi } from '#tests/calls_api.ts';
import { lacks, openProxy, PROXIES, type RunningProxy } from '#tests/proxies.ts';

const ORIGINS = ['https://console.example.com', 'https://shop.example.net'];
const api = await testApi({ corsOrigins: ORIGINS, trustedProxies: [{ address: '127.0.0.1', prefix: 32 }] });
const operator = await api.key('operator');
const iAccount = await api.account('acme');
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

for (const name of PROXIES) {
  suite(`behind ${name}`, { skip: await lacks(name) }, () => {
    let proxy: RunningProxy;
    before(async () => {
      proxy = await openProxy(name, new URL(api.calls.url).host);
    });
    after(() => proxy?.stop());

    test('a request and a large post are answered by Trunkline, over TLS', async () => {
      const page = await proxy.ask(`/cdrs?i_account=${iAccount}`, { headers: bearer(operator) });
      assert.equal(page.status, 200, page.text);
      assert.match(String(page.headers['strict-transport-security']), /max-age/);
      const record = (call: number) => ({
        account: 'acme',
        call_id: `${name}-${call}`,
        ...{ cli: '+493023125001', cld: '+442079460001', start_time: '2026-11-02T10:00:00Z', duration_s: 1 },
        attributes: { note: 'x'.repeat(1_000) },
      });
      const body = JSON.stringify(Array.from({ length: 5_000 }, (_, call) => record(call)));
      const headers = { ...bearer(operator), 'content-type': 'application/json' };
      const posted = await proxy.ask('/cdrs', { method: 'POST', headers, body });
      assert.equal(posted.status, 200, posted.text.slice(0, 500));
      assert.equal(JSON.parse(posted.text).stored, 5_000);
      const csv = await proxy.ask(`/cdrs?i_account=${iAccount}`, {
        headers: { ...bearer(operator), accept: 'text/csv' },
      });
      assert.equal(csv.text.split('\n').filter((line) => line.includes(`${name}-`)).length, 5_000);
    });

    test('a stream of events comes at once', async () => {
      const began = performance.now();
      const headers = { ...bearer(operator), accept: 'text/event-stream' };
      const stream = await proxy.ask('/monitoring', { headers, enough: (text) => text.includes('\n\n') });
      assert.equal(stream.status, 200);
      assert.match(stream.text, /^data: \{/m);
      assert.ok(performance.now() - began < 5_000);
    });

    test('figures are closed in every spelling, the page of the API to other networks', async () => {
      for (const path of [
        '/metrics',
        '/metrics/',
        '/%6detrics',
        '/%6Detrics/',
        '//metrics',
        '/metrics?x=1',
        '/x/../metrics',
      ]) {
        const { status, text } = await proxy.ask(path);
        assert.ok(status >= 300 && !text.includes('# HELP'), `${path}: ${status}`);
      }
      for (const path of [
        '/docs',
        '/docs/',
        '/%64ocs',
        '/docs/json',
        '/openapi.json',
        '/openapi.json/',
        '/openapi%2ejson',
      ]) {
        const own = await proxy.ask(path);
        assert.ok(own.status < 400, `${path}: ${own.status}`);
        const other = await proxy.ask(path, { from: '127.0.0.2' });
        assert.ok(other.status >= 300 && !other.text.includes('Trunkline'), `${path}: ${other.status}`);
      }
    });

    test('failures count for the client, whatever it writes into its header', async () => {
      const guess = (from: string, n: number) =>
        proxy.ask('/cdrs', { from, headers: { ...bearer('tl_none'), 'x-forwarded-for': `198.51.100.${n}` } });
      const from = `127.0.1.${PROXIES.indexOf(name) + 1}`;
      for (let n = 0; n < FAILURES_PER_MINUTE; n++) assert.equal((await guess(from, n)).status, 401);
      assert.equal((await guess(from, 99)).status, 429);
      assert.equal((await guess(`127.0.2.${PROXIES.indexOf(name) + 1}`, 99)).status, 401);
    });

    test('pages of two origins may ask, of a third may not', async () => {
      for (const origin of [...ORIGINS, 'https://evil.example']) {
        const answer = await proxy.ask(`/cdrs?i_account=${iAccount}`, {
          headers: { ...bearer(operator), origin },
        });
        const allowed = answer.headers['access-control-allow-origin'];
        assert.equal(allowed, ORIGINS.includes(origin) ? origin : undefined, origin);
      }
    });
  });
}

const run = promisify(execFile);
const noSystemd = await run('systemd-analyze', ['--version']).then(
  () => false as const,
  () => 'systemd-analyze is not installed',
);

test('the unit of systemd is valid by its own validator', { skip: noSystemd }, async () => {
  const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
  const folder = await mkdtemp(join(tmpdir(), 'trunkline-unit-'));
  const unit = await readFile(join(root, 'infrastructure/systemd/trunkline.service'), 'utf8');
  const file = join(folder, 'trunkline.service');
  await writeFile(file, unit.replaceAll('/opt/trunkline', root));
  const { stderr } = await run('systemd-analyze', ['verify', file]);
  assert.equal(stderr, '');
  await rm(folder, { recursive: true });
});
