/** `trunkline invite`: lets a person in, by a code that is good once. */
import { Command, Option } from 'commander';
import { withSession } from '#platform/database/pool.ts';
import { asCount } from '#platform/terminal/option_values.ts';
import { note, print, printJson } from '#platform/terminal/print.ts';
import { terminalActor } from '#platform/terminal/terminal_actor.ts';
import { ORGANIZATION_ROLES, PROVIDER_ROLES, type Role } from '../contract.ts';
import { findOrganization, invite, isProviderRole } from '../organizations/organizations.ts';
import { asEmail } from './email.ts';
import type { IdentityTools } from './tools.ts';

const STANDARD_DAYS = 7;
const MOST_DAYS = 30;

interface InviteOptions {
  readonly role: Role;
  readonly account?: string;
  readonly days: number;
  readonly json?: true;
}

export function inviteCommand({ parts, withDatabase }: IdentityTools): Command {
  return new Command('invite')
    .description('invite a person; the code of the invitation is shown once and is good once')
    .argument('<email>', 'of the person', asEmail)
    .addOption(
      new Option('--role <role>', 'what the person may do: docs/RIGHTS.md')
        .choices([...PROVIDER_ROLES, ...ORGANIZATION_ROLES])
        .makeOptionMandatory(),
    )
    .option('--account <code>', "the account of the person's organization; for the roles of an organization")
    .option('--days <days>', `how long it can be accepted, up to ${MOST_DAYS}`, asCount, STANDARD_DAYS)
    .option('--json', 'the code and its invitation as JSON')
    .addHelpText(
      'after',
      '\nAn open invitation of the same person to the same organization becomes void.\n\nExamples:\n' +
        '  trunkline invite anna@example.com --role owner --account acme\n  trunkline invite tom@example.com --role support',
    )
    .action((email: string, { role, account: code, days, json }: InviteOptions) =>
      withDatabase(async ({ pool, poolOf }) => {
        if (isProviderRole(role) === (code !== undefined))
          throw new Error('--account goes with the roles of an organization, and these need it');
        if (days > MOST_DAYS) throw new Error(`--days: at most ${MOST_DAYS}`);
        const account =
          code === undefined
            ? undefined
            : await withSession(poolOf('calls'), (session) => parts().accountWithCode(session, code));
        const organization = account && (await findOrganization(pool, account.i_account));
        const wanted = { email, organizationId: organization?.id ?? null, role, days };
        const invited = await invite(pool, wanted, terminalActor());
        if (json) {
          printJson(invited);
          return;
        }
        print(invited.code);
        const to = organization ? ` of "${organization.name}"` : '';
        note(
          `The invitation of ${email} as ${role}${to}, good once until ${invited.expires_at.slice(0, 10)}. It is shown this once.`,
        );
        note(
          'A new person accepts it by POST /auth/invitations/join, a known one by POST /auth/invitations/accept.',
        );
      }),
    );
}
