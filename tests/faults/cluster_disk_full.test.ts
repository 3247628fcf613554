/** A primary without room, on a small file system of its own: another node takes over, and nothing is lost. */
import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { BALLAST_BYTES } from '#engines/ballast.ts';
import { diskFullDrill } from '#engines/cluster/drills/disk_full.ts';
import { runDrill } from '#engines/cluster/drills/drill.ts';
import type { DrillServices } from '#engines/cluster/drills/services.ts';
import { waitFor } from '#engines/cluster/readiness.ts';
import { onSmallDisks, whyNoSmallDisk } from '#engines/cluster/small_disk.ts';
import type { Tier } from '#engines/cluster/tier.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { clusterSkip, type DrillTier, startDrillTier } from '#tests/cluster.ts';

const BALLAST_LIMIT_MS = 30_000;
const skip = clusterSkip() || ((await whyNoSmallDisk()) ?? false);

suite('the disk of the primary is full', { skip, timeout: 300_000 }, () => {
  let tier: Tier;
  let services: DrillServices;

  let started: DrillTier | undefined;

  before(async () => {
    started = await startDrillTier();
    ({ tier, services } = started);
  });
  after(() => started?.destroy());

  test('each node has a ballast of 64 MiB, and the supervisor reports the free space', async () => {
    await waitFor(BALLAST_LIMIT_MS, async () => {
      const without = (await tier.space()).filter(({ ballast }) => ballast !== 'kept');
      return without.length === 0 ? undefined : `${without[0]!.node} has no ballast`;
    });
    for (const { folder } of tier.layout.nodes)
      assert.equal((await stat(join(dirname(folder), 'ballast'))).size, BALLAST_BYTES);
    for (const { volumes } of await tier.space()) {
      assert.equal(volumes.length, 1);
      assert.ok(volumes[0]!.freeBytes > 0 && volumes[0]!.freeBytes < volumes[0]!.sizeBytes);
    }
  });

  async function rehearse(cases: Parameters<typeof diskFullDrill>[0]): Promise<void> {
    const lines: string[] = [];
    const report = await runDrill(diskFullDrill(cases), {
      ...{ tier, services, clock: systemClock, synchronous: false },
      onLine: ({ atMs, text }) => lines.push(`${atMs} ${text}`),
    });
    assert.ok(report.passed, [...lines, JSON.stringify(report.findings, null, 2)].join('\n'));
    assert.deepEqual(onSmallDisks(tier.layout), []);
  }

  test('the disk is full of data while PostgreSQL runs, or full of WAL so that it cannot start: writes work within 60 s, none is lost', () =>
    rehearse(['data', 'wal']));

  test('all disks are full: the primary stays, POST /cdrs is answered 503 disk_full, GET /cdrs works, and an alert reports it', () =>
    rehearse(['all']));
});
