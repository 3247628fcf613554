/**
 * The primary crashes again and again, under load, with synchronous replication: no acknowledged write may be lost,
 * and writes must be back each time. The drill `primary-crash`, repeated on a tier of its own.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startCluster } from '#engines/cluster/cluster.ts';
import { runDrill } from '#engines/cluster/drills/drill.ts';
import { primaryCrash } from '#engines/cluster/drills/primary.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { benchOptions, finish, type Row } from './report.ts';

const options = benchOptions('failover', 'crashes of the primary under load, synchronous replication', {
  crashes: '20',
  port: '24100',
});
const crashes = Number(options.values.crashes);
const data = await mkdtemp(join(tmpdir(), 'trunkline-bench-'));
const tier = await startCluster({ data, portBase: Number(options.values.port), synchronous: true });
try {
  const rows: Row[] = [['crash', 'acknowledged', 'lost', 'writes silent', 'reads silent', 'verdict']];
  let lost = 0;
  let acknowledged = 0;
  let longestMs = 0;
  for (let crash = 1; crash <= crashes; crash++) {
    const report = await runDrill(primaryCrash, {
      tier,
      clock: systemClock,
      synchronous: true,
      onLine: () => {},
    });
    const silent = report.longestWithoutAnswerMs;
    lost += report.acknowledgedWritesLost;
    acknowledged += report.acknowledgedWrites;
    longestMs = Math.max(longestMs, silent.write);
    rows.push([
      crash,
      report.acknowledgedWrites,
      report.acknowledgedWritesLost,
      `${(silent.write / 1_000).toFixed(1)} s`,
      `${(silent.read / 1_000).toFixed(2)} s`,
      report.passed ? 'PASS' : 'FAIL',
    ]);
  }
  rows.push(['all', acknowledged, lost, `at most ${(longestMs / 1_000).toFixed(1)} s`]);
  finish(options, `${crashes} times kill -9 of the primary and its Patroni`, rows);
} finally {
  await tier.stop();
  await rm(data, { recursive: true, force: true });
}
