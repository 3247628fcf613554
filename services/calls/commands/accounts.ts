/** `trunkline accounts`: manages the accounts that own calls. */
import { Command } from 'commander';
import { withSession } from '#platform/database/pool.ts';
import { note, print, printJson } from '#platform/terminal/print.ts';
import { terminalActor } from '#platform/terminal/terminal_actor.ts';
import { tidyCode } from '../account_codes.ts';
import { accountWithCode, changeAccount, codesAlike, createAccount } from '../accounts/accounts.ts';
import { listAccounts } from '../store/account_edits.ts';
import type { AccountRow } from '../store/account_rows.ts';
import { closeCommand, renameCommand, reopenCommand } from './accounts_life.ts';
import { moveCommand } from './accounts_move.ts';
import { accountsTable, showAccount } from './accounts_table.ts';
import { eraseAccountCommand } from './erase.ts';
import { asCountry, asCurrency, asTimeZone } from './option_values.ts';
import type { CallsTools } from './tools.ts';

const PAGE = 1_000;

interface Fields {
  readonly name?: string;
  readonly currency?: string;
  readonly timeZone?: string;
  readonly country?: string;
  readonly parent?: string;
  readonly json?: true;
}

export function accountsCommand(tools: CallsTools): Command {
  return new Command('accounts')
    .description(
      'manage accounts, which own the calls: create, show, change, rename, move, close and erase them',
    )
    .addCommand(createCommand(tools))
    .addCommand(listCommand(tools))
    .addCommand(showCommand(tools))
    .addCommand(setCommand(tools))
    .addCommand(renameCommand(tools))
    .addCommand(moveCommand(tools))
    .addCommand(closeCommand(tools))
    .addCommand(reopenCommand(tools))
    .addCommand(eraseAccountCommand(tools));
}

const withFields = (command: Command) =>
  command
    .option('--name <name>', 'name for people')
    .option('--currency <code>', 'ISO 4217, such as EUR', asCurrency)
    .option('--time-zone <zone>', 'IANA zone by which its days are counted', asTimeZone)
    .option('--country <code>', 'ISO 3166-1 code of the country whose national numbers it dials', asCountry)
    .option('--parent <code>', 'code of the customer that it belongs to')
    .option('--json', 'the account as JSON');

function createCommand(tools: CallsTools): Command {
  return withFields(new Command('create'))
    .description('create an account')
    .argument('<code>', 'its account code, as the switch writes it')
    .addHelpText(
      'after',
      `
Examples:
  trunkline accounts create acme --name "Acme Ltd" --currency GBP --time-zone Europe/London --country GB
  trunkline accounts create acme-sales --parent acme     with acme's currency, time zone and country`,
    )
    .action((code: string, fields: Fields) =>
      tools.withDatabase(async ({ pool }) => {
        const { settings } = tools.parts();
        const { parent } = fields;
        const above =
          parent === undefined
            ? undefined
            : await withSession(pool, (session) => accountWithCode(session, parent));
        const account = {
          code,
          name: fields.name ?? tidyCode(code),
          currency: fields.currency ?? above?.currency ?? settings.defaultCurrency,
          timeZone: fields.timeZone ?? above?.time_zone ?? settings.importTimeZone,
          country: fields.country ?? above?.country ?? null,
        };
        const made = await createAccount(pool, account, parent ?? null, terminalActor());
        showAccount(made, fields.json);
        if (above) noteTakenOver(above, fields);
        const alike = await withSession(pool, (session) => codesAlike(session, made.code));
        if (alike.length > 0) {
          const others = alike.map((other) => JSON.stringify(other)).join(', ');
          note(`another account's code differs in case alone: ${others}; each has its own calls`);
        }
      }),
    );
}

/** The values that a new account takes from its parent. */
function noteTakenOver({ code, currency, time_zone, country }: AccountRow, told: Fields): void {
  const taken = [
    ...(told.currency === undefined ? [`currency ${currency}`] : []),
    ...(told.timeZone === undefined ? [`time zone ${time_zone}`] : []),
    ...(told.country === undefined && country !== null ? [`country ${country}`] : []),
  ];
  if (taken.length > 0)
    note(`taken over from ${code}: ${taken.join(', ')}; trunkline accounts set changes them`);
}

function setCommand(tools: CallsTools): Command {
  return withFields(new Command('set'))
    .description('change an account; values without an option stay')
    .argument('<code>', 'its account code')
    .option('--no-parent', 'take it out of its customer')
    .option('--no-country', 'forget its country')
    .addHelpText(
      'after',
      `
Another parent is the parent of all its calls, those from before too; accounts move takes it below another from a date on.

Example:
  trunkline accounts set acme --time-zone Europe/Berlin`,
    )
    .action(
      (
        code: string,
        fields: Omit<Fields, 'parent' | 'country'> & {
          parent?: string | boolean;
          country?: string | boolean;
        },
      ) =>
        tools.withDatabase(async ({ pool }) => {
          const edit = {
            name: fields.name,
            currency: fields.currency,
            timeZone: fields.timeZone,
            country: given(fields.country),
            parent: given(fields.parent),
          };
          showAccount(await changeAccount(pool, code, edit, terminalActor()), fields.json);
        }),
    );
}

/** commander gives true for a --no-… option that is absent, false for one that is there. */
const given = (value: string | boolean | undefined): string | null | undefined =>
  value === false ? null : value === true ? undefined : value;

function showCommand(tools: CallsTools): Command {
  return new Command('show')
    .description('show one account')
    .argument('<code>', 'its account code')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample:\n  trunkline accounts show acme --json')
    .action((code: string, options: { json?: true }) =>
      tools.withDatabase(async ({ pool }) =>
        showAccount(await withSession(pool, (session) => accountWithCode(session, code)), options.json),
      ),
    );
}

function listCommand(tools: CallsTools): Command {
  return new Command('list')
    .description('show all accounts, by code')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample:\n  trunkline accounts list --json')
    .action((options: { json?: true }) =>
      tools.withDatabase(async ({ pool }) => {
        const accounts: AccountRow[] = [];
        for (let page: AccountRow[] | undefined; !page || page.length === PAGE; ) {
          page = await withSession(pool, (session) =>
            session.rows(listAccounts(accounts.at(-1)?.code ?? '', PAGE)),
          );
          accounts.push(...page);
        }
        if (options.json) return printJson(accounts);
        if (accounts.length === 0)
          return note('There are no accounts yet: trunkline accounts create, or import --create-accounts');
        print(accountsTable(accounts));
      }),
    );
}
