/** `trunkline alerts`: lists the monitor's alerts, and tests whether they reach people. */
import { Command } from 'commander';
import { duration, print, printJson, table } from '#platform/terminal/print.ts';
import type { Alert } from '../contract.ts';
import { askMonitor, type MonitorOptions, withMonitor } from './monitor_client.ts';
import type { MonitorTools } from './tools.ts';

interface Outcome {
  readonly channel: string;
  readonly delivered: boolean;
  readonly error?: string;
}

export function alertsCommand({ parts }: MonitorTools): Command {
  const alerts = new Command('alerts').description(
    'the alerts of the running monitor, and whether they reach people',
  );
  withMonitor(alerts.command('test'))
    .description('send a test through each channel of the running monitor (exit code 1 when one fails)')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample:\n  trunkline alerts test')
    .action(async (options: MonitorOptions & { json?: true }) => {
      const outcomes = (await askMonitor('POST', '/alerts/test', options, parts())) as Outcome[];
      if (outcomes.some(({ delivered }) => !delivered)) process.exitCode = 1;
      if (options.json) return printJson(outcomes);
      const rows = outcomes.map(({ channel, delivered, error }) => {
        return [channel, delivered ? 'delivered' : 'not delivered', error ?? ''];
      });
      print(table(['channel', 'test', ''], rows));
    });
  withMonitor(alerts.command('list'))
    .description('active and past alerts, the newest first: a line each')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  trunkline alerts list\n  trunkline alerts list --json | jq .history',
    )
    .action(async (options: MonitorOptions & { json?: true }) => {
      const book = (await askMonitor('GET', '/alerts', options, parts())) as {
        active: Alert[];
        history: Alert[];
      };
      if (options.json) return printJson({ active: book.active, history: book.history });
      print(alertsText([...book.active, ...book.history]));
    });
  return alerts;
}

/** One line for each alert. */
export function alertsText(alerts: readonly Alert[]): string {
  if (alerts.length === 0) return 'there was no alert yet';
  return table(
    ['since', 'state', 'lasted', 'severity', 'what', ''],
    alerts.map(({ since, state, resolved_at: end, severity, message, announced, cause }) => [
      since,
      state,
      end === undefined ? '' : duration(Math.max(0, (Date.parse(end) - Date.parse(since)) / 1_000)),
      severity,
      message,
      announced ? '' : cause === undefined ? 'not sent' : `not sent: caused by ${cause}`,
    ]),
  );
}
