import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CallFilter } from '../../call_filter.ts';
import { nearbyMonths } from './nearby_months.ts';

const NOW = Date.UTC(2026, 10, 25, 12);
const narrowed = (filter: Partial<CallFilter>, order: 'desc' | 'asc', after?: string) => {
  const position = after === undefined ? undefined : { start_time: after, i_cdr: 1 };
  const windows = [...nearbyMonths({ iAccount: 1, type: 'all', ...filter }, order, position, NOW)];
  return windows.map(({ since = filter.from, until = filter.to }) => [
    since?.slice(0, 10),
    until?.slice(0, 10),
  ]);
};

test('newest first: this month and the last, a year, all', () => {
  assert.deepEqual(narrowed({}, 'desc'), [
    ['2026-10-01', undefined],
    ['2025-12-01', undefined],
    [undefined, undefined],
  ]);
});

test('from the end of the list, or where the page before ended', () => {
  const to = '2025-03-01T00:00:00Z';
  assert.deepEqual(narrowed({ to }, 'desc')[0], ['2025-02-01', '2025-03-01']);
  assert.deepEqual(narrowed({ to }, 'desc', '2024-07-31T23:59:59.999999Z')[0], ['2024-06-01', '2025-03-01']);
});

test('an end in the future begins now', () => {
  assert.deepEqual(narrowed({ to: '2099-01-01T00:00:00Z' }, 'desc')[0], ['2026-10-01', '2099-01-01']);
});

test('oldest first: from the beginning that is asked for; without one, all at once', () => {
  const from = '2025-03-31T22:00:00Z';
  assert.deepEqual(narrowed({ from }, 'asc'), [
    ['2025-03-31', '2025-05-01'],
    ['2025-03-31', '2026-03-01'],
    ['2025-03-31', undefined],
  ]);
  assert.deepEqual(narrowed({}, 'asc'), [[undefined, undefined]]);
  assert.deepEqual(narrowed({}, 'asc', '2025-03-31T22:00:00Z')[0], [undefined, '2025-05-01']);
});

test('from a place whose time cannot be read, all at once', () => {
  for (const order of ['desc', 'asc'] as const)
    assert.deepEqual(narrowed({}, order, '1971-06-01T00:00:00-00:44:30'), [[undefined, undefined]]);
});

test('what is asked for is never widened', () => {
  const month = { from: '2026-11-01T00:00:00Z', to: '2026-12-01T00:00:00Z' };
  for (const order of ['desc', 'asc'] as const) {
    assert.deepEqual(narrowed(month, order), [['2026-11-01', '2026-12-01']]);
  }
  const from = '2026-01-15T00:00:00.000001Z';
  assert.deepEqual(narrowed({ from }, 'desc'), [
    ['2026-10-01', undefined],
    ['2026-01-15', undefined],
  ]);
});
