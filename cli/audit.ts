/** `trunkline audit`: the trail of changes. */
import { Command } from 'commander';
import type { AuditRow } from '#platform/database/audit.ts';
import { withSession } from '#platform/database/pool.ts';
import { asCount } from '#platform/terminal/option_values.ts';
import { print, printJson, table } from '#platform/terminal/print.ts';
import { AUDIT_TRAILS } from '#system';
import { withDatabase } from './database.ts';

interface Options {
  readonly action?: string;
  readonly subject?: string;
  readonly limit: number;
  readonly json?: true;
}

export function auditCommand(): Command {
  return new Command('audit')
    .description('changes by commands and the API, with their actors')
    .addCommand(listCommand());
}

function listCommand(): Command {
  return new Command('list')
    .description('show the changes, the newest first')
    .option('--action <action>', 'only changes of this kind, such as keys.revoke')
    .option('--subject <subject>', 'only changes to this subject, such as "key 4"')
    .option('--limit <count>', 'at most so many', asCount, 50)
    .option('--json', 'as JSON, with all details')
    .addHelpText('after', '\nExample:\n  trunkline audit list --action keys.revoke')
    .action((options: Options) =>
      withDatabase(async ({ poolOf }) => {
        const all: AuditRow[] = [];
        for (const { service, trail } of AUDIT_TRAILS) {
          const list = trail.list(options, options.limit);
          all.push(...(await withSession(poolOf(service), (session) => session.rows(list))));
        }
        const rows = all.sort((a, b) => Date.parse(b.at) - Date.parse(a.at)).slice(0, options.limit);
        if (options.json) return printJson(rows);
        if (rows.length === 0) return print('There are no changes.');
        print(table(['at', 'by', 'action', 'subject', 'detail', 'before', 'after'], rows.map(cells)));
      }),
    );
}

const cells = (row: AuditRow) => [
  row.at,
  row.by_name,
  row.action,
  row.subject,
  fields(row.detail),
  fields(row.before),
  fields(row.after),
];

/** `{"calls": 12, "reason": "wrong zone"}` as calls=12 reason="wrong zone". */
const fields = (values: Readonly<Record<string, unknown>> | null): string =>
  Object.entries(values ?? {})
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(' ');
