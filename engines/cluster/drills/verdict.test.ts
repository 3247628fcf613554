import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { AcknowledgedWrite, Failure, LoadReport } from './load.ts';
import { type ClientPromise, type Evidence, judge, within } from './verdict.ts';

const BROKEN_AT = 10_000;
const ROUTED_AT = 10_500;
const promise: ClientPromise = {
  mayFail: 'underway',
  writeSilenceMs: 1_000,
  readSilenceMs: 1_000,
  losableMs: 0,
};
const good = { answered: 100, failed: 0, retried: 0, longestSilenceMs: 100, longestClientWaitMs: 100 };

const acknowledged = (acknowledgedAt: number): AcknowledgedWrite => {
  return { writer: 1, number: 1, acknowledgedAt };
};
const failed = (kind: 'write' | 'read', startedAt: number): Failure => {
  return { kind, startedAt, endedAt: startedAt + 1, message: 'gone' };
};

function kept(more: Partial<Evidence>, report: Partial<LoadReport> = {}): boolean {
  const evidence: Evidence = {
    promise,
    outcome: { brokenAt: BROKEN_AT, routedAroundAt: ROUTED_AT },
    report: { write: good, read: good, failures: [], acknowledged: [acknowledged(1)], ...report },
    lost: [],
    synchronous: false,
    ...more,
  };
  return judge(evidence).every((finding) => finding.kept);
}

test('nothing failed, nothing lost: kept', () => {
  assert.ok(kept({}));
});

test('a verdict without measurements is no PASS', () => {
  assert.ok(!kept({}, { acknowledged: [] }));
  assert.ok(!kept({}, { read: { ...good, answered: 0, longestSilenceMs: 0 } }));
});

test('which failures are allowed', () => {
  const failures = (...some: Failure[]) => ({ failures: some });
  assert.ok(kept({}, failures(failed('write', ROUTED_AT - 1), failed('read', ROUTED_AT - 1))));
  assert.ok(!kept({}, failures(failed('write', ROUTED_AT))));
  const none = { promise: { ...promise, mayFail: 'none' } } as const;
  assert.ok(!kept(none, failures(failed('write', 1))));
  const writes = { promise: { ...promise, mayFail: 'writes' } } as const;
  assert.ok(kept(writes, failures(failed('write', ROUTED_AT + 1))));
  assert.ok(!kept(writes, failures(failed('read', 1))));
});

test('silence beyond the promise breaks it', () => {
  assert.ok(kept({}, { write: { ...good, longestSilenceMs: 1_000 } }));
  assert.ok(!kept({}, { write: { ...good, longestSilenceMs: 1_001 } }));
  assert.ok(!kept({}, { read: { ...good, longestSilenceMs: 1_001 } }));
});

test('synchronous: any lost write breaks the promise, whenever it was acknowledged', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 20_000 }), fc.integer({ min: 0, max: 5_000 }), (at, losableMs) => {
      const lost = [acknowledged(at)];
      return !kept({ lost, synchronous: true, promise: { ...promise, losableMs } });
    }),
  );
});

test('asynchronous: only writes acknowledged shortly before the break may be lost', () => {
  const losing = (at: number) =>
    kept({ lost: [acknowledged(at)], promise: { ...promise, losableMs: 1_000 } });
  assert.ok(losing(BROKEN_AT - 1_000));
  assert.ok(losing(BROKEN_AT));
  assert.ok(!losing(BROKEN_AT - 1_001));
  assert.ok(!losing(BROKEN_AT + 1_000), 'acknowledged by a former primary');
  assert.ok(!kept({ lost: [acknowledged(BROKEN_AT)] }), 'no write may be lost where the primary stays');
});

test('an event that did not happen is within no time', () => {
  assert.ok(within('x', 1_000, 1_000).kept);
  assert.ok(!within('x', 1_001, 1_000).kept);
  assert.ok(!within('x', Number.POSITIVE_INFINITY, 1_000).kept);
});
