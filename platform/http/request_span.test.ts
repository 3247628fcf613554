import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, test } from 'node:test';
import { Registry } from 'prom-client';
import { until } from '#engines/cluster/processes.ts';
import { createLogger } from '#platform/telemetry/logger.ts';
import { traceThisProcess } from '#tests/traced.ts';
import { httpError } from './errors.ts';
import { askOutside } from './outside.ts';
import { createServer } from './server.ts';

const NUMBER = '493023125001';
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';
const BELIEVED = '127.0.0.1';

const { receiver } = await traceThisProcess({ ratio: 0, believes: (address) => address === BELIEVED });
const lines: string[] = [];

async function serverNamed(name: string) {
  const logger = createLogger(name, 'info', { write: (line: string) => void lines.push(line) });
  const about = { name, title: name, description: '', version: '1' };
  const server = await createServer({ ...about, logger, registry: new Registry(), corsOrigins: [] });
  after(() => server.close());
  return server;
}

const second = await serverNamed('second');
second.get('/second', () => ({ success: true }));
const secondUrl = await second.listen({ host: '127.0.0.1', port: 0 });
const first = await serverNamed('first');
first.get('/calls/:number', () => ({ success: true }));
first.post('/posts', async (request) => {
  request.log.info('taken in');
  await askOutside(`${secondUrl}/second`, { limitMs: 5_000, limitBytes: 1_000, longer: 'refuse' });
  return { success: true };
});
first.get('/broken', () => {
  throw httpError('unavailable', { cause: new Error(NUMBER) });
});
first.get('/slow', async (request) => {
  request.log.info('begun slowly');
  await new Promise((resolve) => request.raw.once('close', resolve));
});
const firstUrl = await first.listen({ host: '127.0.0.1', port: 0 });

/** A request that the gateway has recorded. */
const recorded = (path: string, init: RequestInit = {}, flags = '01') =>
  fetch(firstUrl + path, {
    ...init,
    headers: { ...init.headers, traceparent: `00-${TRACE}-${SPAN}-${flags}` },
  });

test('a recorded request is one span, named by its route, and its answer and log lines have its ids', async () => {
  lines.length = 0;
  const answer = await recorded(`/calls/${NUMBER}?cld=${NUMBER}`);
  assert.equal(answer.status, 200);
  const [span] = await receiver.waitFor(/^GET \/calls/);
  assert.deepEqual(span, {
    ...{ service: 'first', traceId: TRACE, spanId: span!.spanId, parentId: SPAN, name: 'GET /calls/:number' },
    ...{ kind: 'server', start: span!.start, end: span!.end, links: [], isError: false },
    attributes: {
      'http.request.method': 'GET',
      'url.scheme': 'http',
      'network.protocol.version': '1.1',
      'trunkline.request_id': answer.headers.get('x-request-id'),
      'http.route': '/calls/:number',
      'url.path': '/calls/:number',
      'http.response.status_code': 200,
    },
  });
  assert.equal(answer.headers.get('traceresponse'), `00-${TRACE}-${span!.spanId}-01`);
  const [line] = lines.map((text) => JSON.parse(text));
  assert.deepEqual([line.route, line.trace_id, line.span_id], ['/calls/:number', TRACE, span!.spanId]);
});

test('what is not recorded has no ids anywhere', async () => {
  lines.length = 0;
  for (const answer of [await fetch(`${firstUrl}/calls/1`), await recorded('/calls/1', {}, '00')])
    assert.equal(answer.headers.get('traceresponse'), null);
  assert.equal(lines.length, 2);
  for (const line of lines) assert.ok(!line.includes('trace_id'), line);
});

test('a trace goes on in the service that is asked, also behind a body', async () => {
  lines.length = 0;
  const headers = { 'content-type': 'application/json' };
  await recorded('/posts', { method: 'POST', headers, body: JSON.stringify({ cli: NUMBER }) });
  const [below] = await receiver.waitFor(/^GET \/second/);
  const [above] = await receiver.waitFor(/^POST \/posts/);
  assert.deepEqual([above!.traceId, below!.traceId], [TRACE, TRACE]);
  assert.deepEqual([below!.service, below!.parentId], ['second', above!.spanId]);
  const own = lines.map((line) => JSON.parse(line)).filter(({ service }) => service === 'first');
  assert.deepEqual(
    own.map(({ span_id }) => span_id),
    [above!.spanId, above!.spanId],
  );
});

test('failures are errors by their status, addresses without a route have no path, and nothing tells a number', async () => {
  await recorded('/broken');
  const [broken] = await receiver.waitFor(/^GET \/broken/);
  assert.deepEqual([broken!.isError, broken!.attributes['error.type']], [true, '503']);
  await recorded(`/${NUMBER}`);
  const [none] = await receiver.waitFor(/^GET$/);
  assert.deepEqual([none!.isError, none!.attributes['http.response.status_code']], [false, 404]);
  assert.equal(none!.attributes['url.path'], undefined);
  assert.ok(!receiver.bytes().includes(NUMBER));
  assert.deepEqual(receiver.faults, []);
});

test('a request whose client has gone is a span that says so', async () => {
  lines.length = 0;
  const { port } = new URL(firstUrl);
  const socket = connect(Number(port), '127.0.0.1');
  socket.write(`GET /slow HTTP/1.1\r\nHost: a\r\ntraceparent: 00-${TRACE}-${SPAN}-01\r\n\r\n`);
  assert.ok(await until(() => lines.some((line) => line.includes('begun slowly')), 5_000));
  socket.destroy();
  const [span] = await receiver.waitFor(/^GET \/slow/);
  assert.deepEqual([span!.isError, span!.attributes['error.type']], [true, 'client_gone']);
});
