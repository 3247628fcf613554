/** `trunkline drill rabbitmq-leader-crash`: the node of RabbitMQ that leads a queue is killed again and again. */
import { Command } from 'commander';
import { type LeaderCrashReport, runLeaderCrash } from '#engines/cluster/drills/leader_crash.ts';
import { createPool } from '#platform/database/pool.ts';
import { bringUpToDate } from '#platform/database/upgrade.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { untilInterrupted } from '#platform/terminal/ending_signals.ts';
import { asCount } from '#platform/terminal/option_values.ts';
import { grouped, print, printJson } from '#platform/terminal/print.ts';
import { SCHEMAS } from '#system';
import { CLUSTER_DATA_DEFAULT } from './cluster.ts';
import { tierForDrill } from './drill_tier.ts';

const KILLS_DEFAULT = 10;
/** Exit status: the drill can't be rehearsed on this tier. */
const EXIT_SKIPPED = 2;

interface Options {
  readonly data: string;
  readonly kills: number;
  readonly json?: true;
}

export function leaderCrashCommand(): Command {
  return new Command('rabbitmq-leader-crash')
    .description('the node of RabbitMQ that leads a queue is killed, again and again, while messages move')
    .option('--data <folder>', 'folder of the tier; by default cluster in DATA_DIR', CLUSTER_DATA_DEFAULT)
    .option('--kills <count>', 'so many kills', asCount, KILLS_DEFAULT)
    .option('--json', 'only the report, as JSON')
    .addHelpText(
      'after',
      '\nExample:\n  $ trunkline cluster up --detach --with rabbitmq && trunkline drill rabbitmq-leader-crash',
    )
    .action(async ({ data, kills, json }: Options) => {
      const signal = untilInterrupted('undoing the faults of the drill');
      const tier = await tierForDrill(data);
      if (tier.brokerUrl === undefined) {
        const skipped = 'the tier runs without RabbitMQ: trunkline cluster up --with rabbitmq';
        if (json) printJson({ drill: 'rabbitmq-leader-crash', skipped });
        else print(`SKIPPED: ${skipped}`);
        process.exitCode = EXIT_SKIPPED;
        return;
      }
      const applicationName = 'trunkline-drill';
      const pool = createPool({ url: tier.writeUrl, applicationName, size: 1, onIdleError: () => undefined });
      await bringUpToDate(pool, SCHEMAS, { embedded: true }).finally(() => pool.end());
      const say = (text: string) => {
        if (!json) print(text);
      };
      const report = await runLeaderCrash({ tier, clock: systemClock, kills, say, signal });
      if (json) printJson(report);
      else print(summary(report));
      process.exitCode = report.passed ? 0 : 1;
    });
}

function summary({ kills, published, findings, passed }: LeaderCrashReport): string {
  const times = kills.map(({ movedAgainMs }) => movedAgainMs).sort((a, b) => a - b);
  const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`;
  const middle = times[Math.floor(times.length / 2)]!;
  return [
    '',
    `${grouped(published)} messages, ${kills.length} kills`,
    `messages moved again after ${times.map(seconds).join(', ')}; median ${seconds(middle)}`,
    '',
    ...findings.map(
      ({ kept, promise, measured }) => `${kept ? 'kept  ' : 'BROKEN'}  ${promise}: ${measured}`,
    ),
    '',
    passed ? 'PASS' : 'FAIL',
  ].join('\n');
}
