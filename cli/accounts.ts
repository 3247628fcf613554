/** `trunkline accounts`: whose calls there are. */
import { Command } from 'commander';
import { withSession } from '#platform/database/pool.ts';
import { type AccountRow, accountWithCode, changeAccount, createAccount } from '#services/calls/accounts.ts';
import { listAccounts } from '#services/calls/store/account_edits.ts';
import { withDatabase } from './database.ts';
import { asCountry, asCurrency, asTimeZone } from './option_values.ts';
import { note, print, printJson, table } from './print.ts';

const PAGE = 1_000;

interface Fields {
  readonly name?: string;
  readonly currency?: string;
  readonly timeZone?: string;
  readonly country?: string;
  readonly parent?: string;
  readonly json?: true;
}

export function accountsCommand(): Command {
  return new Command('accounts')
    .description('whose calls these are: make, show and change accounts')
    .addCommand(createCommand())
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(setCommand());
}

const withFields = (command: Command) =>
  command
    .option('--name <name>', 'name for people')
    .option('--currency <code>', 'ISO 4217, such as EUR', asCurrency)
    .option('--time-zone <zone>', 'IANA zone by which its days are counted', asTimeZone)
    .option('--country <code>', 'ISO 3166-1, whose national numbers it dials', asCountry)
    .option('--parent <code>', 'the customer that it belongs to')
    .option('--json', 'the account as JSON');

function createCommand(): Command {
  return withFields(new Command('create'))
    .description('make an account')
    .argument('<code>', 'what the switch calls it (its account code)')
    .addHelpText(
      'after',
      '\nExample:\n  trunkline accounts create acme --name "Acme Ltd" --currency GBP --time-zone Europe/London --country GB',
    )
    .action((code: string, fields: Fields) =>
      withDatabase(async ({ pool, config }) => {
        const account = {
          code,
          name: fields.name ?? code,
          currency: fields.currency ?? config.DEFAULT_CURRENCY,
          timeZone: fields.timeZone ?? config.IMPORT_TIME_ZONE,
          country: fields.country ?? null,
        };
        show([await createAccount(pool, account, fields.parent ?? null)], fields.json);
      }),
    );
}

function setCommand(): Command {
  return withFields(new Command('set'))
    .description('change an account; what is not named stays')
    .argument('<code>', 'its account code')
    .option('--no-parent', 'take it out from under its customer')
    .option('--no-country', 'forget its country')
    .addHelpText('after', '\nExample:\n  trunkline accounts set acme --time-zone Europe/Berlin')
    .action(
      (
        code: string,
        fields: Omit<Fields, 'parent' | 'country'> & {
          parent?: string | boolean;
          country?: string | boolean;
        },
      ) =>
        withDatabase(async ({ pool }) => {
          const edit = {
            name: fields.name,
            currency: fields.currency,
            timeZone: fields.timeZone,
            country: given(fields.country),
            parent: given(fields.parent),
          };
          show([await changeAccount(pool, code, edit)], fields.json);
        }),
    );
}

/** commander gives true for a --no-… option that is absent, false for one that is there. */
const given = (value: string | boolean | undefined): string | null | undefined =>
  value === false ? null : value === true ? undefined : value;

function showCommand(): Command {
  return new Command('show')
    .description('show one account')
    .argument('<code>', 'its account code')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample:\n  trunkline accounts show acme --json')
    .action((code: string, options: { json?: true }) =>
      withDatabase(async ({ pool }) =>
        show([await withSession(pool, (session) => accountWithCode(session, code))], options.json),
      ),
    );
}

function listCommand(): Command {
  return new Command('list')
    .description('show all accounts, by code')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample:\n  trunkline accounts list --json')
    .action((options: { json?: true }) =>
      withDatabase(async ({ pool }) => {
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
        show(accounts);
      }),
    );
}

function show(accounts: readonly AccountRow[], json?: true): void {
  if (json) {
    printJson(accounts[0]);
    return;
  }
  print(
    table(
      ['i_account', 'code', 'name', 'currency', 'time_zone', 'country', 'parent'],
      accounts.map((a) => [a.i_account, a.code, a.name, a.currency, a.time_zone, a.country, a.parent]),
    ),
  );
}
