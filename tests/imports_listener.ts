/** A process that hears of imports, for tests: node tests/imports_listener.ts URL SINCE */
import { createPool } from '#platform/database/pool.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { createMessaging } from '#platform/messaging/messaging.ts';
import type { Since } from '#platform/messaging/subscriptions.ts';
import { callsImported } from '#services/calls/contract.ts';

const [url, since] = process.argv.slice(2) as [string, Since];
const pool = createPool({ url, applicationName: 'listener', size: 4, onIdleError: () => undefined });
const messaging = createMessaging({
  ...{ service: 'test', pool, clock: systemClock, random: Math.random, onEvent: () => undefined },
});
messaging.subscribe(
  `listener.${since}`,
  [callsImported],
  async ({ body }) => {
    process.stdout.write(`${JSON.stringify(body)}\n`);
    return 'done';
  },
  { since },
);
const stopping = new AbortController();
process.once('SIGTERM', () => stopping.abort());
const running = messaging.run(stopping.signal);
await messaging.subscribed;
process.stdout.write('subscribed\n');
await running;
await pool.end();
