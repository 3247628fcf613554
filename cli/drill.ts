/** `trunkline drill`: planned rehearsals of losing a part, on a running tier, with a verdict. */
import { Command } from 'commander';
import { type Drill, type DrillReport, runDrill } from '#engines/cluster/drills/drill.ts';
import { drills } from '#engines/cluster/drills/drills.ts';
import { LOSSES } from '#engines/cluster/drills/losses.ts';
import { configurationOf } from '#engines/cluster/patroni.ts';
import { applySynchronous } from '#engines/cluster/readiness.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { untilInterrupted } from '#platform/terminal/ending_signals.ts';
import { print, printJson } from '#platform/terminal/print.ts';
import { CLUSTER_DATA_DEFAULT } from './cluster.ts';
import { drillAllCommand, lossCommand } from './drill_all.ts';
import { leaderCrashCommand } from './drill_leader_crash.ts';
import { drillRestoreCommand } from './drill_restore.ts';
import { servicesForDrill, tierForDrill } from './drill_tier.ts';

/** Exit status: the drill can't be rehearsed on this machine. */
const EXIT_SKIPPED = 2;

interface DrillOptions {
  readonly data: string;
  readonly json?: boolean;
  readonly sync?: boolean;
}

export function drillCommand(): Command {
  const command = new Command('drill')
    .description('rehearse a failure, and judge the outcome: PASS or FAIL')
    .addHelpText(
      'after',
      `
restore needs no tier. Each other drill breaks a part of a running tier on purpose, while clients call the tier and the services
that the drill starts on it, and a monitor watches. The drills post calls that stay, so use a tier without customers.
Exit code 0: PASS, 1: FAIL, 2: the drill can't be rehearsed here (disk-full mounts a small file system, as root).

Examples:
  $ trunkline drill restore
  $ trunkline cluster up --detach && trunkline drill pgbouncer-crash`,
    )
    .addCommand(drillAllCommand())
    .addCommand(drillRestoreCommand())
    .addCommand(leaderCrashCommand());
  for (const chosen of drills) command.addCommand(tierDrillCommand(chosen));
  for (const loss of LOSSES) command.addCommand(lossCommand(loss));
  return command;
}

function tierDrillCommand(chosen: Drill): Command {
  return new Command(chosen.name)
    .description(chosen.purpose)
    .option('--data <folder>', 'folder of the tier; by default cluster in DATA_DIR', CLUSTER_DATA_DEFAULT)
    .option('--sync', 'with synchronous replication during the drill')
    .option('--json', 'only the report, as JSON')
    .addHelpText('after', `\nExample:\n  $ trunkline drill ${chosen.name} --sync --json`)
    .action(async (options: DrillOptions) => {
      const report = await drill(chosen, options);
      if ('skipped' in report) {
        if (options.json) printJson(report);
        else print(`SKIPPED: ${report.skipped}`);
        process.exitCode = EXIT_SKIPPED;
        return;
      }
      if (options.json) printJson(report);
      else print(summary(report));
      process.exitCode = report.passed ? 0 : 1;
    });
}

interface Skipped {
  readonly drill: string;
  /** The reason why the drill can't be rehearsed here. */
  readonly skipped: string;
}

async function drill(chosen: Drill, options: DrillOptions): Promise<DrillReport | Skipped> {
  const givenUp = untilInterrupted('undoing the faults of the drill');
  const tier = await tierForDrill(options.data);
  const skipped = await chosen.impossible?.(tier);
  if (skipped !== undefined) return { drill: chosen.name, skipped };
  const before = (await configurationOf(tier.layout.nodes)).synchronous_mode === true;
  const synchronous = options.sync ?? before;
  if (!options.json) print(`${chosen.name}: ${chosen.purpose}${synchronous ? ', synchronous' : ''}\n`);
  const services = await servicesForDrill(tier);
  try {
    givenUp.throwIfAborted();
    await applySynchronous(tier, synchronous);
    return await runDrill(chosen, {
      tier,
      services,
      clock: systemClock,
      synchronous,
      signal: givenUp,
      onLine: (line) => {
        if (!options.json) print(`${(line.atMs / 1_000).toFixed(3).padStart(8)} s  ${line.text}`);
      },
    });
  } catch (error) {
    if (!givenUp.aborted) throw error;
    throw new Error(`${chosen.name} was interrupted, and its faults are undone (trunkline cluster status)`);
  } finally {
    await services.stop();
    if (before !== synchronous) await applySynchronous(tier, before);
  }
}

function summary(report: DrillReport): string {
  const seconds = (ms: number) => `${(ms / 1_000).toFixed(2)} s`;
  const silent = report.longestWithoutAnswerMs;
  const errors = Object.entries(report.errors).map(([message, count]) => `    ${count} x ${message}`);
  return [
    '',
    `requests failed:                ${report.requests.failed} of ${report.requests.answered + report.requests.failed} (${report.requests.readsRetried} reads answered at the second try)`,
    ...errors,
    `longest time without an answer: writes ${seconds(silent.write)}, reads ${seconds(silent.read)}; of the service POST ${seconds(silent.POST)}, GET ${seconds(silent.GET)}`,
    `acknowledged writes lost:       ${report.acknowledgedWritesLost} of ${report.acknowledgedWrites}`,
    '',
    ...report.findings.map(
      (finding) => `${finding.kept ? 'kept  ' : 'BROKEN'}  ${finding.promise}: ${finding.measured}`,
    ),
    '',
    report.passed ? 'PASS' : 'FAIL',
  ].join('\n');
}
