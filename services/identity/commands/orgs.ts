/** `trunkline orgs`: organizations, which are the customers whose people sign in. */
import { Command } from 'commander';
import { withSession } from '#platform/database/pool.ts';
import { asPrintable } from '#platform/terminal/option_values.ts';
import { print, printJson, table } from '#platform/terminal/print.ts';
import { terminalActor } from '#platform/terminal/terminal_actor.ts';
import { createOrganization } from '../organizations/organizations.ts';
import { listOrganizations } from '../organizations/store.ts';
import type { IdentityTools } from './tools.ts';

const COLUMNS = ['name', 'account', 'people', 'invitations', 'created'];

export function orgsCommand(tools: IdentityTools): Command {
  return new Command('orgs')
    .description('organizations: the customers whose people sign in')
    .addCommand(createCommand(tools))
    .addCommand(listCommand(tools));
}

function createCommand({ parts, withDatabase }: IdentityTools): Command {
  return new Command('create')
    .description('make the organization of an account; an account has at most one')
    .argument('<account>', 'the code of its account; its people see this account and all below it')
    .option('--name <name>', 'the name; without it, the code', asPrintable)
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample:\n  trunkline orgs create acme --name "Acme Ltd"')
    .action((code: string, options: { name?: string; json?: true }) =>
      withDatabase(async ({ pool, poolOf }) => {
        const account = await withSession(poolOf('calls'), (session) =>
          parts().accountWithCode(session, code),
        );
        const wanted = { name: options.name ?? code, iAccount: account.i_account };
        const made = await createOrganization(pool, wanted, terminalActor());
        if (options.json) printJson({ ...made, name: wanted.name, i_account: wanted.iAccount });
        else print(`Organization "${wanted.name}" stands at account ${code}.`);
      }),
    );
}

function listCommand({ parts, withDatabase }: IdentityTools): Command {
  return new Command('list')
    .description('show all organizations')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample:\n  trunkline orgs list')
    .action((options: { json?: true }) =>
      withDatabase(async ({ pool, poolOf }) => {
        const rows = await withSession(pool, (session) => session.rows(listOrganizations()));
        const { calls } = parts().keyPlaces(pool, poolOf('calls'));
        const codes = new Map(
          (
            await withSession(calls.pool, (session) =>
              session.rows(calls.codesOf(rows.map(({ i_account }) => i_account))),
            )
          ).map(({ i_account, code }) => [i_account, code]),
        );
        const organizations = rows.map((row) => ({ ...row, account: codes.get(row.i_account) ?? null }));
        if (options.json) printJson(organizations);
        else
          print(
            table(
              COLUMNS,
              organizations.map(({ name, account, people, invitations, created_at }) => [
                ...[name, account, people, invitations],
                created_at.slice(0, 10),
              ]),
            ),
          );
      }),
    );
}
