/**
 * The primary crashes again and again, under load, with synchronous replication: no acknowledged write may be lost,
 * and writes must be back each time. The drill `primary-crash`, repeated on a tier of its own.
 */
import { startCluster } from '#engines/cluster/cluster.ts';
import { runDrill } from '#engines/cluster/drills/drill.ts';
import { primaryCrash } from '#engines/cluster/drills/primary.ts';
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
  const rows: Row[] = [['crash', 'acknowledged', 'lost', 'writes silent', 'reads silent', 'verdict']];
  let lost = 0;
  let acknowledged = 0;
  let longestWriteMs = 0;
  let longestReadMs = 0;
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
    longestWriteMs = Math.max(longestWriteMs, silent.write);
    longestReadMs = Math.max(longestReadMs, silent.read);
    rows.push([
      crash,
      report.acknowledgedWrites,
      report.acknowledgedWritesLost,
      `${(silent.write / 1_000).toFixed(1)} s`,
      `${(silent.read / 1_000).toFixed(2)} s`,
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
