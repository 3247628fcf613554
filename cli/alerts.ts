/** `trunkline alerts`: whether alerts reach people. */
import { Command } from 'commander';
import { askMonitor, type MonitorOptions, withMonitor } from './monitor_client.ts';
import { print, printJson, table } from './print.ts';

interface Outcome {
  readonly channel: string;
  readonly delivered: boolean;
  readonly error?: string;
}

export function alertsCommand(): Command {
  const alerts = new Command('alerts').description('whether alerts reach people');
  withMonitor(alerts.command('test'))
    .description('send a test through each channel of the running monitor (exit code 1 when one fails)')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample:\n  trunkline alerts test')
    .action(async (options: MonitorOptions & { json?: true }) => {
      const outcomes = (await askMonitor('POST', '/alerts/test', options)) as Outcome[];
      if (outcomes.some(({ delivered }) => !delivered)) process.exitCode = 1;
      if (options.json) return printJson(outcomes);
      const rows = outcomes.map(({ channel, delivered, error }) => {
        return [channel, delivered ? 'delivered' : 'not delivered', error ?? ''];
      });
      print(table(['channel', 'test', ''], rows));
    });
  return alerts;
}
