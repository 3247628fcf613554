/** `trunkline drill all`, and the drills of single losses: each part is killed and frozen, while clients call and a monitor watches. */
import { Command, InvalidArgumentError } from 'commander';
import { LOSSES, type Loss } from '#engines/cluster/drills/losses.ts';
import { type PartReport, runPartDrill } from '#engines/cluster/drills/part_drill.ts';
import { forgetResults, keepResult, keptResults } from '#engines/cluster/drills/results.ts';
import { judgeWhole } from '#engines/cluster/drills/telling.ts';
import type { Finding } from '#engines/cluster/drills/verdict.ts';
import { configurationOf } from '#engines/cluster/patroni.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { untilInterrupted } from '#platform/terminal/ending_signals.ts';
import { note, print, printJson, table } from '#platform/terminal/print.ts';
import { CLUSTER_DATA_DEFAULT } from './cluster.ts';
import { servicesForDrill, tierForDrill } from './drill_tier.ts';

interface AllOptions {
  readonly data: string;
  readonly only?: readonly Loss[];
  readonly anew?: true;
  readonly json?: true;
}

export function drillAllCommand(): Command {
  return new Command('all')
    .description(
      'kill and freeze each part, and show how long clients got no answer and which alerts were sent',
    )
    .option('--data <folder>', 'folder of the tier; by default cluster in DATA_DIR', CLUSTER_DATA_DEFAULT)
    .option('--only <drills>', 'only these, separated by commas', asLosses)
    .option('--anew', 'forget earlier measurements')
    .option('--json', 'only the reports, as JSON')
    .addHelpText(
      'after',
      `
It starts the calls service and a monitor on the tier, and calls the tier and the service while a part is lost: over a new
connection for each request, and over kept connections. It posts calls that stay, so use a tier without customers. It takes some
ten minutes. The tier's folder keeps the measurements of each part as it ends: after an interruption the next run goes on there.
Exit code 0: all passed, 1: one failed.

Drills: ${LOSSES.map(({ name }) => name).join(', ')}

Examples:
  $ trunkline cluster up --detach && trunkline drill all
  $ trunkline drill all --only haproxy-freeze,etcd-loss --anew`,
    )
    .action((options: AllOptions) => drillAll(options.only ?? LOSSES, options));
}

/** The drill of one loss by its name. */
export function lossCommand(loss: Loss): Command {
  return new Command(loss.name)
    .description(`${loss.part}, ${loss.fault}: at the service too, with the monitor watching`)
    .option('--data <folder>', 'folder of the tier; by default cluster in DATA_DIR', CLUSTER_DATA_DEFAULT)
    .option('--json', 'only the report, as JSON')
    .addHelpText('after', `\nExample:\n  $ trunkline drill ${loss.name} --json`)
    .action((options: AllOptions) => drillAll([loss], { ...options, anew: true }));
}

async function drillAll(chosen: readonly Loss[], { data, anew, json }: AllOptions): Promise<void> {
  const givenUp = untilInterrupted('undoing the faults of the drill');
  const tier = await tierForDrill(data);
  const folder = tier.layout.folders.data;
  const names = chosen.map(({ name }) => name);
  if (anew) await forgetResults(folder, names);
  const before = await keptResults(folder);
  const left = chosen.filter(({ name }) => !before.has(name));
  const synchronous = (await configurationOf(tier.layout.nodes)).synchronous_mode === true;
  const strays: string[] = [];
  if (left.length > 0) {
    const services = await servicesForDrill(tier);
    try {
      // Alerts that held when the monitor last stopped have their end now.
      await services.quiet(givenUp);
      let wellSince = performance.now();
      for (const loss of left) {
        givenUp.throwIfAborted();
        if (!json) note(`\n${loss.name}: ${loss.part}, ${loss.fault}`);
        const begun = performance.now();
        const say = (text: string) => {
          if (!json) note(`${((performance.now() - begun) / 1_000).toFixed(1).padStart(8)} s  ${text}`);
        };
        await services.quiet(givenUp);
        strays.push(...services.told(wellSince).map(({ message }) => message));
        const report = await runPartDrill(loss, {
          tier,
          services,
          clock: systemClock,
          synchronous,
          signal: givenUp,
          say,
        });
        wellSince = performance.now();
        await keepResult(folder, report);
        if (!json) note(findingsText(report));
      }
    } catch (error) {
      if (!givenUp.aborted) throw error;
      throw new Error('interrupted; the faults of the drill are undone, and its measurements are kept', {
        cause: error,
      });
    } finally {
      await services.stop();
    }
  }
  const kept = await keptResults(folder);
  const reports = chosen.flatMap(({ name }) => kept.get(name) ?? []);
  const inOrder = reports.toSorted((one, other) => Date.parse(one.from) - Date.parse(other.from));
  const together = judgeWhole({
    slack: inOrder.map(({ told }) => told.filter(({ channel }) => channel === 'slack').length),
    alerts: inOrder.map(({ alerts }) => alerts.length),
    strays,
  });
  const passed = reports.every((report) => report.passed) && together.every(({ kept }) => kept);
  if (json) printJson({ reports, together, passed });
  else
    print(
      `${reportsTable(reports)}\n\n${together.map(findingText).join('\n')}\n\n${passed ? 'PASS' : 'FAIL'}`,
    );
  process.exitCode = passed ? 0 : 1;
}

const seconds = (ms: number): string => (ms / 1_000).toFixed(1);

/** A line for each part: how long clients got no answer, and the first alert. */
export function reportsTable(reports: readonly PartReport[]): string {
  return table(
    ['drill', 'writes', 'reads', 'POST', 'GET', 'lost', 'first alert', ''],
    reports.map(({ drill, silentMs, lost, acknowledged, told, passed }) => [
      drill,
      ...(['writes', 'reads', 'POST', 'GET'] as const).map((asked) => `${seconds(silentMs[asked])} s`),
      `${lost} of ${acknowledged}`,
      firstTold(drill, told),
      passed ? 'PASS' : 'FAIL',
    ]),
  );
}

function firstTold(drill: string, told: PartReport['told']): string {
  const wanted = LOSSES.find(({ name }) => name === drill)?.told?.by ?? [];
  const begun = told.filter(({ kind, channel }) => kind !== 'resolved' && channel === 'webhook');
  const first = begun.find(({ rule }) => wanted.includes(rule)) ?? begun[0];
  return first ? `${first.message}, ${first.severity}, ${seconds(first.afterMs)} s` : 'nothing';
}

const findingText = ({ kept, promise, measured }: Finding): string =>
  `${kept ? 'kept  ' : 'BROKEN'}  ${promise}: ${measured}`;

function findingsText({ findings, errors, passed }: PartReport): string {
  const failed = Object.entries(errors).map(([message, count]) => `  ${count} x ${message}`);
  return [...failed, ...findings.map(findingText), passed ? 'PASS' : 'FAIL'].join('\n');
}

function asLosses(text: string): Loss[] {
  return text.split(',').map((name) => {
    const loss = LOSSES.find((one) => one.name === name.trim());
    if (!loss)
      throw new InvalidArgumentError(
        `no drill of a loss is called "${name}"; there are: ${LOSSES.map((one) => one.name).join(', ')}`,
      );
    return loss;
  });
}
