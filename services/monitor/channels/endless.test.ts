/** Receivers with endless answers: an alert is delivered or not, and memory does not fill up. */
import assert from 'node:assert/strict';
import { createServer as createHttpServer, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { after, test } from 'node:test';
import { systemClock } from '#platform/lifecycle/clock.ts';
import type { Notice } from '../notice.ts';
import type { Channel } from './channel.ts';
import { emailChannels } from './email.ts';
import { pagerDutyChannel } from './pagerduty.ts';
import { slackChannel } from './slack.ts';
import { webhookChannel } from './webhook.ts';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
/** Bytes that may be in the kernel and the runtime when the reader stops. */
const ON_THE_WAY_BYTES = 48 * 1024 * 1024;
const LIMIT_MS = 8_000;

let said = 0;
function sayForEver(out: ServerResponse | Socket, text: string): void {
  const chunk = Buffer.from(text.repeat(Math.ceil(65_536 / text.length)));
  const more = () => {
    while (!out.destroyed && out.write(chunk)) said += chunk.length;
    if (!out.destroyed) out.once('drain', more);
  };
  more();
}

const web = createHttpServer((request, answer) => {
  request.resume();
  answer.writeHead(request.url === '/refuses' ? 500 : 200);
  sayForEver(answer, 'x');
});
const mail = createServer((socket) => {
  socket.on('error', () => undefined);
  sayForEver(socket, '220-hello ');
});
await Promise.all(
  [web, mail].map((server) => new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))),
);
after(() => {
  web.closeAllConnections();
  web.close();
  mail.close();
});
const portOf = (server: { address(): unknown }) => (server.address() as AddressInfo).port;
const url = (path: string) => `http://127.0.0.1:${portOf(web)}${path}`;

const notice: Notice = {
  ...{ id: 'n1', kind: 'firing', severity: 'critical', title: 'Alert', message: 'm', details: [] },
  ...{ at: '2026-01-01T00:00:00Z', keys: ['k'], runbook: 'postgresdown' },
};
const send = (channel: Channel) =>
  channel.send({ id: 'd1', notice, mayRepeat: false, signal: AbortSignal.timeout(LIMIT_MS) });
const common = { from: 'info', runbookUrl: undefined } as const;
const channelsTo = (address: string): Channel[] => [
  webhookChannel({ ...common, url: address, secret: SECRET, clock: systemClock }),
  slackChannel({ ...common, webhookUrl: address }),
  pagerDutyChannel({ ...common, url: address, routingKey: 'k'.repeat(32), source: 'test' }),
];

test('the status of an endless answer counts, and the rest is not read', async () => {
  for (const channel of channelsTo(url('/takes'))) {
    said = 0;
    await send(channel);
    assert.ok(said < ON_THE_WAY_BYTES, `${channel.name} took ${said} bytes`);
  }
  for (const channel of channelsTo(url('/refuses'))) {
    said = 0;
    await assert.rejects(send(channel), /answered 500: x{10,200}$/);
    assert.ok(said < ON_THE_WAY_BYTES, `${channel.name} took ${said} bytes`);
  }
});

test('the connection to a mail server with an endless answer is closed', async () => {
  const [channel] = emailChannels(
    { ...common, smtpUrl: `smtp://127.0.0.1:${portOf(mail)}`, sender: 'a@example.com' },
    ['b@example.com'],
  );
  said = 0;
  await assert.rejects(send(channel!), /exceeds maximum allowed size/);
  assert.ok(said < ON_THE_WAY_BYTES, `it took ${said} bytes`);
});
