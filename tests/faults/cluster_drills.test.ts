/** The drills of planned work and of a replica that is behind, for real; and what else is done to a tier under load. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { patroniLogs } from '#engines/cluster/configuration.ts';
import { type Drill, type DrillReport, runDrill } from '#engines/cluster/drills/drill.ts';
import { prepareLoad, startLoad } from '#engines/cluster/drills/load.ts';
import { haproxyReload, rollingRestart } from '#engines/cluster/drills/maintenance.ts';
import { replicaLag } from '#engines/cluster/drills/replica.ts';
import type { DrillServices } from '#engines/cluster/drills/services.ts';
import { handOver } from '#engines/cluster/maintenance.ts';
import { isPaused, tell } from '#engines/cluster/pgbouncer.ts';
import { groupMembers, signal } from '#engines/cluster/processes.ts';
import { waitFor, whatIsMissing } from '#engines/cluster/readiness.ts';
import type { Tier } from '#engines/cluster/tier.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { clusterSkip, type DrillTier, startDrillTier, type TestCluster } from '#tests/cluster.ts';
import { startCommand } from '#tests/command.ts';

const WHOLE_LIMIT_MS = 60_000;
const ANSWERED_LIMIT_MS = 10_000;
const DEATHS = 3;
const AFTER_DEATH_MS = 500;

suite('a tier that is worked on', { skip: clusterSkip(), timeout: 1_800_000 }, () => {
  let cluster: TestCluster;
  let tier: Tier;
  let services: DrillServices;

  let started: DrillTier | undefined;

  before(async () => {
    started = await startDrillTier();
    ({ cluster, tier, services } = started);
  });
  after(() => started?.destroy());

  const run = (drill: Drill) =>
    runDrill(drill, { tier, services, clock: systemClock, synchronous: false, onLine: () => {} });

  async function rehearse(drill: Drill): Promise<void> {
    const first = await run(drill);
    if (first.passed) return;
    // A time, also of a notice, can be missed by a machine that does something else just then: it is rehearsed once more before it counts.
    // A request that failed against the promise, or an acknowledged write that was lost, counts at once.
    const broken = first.findings.filter((finding) => !finding.kept);
    assert.ok(
      broken.every(({ about }) => about === 'time' || about === 'telling'),
      story(first),
    );
    process.stderr.write(`${drill.name} is rehearsed again; the first time:\n${story(first)}\n`);
    await waitFor(WHOLE_LIMIT_MS, () => whatIsMissing(tier));
    const second = await run(drill);
    assert.ok(second.passed, `${story(first)}\nand again:\n${story(second)}`);
  }

  for (const drill of [haproxyReload, replicaLag, rollingRestart])
    test(`${drill.name}: ${drill.purpose}`, () => rehearse(drill));

  test('a verdict can be FAIL: a bouncer dies in a drill in which no request may fail', async () => {
    const drill: Drill = {
      ...haproxyReload,
      run: async (context) => {
        const brokenAt = context.broken('nobody is told that pgb1 dies');
        // As many as it takes to meet requests under way: the load pauses between two.
        for (let death = 0; death < DEATHS; death++) {
          await waitFor(WHOLE_LIMIT_MS, async () => void (await tier.processOf('pgb1')));
          await waitFor(WHOLE_LIMIT_MS, () => whatIsMissing(tier));
          signal((await tier.processOf('pgb1')).pid, 'SIGKILL');
          await context.clock.sleep(AFTER_DEATH_MS);
        }
        return { brokenAt, routedAroundAt: brokenAt, findings: [] };
      },
    };
    const report = await run(drill);
    assert.equal(report.passed, false, story(report));
    const broken = report.findings.filter((finding) => !finding.kept);
    assert.ok(
      broken.some((finding) => finding.about === 'requests'),
      story(report),
    );
    assert.equal(report.acknowledgedWritesLost, 0);
  });

  test('Ctrl-C in a drill repairs the broken part', async () => {
    await services.stop();
    const { said, child, ended } = startCommand(['drill', 'pgbouncer-freeze', '--data', cluster.data], {});
    await said(/pgb2 frozen/);
    child.kill('SIGINT');
    const { code, err } = await ended;
    assert.equal(code, 130);
    assert.match(err, /interrupted; the faults of the drill are undone/);
    await waitFor(WHOLE_LIMIT_MS, () => whatIsMissing(tier));
    assert.equal((await tier.parts()).pgb2?.held, false);
  });

  test('the primary gets the request for a switchover, whichever node it is: at another node clients would wait for its next round', async () => {
    for (let turn = 0; turn < 2; turn++) {
      const { from, to } = await handOver(tier, undefined, () => {});
      const node = tier.layout.nodes.find(({ name }) => name === from)!;
      const log = readFileSync(join(patroniLogs(tier.layout, node), 'patroni.log'), 'utf8');
      assert.match(log, new RegExp(`received switchover request with leader=${from} candidate=${to}`));
      await waitFor(WHOLE_LIMIT_MS, () => whatIsMissing(tier));
    }
  });

  test('Ctrl-C in a switchover: the switchover ends, and the bouncers release their clients', async () => {
    const { said, child, ended } = startCommand(['cluster', 'switchover', '--data', cluster.data], {});
    await said('the bouncers hold their clients');
    child.kill('SIGINT');
    assert.equal((await ended).code, 0);
    await waitFor(WHOLE_LIMIT_MS, () => whatIsMissing(tier));
  });

  test('a bouncer that still holds its clients is no spare: status reports it, and undrain ends it', async () => {
    const bouncer = tier.layout.bouncers.find(({ name }) => name === 'pgb3')!;
    await tell(bouncer, tier.secrets, 'PAUSE trunkline', ANSWERED_LIMIT_MS);
    const { stdout } = await cluster.command('cluster', 'status', '--json').catch((error) => error);
    const status = JSON.parse(stdout);
    assert.equal(status.holdsNMinusOne, false);
    assert.match(status.because.join(), /pgb3 .*cluster undrain pgb3/);
    await cluster.command('cluster', 'undrain', 'pgb3');
    await waitFor(WHOLE_LIMIT_MS, () => whatIsMissing(tier));
    assert.equal(await isPaused(bouncer, tier.secrets), false);
  });

  test('one HAProxy process is killed: its clients connect through the other', async () => {
    const [haproxy] = tier.layout.haproxies;
    const { pid } = await tier.processOf(haproxy!.name);
    await prepareLoad(tier);
    const load = startLoad({ tier, clock: systemClock, writers: 12, readers: 12 });
    assert.ok(await load.everyoneAnswered('write', ANSWERED_LIMIT_MS));
    await tier.hold(haproxy!.name);
    for (const member of groupMembers(pid)) signal(member, 'SIGKILL');
    assert.ok(await load.everyoneAnswered('write', ANSWERED_LIMIT_MS), 'every writer is answered');
    assert.ok(await load.everyoneAnswered('read', ANSWERED_LIMIT_MS), 'every reader is answered');
    const { stdout } = await cluster.command('cluster', 'status', '--json').catch((error) => error);
    const status = JSON.parse(stdout);
    assert.equal(status.holdsNMinusOne, false);
    assert.match(status.because.join(), new RegExp(haproxy!.name));
    await tier.release(haproxy!.name);
    await load.stop();
    await waitFor(WHOLE_LIMIT_MS, () => whatIsMissing(tier));
  });
});

/** What happened, for the message of a failed verdict. */
function story(report: DrillReport): string {
  return [
    ...report.sequence.map((line) => `${line.atMs} ms ${line.text}`),
    ...Object.entries(report.errors).map(([message, count]) => `${count} x ${message}`),
    ...report.findings.map(
      (finding) => `${finding.kept ? 'kept' : 'BROKEN'} ${finding.promise}: ${finding.measured}`,
    ),
  ].join('\n');
}
