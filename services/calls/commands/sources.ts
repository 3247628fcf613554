/** `trunkline sources`: the state of each switch. */
import { Command } from 'commander';
import { withSession } from '#platform/database/pool.ts';
import { duration, print, printJson, table } from '#platform/terminal/print.ts';
import type { SourceActivity } from '../contract.ts';
import { activityOf } from '../source_activity.ts';
import { listSourceHours } from '../store/source_hours.ts';
import type { CallsTools } from './tools.ts';

const COLUMNS = [
  'source',
  'last heard',
  'from',
  'last call',
  'lag',
  'rows/min',
  'rejected today',
  'refused today',
];

export function sourcesCommand(tools: CallsTools): Command {
  return new Command('sources')
    .description('show each switch: its last rows, its rejected rows, and its refused posts')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample:\n  trunkline sources')
    .action((options: { json?: true }) =>
      tools.withDatabase(async ({ pool }) => {
        const now = Date.now();
        const rows = await withSession(pool, (session) => session.rows(listSourceHours()));
        const sources = rows.map((row) => activityOf(row, now));
        if (options.json) return printJson(sources);
        if (sources.length === 0) return print('No switch was heard from in four weeks.');
        print(table(COLUMNS, sources.map(cells)));
      }),
    );
}

const cells = (one: SourceActivity) => [
  one.source,
  one.silent_s === null ? '-' : `${duration(one.silent_s)} ago`,
  one.last_file,
  one.last_call_at,
  one.lag_s === null ? '' : duration(one.lag_s),
  Number(one.rows_per_minute.toFixed(1)),
  one.set_aside_today,
  one.refused_today,
];
