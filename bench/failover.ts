/**
 * The primary crashes again and again, under load, with synchronous replication: no acknowledged write may be lost,
 * and writes must be back each time. The drill `primary-crash`, repeated on a tier of its own.
 */
import { fileURLToPath } from 'node:url';
import { startCluster } from '#engines/cluster/cluster.ts';
import { LOSSES } from '#engines/cluster/drills/losses.ts';
import { runPartDrill } from '#engines/cluster/drills/part_drill.ts';
import { drillsFolder } from '#engines/cluster/drills/results.ts';
import { startDrillServices } from '#engines/cluster/drills/services.ts';
import { missingPrograms } from '#engines/cluster/programs.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { runBench, stoppedAtEnd, temporaryFolder } from './ending.ts';
import { benchOptions, finish, type Row, skip } from './report.ts';

const options = benchOptions('failover', 'crashes of the primary under load, synchronous replication', {
  crashes: '20',
  port: '24100',
});
const crashes = Number(options.values.crashes);
const missing = missingPrograms();
if (missing.length > 0) await skip(options, `not installed: ${missing.join(', ')}`);
await runBench(async (atEnd) => {
  const giveUp = new AbortController();
  const starting = startCluster({
    data: await temporaryFolder(atEnd),
    portBase: Number(options.values.port),
    synchronous: true,
    signal: giveUp.signal,
  });
  const up = stoppedAtEnd(atEnd, starting);
  atEnd(() => giveUp.abort(new Error('the benchmark ends')));
  const tier = await up;
  const main = fileURLToPath(new URL('../main.ts', import.meta.url));
  const services = await startDrillServices(
    tier,
    [process.execPath, main],
    drillsFolder(tier.layout.folders.data),
  );
  atEnd(() => services.stop());
  const primaryCrash = LOSSES.find(({ name }) => name === 'primary-crash')!;
  const rows: Row[] = [['crash', 'acknowledged', 'lost', 'writes silent', 'reads silent', 'verdict']];
  let lost = 0;
  let acknowledged = 0;
  let longestWriteMs = 0;
  let longestReadMs = 0;
  for (let crash = 1; crash <= crashes; crash++) {
    const report = await runPartDrill(primaryCrash, {
      ...{ tier, services, clock: systemClock, synchronous: true },
      say: () => {},
    });
    const { silentMs: silent } = report;
    lost += report.lost;
    acknowledged += report.acknowledged;
    longestWriteMs = Math.max(longestWriteMs, silent.writes);
    longestReadMs = Math.max(longestReadMs, silent.reads);
    rows.push([
      crash,
      report.acknowledged,
      report.lost,
      `${(silent.writes / 1_000).toFixed(1)} s`,
      `${(silent.reads / 1_000).toFixed(2)} s`,
      report.passed ? 'PASS' : 'FAIL',
    ]);
    process.stderr.write(`crash ${crash} of ${crashes}\n`);
  }
  const writes = `at most ${(longestWriteMs / 1_000).toFixed(1)} s`;
  const reads = `at most ${(longestReadMs / 1_000).toFixed(2)} s`;
  rows.push(['all', acknowledged, lost, writes, reads]);
  finish(options, `${crashes} times kill -9 of the primary and its Patroni`, rows, [
    { figure: `${acknowledged} acknowledged writes, lost`, value: `${lost}`, expected: '0' },
    { figure: 'writes silent', value: writes, expected: '≤ 30 s' },
    { figure: 'reads silent', value: reads, expected: '≤ 2 s' },
  ]);
});
