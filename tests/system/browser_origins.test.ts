/**
 * Pages of several origins that ask Trunkline behind a proxy with TLS, in a real browser: it alone decides what a page may
 * read of an answer.
 */
import assert from 'node:assert/strict';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { after, before, suite, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { noChromium, openChromium } from '#tests/browser.ts';
import { testApi } from '#tests/calls_api.ts';
import { type Asking, lacks, openProxy, type RunningProxy } from '#tests/proxies.ts';

const HOSTS = ['console.example.com', 'shop.example.net'];
const STRANGER = 'evil.example';

/** What a page got of an answer. */
interface Seen {
  readonly failed?: string;
  readonly status?: number;
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

suite('pages in Chromium', { skip: noChromium || (await lacks('nginx')) }, async () => {
  const api = await testApi({
    corsOrigins: HOSTS.map((host) => `https://${host}`),
    trustedProxies: [{ address: '127.0.0.1', prefix: 32 }],
  });
  const iAccount = await api.account('acme');
  const customer = await api.key('customer', iAccount);
  const ingest = await api.key('ingest');
  let proxy: RunningProxy;
  let browser: Browser;
  let pages: ReturnType<typeof createServer>;

  before(async () => {
    proxy = await openProxy('nginx', new URL(api.calls.url).host);
    pages = createServer(proxy.certificate, (_request, response) => {
      response.setHeader('content-type', 'text/html').end('<!doctype html><title>a page</title>');
    });
    await new Promise<void>((listening) => pages.listen(0, '127.0.0.1', listening));
    const { port } = pages.address() as AddressInfo;
    const ofPages = Object.fromEntries([...HOSTS, STRANGER].map((host) => [host, port]));
    browser = await openChromium({ ...ofPages, 'calls.example.com': proxy.port });
  });
  after(async () => {
    await browser?.close();
    pages?.close();
    await proxy?.stop();
  });

  async function pageOf(host: string): Promise<Page> {
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    const page = await context.newPage();
    await page.goto(`https://${host}/`);
    return page;
  }

  const ask = (page: Page, path: string, init: Pick<Asking, 'method' | 'headers' | 'body'>): Promise<Seen> =>
    page.evaluate(
      async ([url, options]): Promise<Seen> => {
        try {
          const answer = await fetch(url, options);
          const headers = Object.fromEntries(answer.headers);
          return { status: answer.status, text: await answer.text(), headers };
        } catch (error) {
          return { failed: String(error) };
        }
      },
      [`https://calls.example.com${path}`, init] as const,
    );

  const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
  const record = (call: string) => ({
    ...{ account: 'acme', call_id: call, cli: '+493023125001', cld: '+442079460001' },
    ...{ start_time: '2026-11-02T10:00:00Z', duration_s: 60 },
  });
  const post = (page: Page, call: string) =>
    ask(page, '/cdrs', {
      method: 'POST',
      headers: { ...bearer(ingest), 'content-type': 'application/json' },
      body: JSON.stringify([record(call)]),
    });

  for (const host of HOSTS) {
    test(`a page of ${host} posts a call, reads it, and sees the headers that a page needs`, async () => {
      const page = await pageOf(host);
      const posted = await post(page, `of ${host}`);
      assert.equal(posted.status, 200, JSON.stringify(posted));

      const list = await ask(page, `/cdrs?i_account=${iAccount}`, { headers: bearer(customer) });
      assert.equal(list.status, 200, JSON.stringify(list));
      assert.ok(list.text!.includes(`of ${host}`));
      for (const name of ['x-request-id', 'x-ratelimit-remaining'])
        assert.ok(list.headers?.[name], `${name} among ${Object.keys(list.headers ?? {})}`);

      const csv = await ask(page, `/cdrs?i_account=${iAccount}`, {
        headers: { ...bearer(customer), accept: 'text/csv' },
      });
      assert.match(csv.headers?.['content-disposition'] ?? '', /filename=/);
      await page.context().close();
    });

    test(`a page of ${host} reads why it was refused`, async () => {
      const page = await pageOf(host);
      const refused = await ask(page, `/cdrs?i_account=${iAccount}`, { headers: bearer('tl_none') });
      assert.equal(refused.status, 401);
      assert.equal(JSON.parse(refused.text!).success, false);
      const wrong = await ask(page, '/cdrs?i_account=x', { headers: bearer(customer) });
      assert.equal(wrong.status, 400);
      assert.match(wrong.text!, /i_account/);
      await page.context().close();
    });
  }

  test('a page of a third origin reads nothing and posts nothing', async () => {
    const page = await pageOf(STRANGER);
    const list = await ask(page, `/cdrs?i_account=${iAccount}`, { headers: bearer(customer) });
    assert.match(list.failed ?? '', /Failed to fetch/);
    assert.match((await post(page, 'of a stranger')).failed ?? '', /Failed to fetch/);
    await page.context().close();
    const { body } = await api.get(`/cdrs?i_account=${iAccount}`, customer);
    assert.ok(body.data.length > 0);
    assert.ok(!JSON.stringify(body.data).includes('stranger'));
  });
});
