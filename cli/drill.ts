/** `trunkline drill`: planned rehearsals of losing a part, on a running tier, with a verdict. */
import { Command } from 'commander';
import { type DrillReport, runDrill } from '#engines/cluster/drills/drill.ts';
import { drills } from '#engines/cluster/drills/drills.ts';
import { configurationOf } from '#engines/cluster/patroni.ts';
import { applySynchronous } from '#engines/cluster/readiness.ts';
import { findTier } from '#engines/cluster/tier.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { CLUSTER_DATA_DEFAULT } from './cluster.ts';
import { ENDING_SIGNALS } from './ending_signals.ts';
import { note, print, printJson } from './print.ts';

interface DrillOptions {
  readonly data: string;
  readonly json?: boolean;
  readonly sync?: boolean;
}

export function drillCommand(): Command {
  const width = Math.max(...drills.map((drill) => drill.name.length));
  const list = drills.map((drill) => `  ${drill.name.padEnd(width)}  ${drill.purpose}`).join('\n');
  return new Command('drill')
    .description('break a part of a running tier on purpose, under load, and judge what clients saw')
    .argument('<name>', 'which drill')
    .option('--data <folder>', 'folder of the tier; cluster in DATA_DIR', CLUSTER_DATA_DEFAULT)
    .option('--sync', 'with synchronous replication for the time of the drill')
    .option('--json', 'only the report, as JSON')
    .addHelpText(
      'after',
      `
Drills:
${list}

The tier serves its other clients meanwhile, but they see the outage too: not on a tier that customers use,
unless that is what you want to know. Exit code 0: PASS, 1: FAIL.

Examples:
  $ trunkline cluster up --detach
  $ trunkline drill pgbouncer-crash
  $ trunkline drill primary-crash --sync --json`,
    )
    .action(async (name: string, options: DrillOptions) => {
      const report = await drill(name, options);
      if (options.json) printJson(report);
      else print(summary(report));
      process.exitCode = report.passed ? 0 : 1;
    });
}

async function drill(name: string, options: DrillOptions): Promise<DrillReport> {
  const chosen = drills.find((candidate) => candidate.name === name);
  if (!chosen) {
    throw new Error(`no drill is called "${name}"; there are: ${drills.map((d) => d.name).join(', ')}`);
  }
  const givenUp = untilInterrupted();
  const tier = await findTier(options.data);
  const before = (await configurationOf(tier.layout.nodes)).synchronous_mode === true;
  const synchronous = options.sync ?? before;
  if (!options.json) print(`${chosen.name}: ${chosen.purpose}${synchronous ? ', synchronous' : ''}\n`);
  await applySynchronous(tier, synchronous);
  try {
    givenUp.throwIfAborted();
    return await runDrill(chosen, {
      tier,
      clock: systemClock,
      synchronous,
      signal: givenUp,
      onLine: (line) => {
        if (!options.json) print(`${(line.atMs / 1_000).toFixed(3).padStart(8)} s  ${line.text}`);
      },
    });
  } catch (error) {
    if (!givenUp.aborted) throw error;
    throw new Error(`${chosen.name} was given up, and what it broke is put back (trunkline cluster status)`);
  } finally {
    if (before !== synchronous) await applySynchronous(tier, before);
  }
}

/** Aborted at the first Ctrl-C, so that the drill puts back what it broke; the second ends the process at once. */
function untilInterrupted(): AbortSignal {
  const interrupted = new AbortController();
  for (const name of ENDING_SIGNALS) {
    process.on(name, () => {
      if (interrupted.signal.aborted) process.exit(1);
      note('given up: putting back what the drill broke');
      interrupted.abort();
    });
  }
  return interrupted.signal;
}

function summary(report: DrillReport): string {
  const seconds = (ms: number) => `${(ms / 1_000).toFixed(2)} s`;
  const errors = Object.entries(report.errors).map(([message, count]) => `    ${count} x ${message}`);
  return [
    '',
    `requests failed:                ${report.requests.failed} of ${report.requests.answered + report.requests.failed} (${report.requests.readsRetried} reads answered at the second try)`,
    ...errors,
    `longest time without an answer: writes ${seconds(report.longestWithoutAnswerMs.write)}, reads ${seconds(report.longestWithoutAnswerMs.read)}`,
    `acknowledged writes lost:       ${report.acknowledgedWritesLost} of ${report.acknowledgedWrites}`,
    '',
    ...report.findings.map(
      (finding) => `${finding.kept ? 'kept  ' : 'BROKEN'}  ${finding.promise}: ${finding.measured}`,
    ),
    '',
    report.passed ? 'PASS' : 'FAIL',
  ].join('\n');
}
