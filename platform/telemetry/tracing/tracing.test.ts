import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { until } from '#engines/cluster/processes.ts';
import { createLogger } from '#platform/telemetry/logger.ts';
import { traceThisProcess } from '#tests/traced.ts';
import { BATCH_SPANS } from './span_buffer.ts';
import { currentSpan, exportTraceMetrics, inSpan, type SpanStart, startSpan, startTrace } from './tracing.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';
const sampled = `00-${TRACE}-${SPAN}-01`;
const unsampled = `00-${TRACE}-${SPAN}-00`;
const GATEWAY = '10.0.0.7';
const CLIENT = '203.0.113.9';
const a = (name: string, kind: SpanStart['kind'] = 'internal') => ({ name, kind });

test('without a receiver nothing is recorded, and nothing is prepared for it', () => {
  assert.equal(
    startTrace('test', () => assert.fail('a span is described'), { traceparent: sampled }),
    undefined,
  );
  assert.equal(currentSpan(), undefined);
});

test('the ratio decides before a span exists', async () => {
  const rolls = [0.2, 0.1, 0.09, 0];
  const { receiver, stop } = await traceThisProcess({ ratio: 0.1, random: () => rolls.shift()! });
  const described: string[] = [];
  for (const name of ['first', 'second', 'third', 'fourth']) {
    const start = () => {
      described.push(name);
      return a(name);
    };
    startTrace('test', start)?.end();
  }
  assert.deepEqual(described, ['third', 'fourth']);
  await stop();
  assert.deepEqual(
    receiver.spans.map(({ name }) => name),
    described,
  );
});

test('a traceparent decides only where its address is believed; any other is a link, and the ratio decides', async () => {
  for (const [ratio, address, traceparent, recorded, goesOn] of [
    [0, GATEWAY, sampled, true, true],
    [1, GATEWAY, unsampled, false, false],
    [0, CLIENT, sampled, false, false],
    [1, CLIENT, sampled, true, false],
    [1, CLIENT, unsampled, true, false],
    [0, GATEWAY, 'no traceparent', false, false],
    [1, GATEWAY, 'no traceparent', true, false],
  ] as const) {
    const believes = (one: string) => one === GATEWAY;
    const { receiver, stop } = await traceThisProcess({ ratio, believes });
    startTrace('test', () => a('GET', 'server'), { traceparent, address })?.end();
    await stop();
    const row = `ratio ${ratio}, from ${address}: ${traceparent}`;
    assert.equal(receiver.spans.length, recorded ? 1 : 0, row);
    const [span] = receiver.spans;
    if (!span) continue;
    assert.deepEqual([span.traceId === TRACE, span.parentId === SPAN], [goesOn, goesOn], row);
    const link = address === CLIENT ? [{ traceId: TRACE, spanId: SPAN }] : [];
    assert.deepEqual(span.links, link, row);
  }
});

test('a message that was published within a trace is handled within it, linked to its publisher', async () => {
  const { receiver, stop } = await traceThisProcess({ ratio: 0 });
  startTrace('test', () => a('process', 'consumer'), { traceparent: sampled })?.end();
  assert.equal(
    startTrace('test', () => a('process', 'consumer')),
    undefined,
    'the ratio decides for others',
  );
  await stop();
  const [span] = receiver.spans;
  assert.deepEqual([span?.traceId, span?.parentId], [TRACE, SPAN]);
  assert.deepEqual(span?.links, [{ traceId: TRACE, spanId: SPAN }]);
});

test('what is begun within a span stands below it, with times within its own; what comes after its end does not', async () => {
  const { receiver, stop } = await traceThisProcess();
  const root = startTrace('orders', () => ({ ...a('GET', 'server'), attributes: { n: 1, text: 'Zoë 😀' } }))!;
  let later: Promise<void> | undefined;
  await inSpan(root, async () => {
    await sleep(2);
    const below = startSpan(() => a('below', 'client'))!;
    await inSpan(below, async () => {
      await sleep(2);
      startSpan(() => a('deep'))?.end('23505');
    });
    below.set({ more: 0.5 });
    below.end();
    below.end('twice');
    later = sleep(20).then(() => startSpan(() => a('too late'))?.end());
  });
  root.end(undefined, 'GET /orders');
  await later;
  await stop();
  const named = (name: string) => receiver.spans.find((span) => span.name === name)!;
  const [top, below, deep] = [named('GET /orders'), named('below'), named('deep')];
  assert.equal(receiver.spans.length, 3);
  assert.deepEqual([top.parentId, below.parentId, deep.parentId], ['', top.spanId, below.spanId]);
  assert.deepEqual(
    receiver.spans.map(({ service, traceId }) => [service, traceId]),
    receiver.spans.map(() => ['orders', root.traceId]),
  );
  assert.ok(top.start < below.start && below.start < deep.start);
  assert.ok(deep.end <= below.end && below.end <= top.end);
  assert.ok(Math.abs(Number(top.start / 1_000_000n) - Date.now()) < 60_000);
  assert.deepEqual(top.attributes, { n: 1, text: 'Zoë 😀' });
  assert.deepEqual([below.isError, below.attributes], [false, { more: 0.5 }]);
  assert.deepEqual([deep.isError, deep.attributes], [true, { 'error.type': '23505' }]);
  assert.deepEqual(receiver.faults, []);
});

test('log lines within a span have its ids, and no others do', async () => {
  const { stop } = await traceThisProcess();
  const lines: string[] = [];
  const log = createLogger('test', 'info', { write: (line: string) => void lines.push(line) });
  const span = startTrace('test', () => a('GET', 'server'))!;
  log.info('before');
  inSpan(span, () => log.info({ n: 1 }, 'within'));
  span.end();
  inSpan(span, () => log.info('after'));
  await stop();
  const ids = lines.map((line) => {
    const { trace_id: trace, span_id: id } = JSON.parse(line);
    return [trace, id];
  });
  assert.deepEqual(ids, [
    [undefined, undefined],
    [span.traceId, span.spanId],
    [undefined, undefined],
  ]);
});

test('headers are sent with each batch', async () => {
  const { receiver, stop } = await traceThisProcess({ headers: { authorization: 'Bearer abc' } });
  startTrace('test', () => a('first'))?.end();
  await stop();
  assert.equal(receiver.requests[0]?.authorization, 'Bearer abc');
});

test('that a receiver takes nothing is told once, and so is that it does again; spans are counted by what became of them', async () => {
  const told: [string, boolean][] = [];
  const { receiver, stop } = await traceThisProcess({
    onReceiver: (state, error) => told.push([state, error !== undefined]),
  });
  const figuresOf = new Registry();
  exportTraceMetrics(figuresOf, 'counted');
  const figures = async () =>
    (await figuresOf.metrics())
      .split('\n')
      .filter((line) => line.startsWith('trace_') && !line.endsWith(' 0'))
      .join();
  const batch = async (expected: string) => {
    for (let n = 0; n < BATCH_SPANS; n++) startTrace('counted', () => a('one of many'))?.end();
    assert.ok(await until(async () => (await figures()) === expected, 10_000), await figures());
  };
  const dropped = (count: number) => `trace_spans_dropped_total{reason="export_failed"} ${count}`;
  receiver.behave('refuse');
  await batch(dropped(BATCH_SPANS));
  await batch(dropped(2 * BATCH_SPANS));
  receiver.behave('take');
  await batch(`trace_spans_exported_total ${BATCH_SPANS},${dropped(2 * BATCH_SPANS)}`);
  assert.deepEqual(told, [
    ['failing', true],
    ['working', false],
  ]);
  await stop();
});
