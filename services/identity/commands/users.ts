/** `trunkline users`: the people who may sign in, and the way in for an operator when no other is left. */
import { Command } from 'commander';
import { withSession } from '#platform/database/pool.ts';
import { asPrintable } from '#platform/terminal/option_values.ts';
import { note, print, printJson, table } from '#platform/terminal/print.ts';
import { terminalActor } from '#platform/terminal/terminal_actor.ts';
import { makeOperator } from '../people/operators.ts';
import { listUsers, type UserRow } from '../people/store.ts';
import { asEmail } from './email.ts';
import type { IdentityTools } from './tools.ts';

const COLUMNS = ['e-mail', 'name', 'role', 'second factor', 'sessions', 'created'];

export function usersCommand(tools: IdentityTools): Command {
  return new Command('users')
    .description('people who may sign in: show them, and let an operator in')
    .addCommand(listCommand(tools))
    .addCommand(operatorCommand(tools));
}

function listCommand({ withDatabase }: IdentityTools): Command {
  return new Command('list')
    .description('show all people')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample:\n  trunkline users list')
    .action((options: { json?: true }) =>
      withDatabase(async ({ pool }) => {
        const users = await withSession(pool, (session) => session.rows(listUsers()));
        if (options.json) printJson(users);
        else print(table(COLUMNS, users.map(cells)));
      }),
    );
}

const cells = (user: UserRow) => [
  user.email,
  user.name,
  user.role,
  user.second_factor ? 'on' : 'off',
  user.sessions,
  user.created_at.slice(0, 10),
];

interface OperatorOptions {
  readonly name?: string;
  readonly reset?: true;
  readonly json?: true;
}

function operatorCommand({ withDatabase }: IdentityTools): Command {
  return new Command('operator')
    .description('make an operator with a random password, which is shown once')
    .argument('<email>', 'by which the operator signs in', asEmail)
    .option('--name <name>', 'the name; without it, the e-mail', asPrintable)
    .option(
      '--reset',
      'for a person who is there already: becomes an operator with a new password and no second factor; is signed out everywhere',
    )
    .option('--json', 'the password and its person as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  trunkline users operator anna@example.com --name "Anna Weber"\n  trunkline users operator anna@example.com --reset',
    )
    .action((email: string, options: OperatorOptions) =>
      withDatabase(async ({ pool }) => {
        const wanted = { email, name: options.name ?? email, reset: options.reset ?? false };
        const made = await makeOperator(pool, wanted, terminalActor());
        if (options.json) {
          printJson(made);
          return;
        }
        print(made.password);
        note(
          `The password of operator ${email}. It is shown this once; the person should change it and turn the second factor on.`,
        );
      }),
    );
}
