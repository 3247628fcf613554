/** Servers with every kind of bad answer. */
import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { askOutside, eventsOutside, FEW_BYTES, StatusError } from './outside.ts';

const LIMIT_BYTES = 64 * 1024;
const BOMB = gzipSync(Buffer.alloc(64 * 1024 * 1024));
let sent = 0;
let closed = 0;

const answers: Record<string, (answer: ServerResponse) => void> = {
  '/plain': (answer) => answer.end('hello'),
  '/endless': (answer) => {
    const chunk = Buffer.alloc(64 * 1024, 'x');
    const more = () => {
      while (!answer.destroyed && answer.write(chunk)) sent += chunk.length;
      answer.once('drain', more);
    };
    more();
  },
  '/trickle': (answer) => {
    answer.write('a');
    const timer = setInterval(() => answer.write('a'), 20);
    answer.once('close', () => clearInterval(timer));
  },
  '/bomb': (answer) => answer.setHeader('content-encoding', 'gzip').end(BOMB),
  '/no-gzip': (answer) => answer.setHeader('content-encoding', 'gzip').end('this is none'),
  '/moved': (answer) => answer.writeHead(302, { location: '/endless' }).end('moved'),
  '/refused': (answer) => answer.writeHead(403).end('no'),
  '/events': (answer) => answer.end('data: {"n":1}\n\ndata: {"n":2}\n\n'),
  '/event-without-end': (answer) => {
    answer.write('data: ');
    answers['/endless']!(answer);
  },
};
const server = createServer((request, answer) => {
  answer.once('close', () => closed++);
  answers[request.url!]!(answer);
});
await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
after(() => {
  server.closeAllConnections();
  server.close();
});
const url = (path: string) => `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
const whole = (path: string, ms = 10_000) =>
  askOutside(url(path), { signal: AbortSignal.timeout(ms), limitBytes: LIMIT_BYTES, longer: 'refuse' });
const cut = (path: string, ms = 10_000) =>
  askOutside(url(path), { signal: AbortSignal.timeout(ms), limitBytes: FEW_BYTES, longer: 'cut' });

test('an answer of a usual size is read', async () => {
  for (const ask of [whole, cut]) {
    const { ok, status, text } = await ask('/plain');
    assert.deepEqual([ok, status, text], [true, 200, 'hello']);
  }
});

test('an answer without an end, or a thousand times as long uncompressed, is refused or cut, and its connection closed', async () => {
  for (const path of ['/endless', '/bomb']) {
    const before = closed;
    sent = 0;
    await assert.rejects(whole(path), /longer than 65536 bytes/);
    const { ok, text } = await cut(path);
    assert.deepEqual([ok, text.length], [true, FEW_BYTES]);
    while (closed < before + 2) await new Promise((over) => setTimeout(over, 5));
    assert.ok(sent < 64 * 1024 * 1024, `${sent} bytes were taken`);
  }
});

test('a trickling answer ends at its time limit; if only the status counts, within a second', async () => {
  await assert.rejects(whole('/trickle', 200), { name: 'TimeoutError' });
  const { ok, text } = await cut('/trickle');
  assert.ok(ok && /^a+$/.test(text));
});

test('an answer that cannot be uncompressed still has its status', async () => {
  await assert.rejects(whole('/no-gzip'));
  assert.equal((await cut('/no-gzip')).status, 200);
});

test('redirects are not followed', async () => {
  for (const ask of [whole, cut]) {
    const { ok, status } = await ask('/moved');
    assert.deepEqual([ok, status], [false, 302]);
  }
});

test('events come one by one; an event without an end, or another answer than events, is an error', async () => {
  const events = async (path: string) => {
    const asking = { signal: AbortSignal.timeout(10_000), limitBytes: LIMIT_BYTES };
    const found: string[] = [];
    for await (const event of eventsOutside(url(path), asking)) found.push(event);
    return found;
  };
  assert.deepEqual(await events('/events'), ['{"n":1}', '{"n":2}']);
  await assert.rejects(events('/event-without-end'), /longer than 65536 bytes/);
  await assert.rejects(events('/refused'), (error) => {
    assert.ok(error instanceof StatusError);
    return error.status === 403 && error.text === 'no';
  });
});
