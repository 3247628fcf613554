/**
 * `trunkline drill all` in short form: one part of each kind is killed and frozen, under callers of the doors and of the
 * service, with the monitor watching.
 */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { LOSSES, type Loss } from '#engines/cluster/drills/losses.ts';
import { type PartReport, runPartDrill } from '#engines/cluster/drills/part_drill.ts';
import type { DrillServices } from '#engines/cluster/drills/services.ts';
import { applySynchronous } from '#engines/cluster/readiness.ts';
import type { Tier } from '#engines/cluster/tier.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { clusterSkip, type DrillTier, startDrillTier, type TestCluster } from '#tests/cluster.ts';
import { runCommand } from '#tests/command.ts';

/** Long enough to be told of. */
const SHORT_MS = { killed: 3_000, frozen: 11_000 } as const;

/** One of each kind and fault; the second of two parts of a kind where it is frozen. */
function chosen(): Loss[] {
  const byKind = Map.groupBy(LOSSES, ({ kind, fault }) => `${kind} ${fault}`);
  return [...byKind.values()].map((losses) => losses.at(losses[0]!.fault === 'killed' ? 0 : -1)!);
}

const shortened = (loss: Loss): Loss => {
  // The alert of a replica has its time, and so has the lease.
  if (typeof loss.away !== 'number' || ['replica', 'etcd'].includes(loss.kind)) return loss;
  return { ...loss, away: SHORT_MS[loss.fault] };
};

suite('each kind of part is lost', { skip: clusterSkip(), timeout: 900_000 }, () => {
  let cluster: TestCluster;
  let tier: Tier;
  let services: DrillServices;

  let started: DrillTier | undefined;

  before(async () => {
    started = await startDrillTier();
    ({ cluster, tier, services } = started);
  });
  after(() => started?.destroy());

  const lose = (loss: Loss, synchronous = false): Promise<PartReport> =>
    runPartDrill(loss, { tier, services, clock: systemClock, synchronous, say: () => {} });

  for (const loss of chosen().map(shortened)) {
    test(`${loss.name}: ${loss.part}, ${loss.fault}`, async (t) => {
      // With synchronous replication a crash of the primary loses nothing at all.
      const synchronous = loss.name === 'primary-crash';
      if (synchronous) await applySynchronous(tier, true);
      const report = await lose(loss, synchronous);
      if (synchronous) await applySynchronous(tier, false);
      t.diagnostic(JSON.stringify({ ...report.silentMs, lost: report.lost, told: report.told.length }));
      assert.ok(report.passed, story(report));
    });
  }

  test('a verdict can be FAIL: clients notice a loss that they may not notice', async () => {
    const loss = LOSSES.find(({ name }) => name === 'pgbouncer-crash')!;
    const nothing = { ...loss.told, by: [], alsoBy: [] };
    const report = await lose({ ...shortened(loss), limits: { readsMs: 1, writesMs: 1 }, told: nothing });
    const broken = report.findings.filter(({ kept }) => !kept).map(({ about }) => about);
    assert.deepEqual(
      new Set(broken.filter((about) => about !== 'requests')),
      new Set(['time', 'telling']),
      story(report),
    );
    assert.equal(report.lost, 0);
  });

  test('drill all keeps its measurements, and continues with the remaining losses', async () => {
    await services.stop();
    const all = (...words: string[]) => runCommand(['drill', 'all', '--data', cluster.data, ...words], {});
    const first = await all('--only', 'pgbouncer-crash', '--json');
    assert.equal(first.code, 0, first.out + first.err);
    const [report] = JSON.parse(first.out).reports as PartReport[];
    const again = await all('--only', 'pgbouncer-crash', '--json');
    assert.deepEqual(JSON.parse(again.out).reports, [report]);
    const table = await all('--only', 'pgbouncer-crash');
    assert.match(table.out, /^pgbouncer-crash +[\d.]+ s +.* PASS$/m);
    assert.match(table.out, /^kept +ten minutes of faults, one a minute, make at most 20 messages in Slack/m);
    const wrong = await all('--only', 'nothing');
    assert.notEqual(wrong.code, 0);
    assert.match(wrong.err, /no drill of a loss is called "nothing"; there are: pgbouncer-crash, /);
  });
});

/** What happened, for the message of a failed verdict. */
function story({ errors, findings, told }: PartReport): string {
  return [
    ...Object.entries(errors).map(([message, count]) => `${count} x ${message}`),
    ...told.map(
      ({ channel, afterMs, kind, message }) => `${channel} after ${afterMs} ms, ${kind}: ${message}`,
    ),
    ...findings.map(({ kept, promise, measured }) => `${kept ? 'kept' : 'BROKEN'} ${promise}: ${measured}`),
  ].join('\n');
}
