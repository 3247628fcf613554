/** `trunkline accounts rename|close|reopen`: the life of an account. */
import { Command } from 'commander';
import { grouped, note } from '#platform/terminal/print.ts';
import { terminalActor } from '#platform/terminal/terminal_actor.ts';
import { closeAccount, renameAccount, reopenAccount } from '../accounts/account_life.ts';
import { showAccount } from './accounts_table.ts';
import type { CallsTools } from './tools.ts';

interface Options {
  readonly json?: true;
  readonly from?: string;
}

export function renameCommand(tools: CallsTools): Command {
  return new Command('rename')
    .description('give an account another code; rows that name it by the old one stay its rows')
    .argument('<code>', 'its account code')
    .argument('<new-code>', 'its code from now on')
    .option('--json', 'the account as JSON')
    .addHelpText('after', '\nExample:\n  trunkline accounts rename acme acme-berlin')
    .action((code: string, newCode: string, options: Options) =>
      tools.withDatabase(async ({ pool }) => {
        const { account, before } = await renameAccount(pool, code, newCode, terminalActor());
        showAccount(account, options.json);
        if (before !== account.code) {
          note(
            `Rows that name ${JSON.stringify(before)} remain its rows, until another account gets that code.`,
          );
        }
      }),
    );
}

export function closeCommand(tools: CallsTools): Command {
  return new Command('close')
    .description('close an account: its keys are refused, calls that still come in are kept and flagged')
    .argument('<code>', 'its account code')
    .option('--from <date>', 'from a date of its time zone, or an instant (default: now)')
    .option('--json', 'the account as JSON')
    .addHelpText(
      'after',
      `
Its keys, and tokens for it, are refused from then on; operators and the keys of its customer go on reading it. A call that
starts later is stored and counted as any other, and bears the flag account_closed. Accounts below it stay as they are.

Examples:
  trunkline accounts close acme
  trunkline accounts close acme --from 2026-12-01`,
    )
    .action((code: string, options: Options) =>
      tools.withDatabase(async ({ pool }) => {
        const { account, calls } = await closeAccount(pool, code, options.from, terminalActor());
        showAccount(account, options.json);
        if (calls > 0)
          note(
            `${grouped(calls)} calls that start later are stored already, without the flag account_closed.`,
          );
      }),
    );
}

export function reopenCommand(tools: CallsTools): Command {
  return new Command('reopen')
    .description('reopen a closed account; its keys are valid again')
    .argument('<code>', 'its account code')
    .option('--json', 'the account as JSON')
    .addHelpText('after', '\nExample:\n  trunkline accounts reopen acme')
    .action((code: string, options: Options) =>
      tools.withDatabase(async ({ pool }) =>
        showAccount(await reopenAccount(pool, code, terminalActor()), options.json),
      ),
    );
}
