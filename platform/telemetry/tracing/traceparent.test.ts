import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readTraceparent, writeTraceparent } from './traceparent.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

test('a traceparent is read by the rules of the W3C', () => {
  const read = { traceId: TRACE, spanId: SPAN, sampled: true };
  for (const [text, expected] of [
    [`00-${TRACE}-${SPAN}-01`, read],
    [`00-${TRACE}-${SPAN}-00`, { ...read, sampled: false }],
    [`00-${TRACE}-${SPAN}-03`, read],
    [`00-${TRACE}-${SPAN}-02`, { ...read, sampled: false }],
    // A later version: what is known of it.
    [`cc-${TRACE}-${SPAN}-01`, read],
    [`cc-${TRACE}-${SPAN}-01-what-comes-later`, read],
    [`cc-${TRACE}-${SPAN}-01.what-comes-later`, undefined],
    [`00-${TRACE}-${SPAN}-01-what-comes-later`, undefined],
    [`ff-${TRACE}-${SPAN}-01`, undefined],
    [`00-${'0'.repeat(32)}-${SPAN}-01`, undefined],
    [`00-${TRACE}-${'0'.repeat(16)}-01`, undefined],
    [`00-${TRACE.toUpperCase()}-${SPAN}-01`, undefined],
    [`00-${TRACE}-${SPAN}`, undefined],
    [` 00-${TRACE}-${SPAN}-01`, undefined],
    ['', undefined],
  ] as const)
    assert.deepEqual(readTraceparent(text), expected, text);
});

test('what is written is read again', () => {
  assert.deepEqual(readTraceparent(writeTraceparent({ traceId: TRACE, spanId: SPAN })), {
    traceId: TRACE,
    spanId: SPAN,
    sampled: true,
  });
});
