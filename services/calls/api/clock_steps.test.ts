/** The machine's clock is set by ten days, back and forth, while the service runs: nobody is locked out, nothing is odd. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAILURES_PER_MINUTE } from '#platform/access/protected_routes.ts';
import { type Clock, systemClock } from '#platform/lifecycle/clock.ts';
import { testApi } from '#tests/calls_api.ts';

const DAY_MS = 86_400_000;
const PER_MINUTE = 20;
const WINDOW_S = 60;
let aheadMs = 0;
const clock: Clock = { ...systemClock, now: () => systemClock.now() + aheadMs };
const api = await testApi({ rateLimitPerMinute: PER_MINUTE }, { clock });
const account = await api.account('acme');

for (const days of [-10, 10, -3_650]) {
  test(`a step of ${days} days: keys work, limits are those of a minute, uptime and ages are not negative`, async () => {
    const key = await api.key('customer', account);
    const operator = await api.key('operator');
    const page = () => api.get(`/cdrs?i_account=${account}`, key);
    assert.equal((await page()).status, 200);
    aheadMs += days * DAY_MS;
    for (let n = 0; n < 5; n++) assert.equal((await page()).status, 200);
    for (let n = 0; n < PER_MINUTE; n++) await page();
    const limited = await page();
    assert.equal(limited.status, 429);
    const waitS = Number(limited.headers.get('retry-after'));
    assert.ok(waitS >= 1 && waitS <= WINDOW_S, `Retry-After: ${waitS}`);
    let failed = await api.get('/cdrs', 'tl_none');
    for (let n = 0; n < FAILURES_PER_MINUTE; n++) failed = await api.get('/cdrs', 'tl_none');
    assert.equal(failed.status, 429);
    assert.ok(Number(failed.headers.get('retry-after')) <= WINDOW_S);
    const { data } = (await api.get('/monitoring', operator)).body;
    assert.ok(data.uptime_s >= 0 && data.uptime_s < 600, `uptime_s ${data.uptime_s}`);
    const health = (await api.get('/health', null)).body;
    assert.ok(health.uptime_s >= 0 && health.uptimePercent >= 0 && health.uptimePercent <= 100);
    aheadMs = 0;
  });
}
