import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ASKED } from './callers.ts';
import { LOSSES } from './losses.ts';
import { judgeFailures, judgeLost, judgeSilence } from './part_drill.ts';

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

test('a lost write breaks the promise, save where replication is behind and it was of the last moment', () => {
  assert.ok(judgeLost([], 100, { at, losable: 0 }).kept);
  assert.ok(!judgeLost([{ acknowledgedAt: at - 1 }], 100, { at, losable: 0 }).kept);
  assert.ok(judgeLost([{ acknowledgedAt: at - 1 }], 100, { at, losable: 1_000 }).kept);
  assert.ok(!judgeLost([{ acknowledgedAt: at - 1_001 }], 100, { at, losable: 1_000 }).kept);
  assert.ok(!judgeLost([{ acknowledgedAt: at + 1_000 }], 100, { at, losable: 1_000 }).kept);
  assert.ok(!judgeLost([], 0, { at, losable: 0 }).kept, 'nothing was written');
});

test('where nobody may notice, one failed request is one too many', () => {
  assert.ok(judgeFailures({ failed: 0, errors: {} }).kept);
  assert.ok(!judgeFailures({ failed: 1, errors: { 'GET: 503': 1 } }).kept);
});

test('each part is killed and frozen', () => {
  const of = (fault: string) => LOSSES.filter((loss) => loss.fault === fault).map(({ part }) => part);
  assert.deepEqual(of('killed'), of('frozen'));
  assert.equal(new Set(LOSSES.map(({ name }) => name)).size, LOSSES.length);
});
