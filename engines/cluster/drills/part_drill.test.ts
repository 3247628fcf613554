import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ASKED, type Asked } from './callers.ts';
import { LOSSES } from './losses.ts';
import { judgeFailures, judgeLost, judgeSilence } from './part_drill.ts';
import type { MayFail } from './verdict.ts';

const quiet = { writes: 100, reads: 100, POST: 100, GET: 100 };
const at = 1_000_000;

test('each place has its own limit: a silence beyond it breaks that promise and no other', () => {
  for (const loss of LOSSES) {
    for (const asked of ASKED) {
      const isWrite = asked === 'writes' || asked === 'POST';
      const limit = isWrite ? loss.limits.writesMs : loss.limits.readsMs;
      const broken = (ms: number) =>
        judgeSilence(loss, { silentMs: { ...quiet, [asked]: ms }, answered: 9 }).filter(({ kept }) => !kept);
      assert.deepEqual(broken(limit), [], loss.name);
      assert.equal(broken(limit + 1).length, 1, loss.name);
    }
  }
  assert.ok(judgeSilence(LOSSES[0]!, { silentMs: quiet, answered: 0 }).every(({ kept }) => !kept));
});

test('a lost write breaks the promise, except for a write of the last moment before the break under asynchronous replication', () => {
  assert.ok(judgeLost([], 100, { at, losable: 0 }).kept);
  assert.ok(!judgeLost([{ acknowledgedAt: at - 1 }], 100, { at, losable: 0 }).kept);
  assert.ok(judgeLost([{ acknowledgedAt: at - 1 }], 100, { at, losable: 1_000 }).kept);
  assert.ok(!judgeLost([{ acknowledgedAt: at - 1_001 }], 100, { at, losable: 1_000 }).kept);
  assert.ok(!judgeLost([{ acknowledgedAt: at + 1_000 }], 100, { at, losable: 1_000 }).kept);
  assert.ok(!judgeLost([], 0, { at, losable: 0 }).kept, 'nothing was written');
});

test('which requests may fail: none, none that begins after the failover, no read', () => {
  const limits = { readsMs: 3_000, writesMs: 3_000 };
  const fault = (asked: Asked, startedAt: number) => [{ asked, startedAt, message: '503' }];
  const broken = (mayFail: MayFail, failures: ReturnType<typeof fault>) =>
    judgeFailures({ mayFail, limits }, failures, at).filter(({ kept }) => !kept).length;
  for (const mayFail of ['none', 'underway', 'writes', 'any'] as const) assert.equal(broken(mayFail, []), 0);
  assert.equal(broken('none', fault('GET', at + 1)), 1);
  assert.equal(broken('underway', fault('POST', at + 3_000)), 0);
  assert.equal(broken('underway', fault('POST', at + 3_001)), 1);
  assert.equal(broken('writes', fault('writes', at + 9_000)), 0);
  assert.equal(broken('writes', fault('reads', at + 1)), 1);
  assert.equal(broken('any', fault('reads', at + 9_000)), 0);
});

test('each part is killed and frozen', () => {
  const of = (fault: string) => LOSSES.filter((loss) => loss.fault === fault).map(({ part }) => part);
  assert.deepEqual(of('killed'), of('frozen'));
  assert.equal(new Set(LOSSES.map(({ name }) => name)).size, LOSSES.length);
});
