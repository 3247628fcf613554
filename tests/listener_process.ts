/**
 * The listener of tests/service_messages.ts as a process, for tests that kill it: node tests/listener_process.ts URL PUBLISHER_URL
 * It says each message that it was given.
 */
import { createLifetime } from '#platform/lifecycle/lifetime.ts';
import { startService } from '#platform/service/service.ts';
import { listenerService, messageParts } from './service_messages.ts';

const [url, publisherUrl] = process.argv.slice(2) as [string, string];
const lifetime = createLifetime((what, error) => {
  throw new Error(what, { cause: error });
});
process.once('SIGTERM', () => void lifetime.stop());
const onMessage = async ({ topic, body }: { topic: string; body: { n: number } }) => {
  process.stdout.write(`heard ${topic} ${body.n}\n`);
};
await startService(listenerService({ onMessage }), messageParts(url, publisherUrl), lifetime);
process.stdout.write('ready\n');
