/** `trunkline keys`: manages the keys of the API. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { withSession } from '#platform/database/pool.ts';
import { printable } from '#platform/telemetry/printable.ts';
import { asCount, asPrintable } from '#platform/terminal/option_values.ts';
import { note, print, printJson, table } from '#platform/terminal/print.ts';
import { terminalActor } from '#platform/terminal/terminal_actor.ts';
import { SCOPES, type Scope } from '../contract.ts';
import { type CreatedKey, copyKeys, createKey, type ListedKey, listKeys, revokeKey } from '../keys.ts';
import type { IdentityTools } from './tools.ts';

const DAY_MS = 86_400_000;
const COLUMNS = ['i_key', 'name', 'key', 'scope', 'account', 'state', 'created'];

export function keysCommand(tools: IdentityTools): Command {
  return new Command('keys')
    .description('manage the keys of the API: create, show and revoke them')
    .addCommand(createCommand(tools))
    .addCommand(listCommand(tools))
    .addCommand(revokeCommand(tools))
    .addCommand(copyCommand(tools));
}

interface CreateOptions {
  readonly scope: Scope;
  readonly name: string;
  readonly account?: string;
  readonly expires?: string;
  readonly json?: true;
}

function createCommand({ parts, withDatabase }: IdentityTools): Command {
  return new Command('create')
    .description('create a key; it is shown once')
    .addOption(
      new Option(
        '--scope <scope>',
        'operator: all; customer: its account and those below it; support: all, numbers masked; ingest: may only post',
      )
        .choices(SCOPES)
        .makeOptionMandatory(),
    )
    .requiredOption('--name <name>', 'the purpose of the key', asName)
    .option('--account <code>', 'its account; for scope customer')
    .option(
      '--expires <when>',
      'days from now, such as 90d, or an instant, such as 2027-01-01T00:00:00Z',
      asExpiry,
    )
    .option('--json', 'the key and its properties as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  trunkline keys create --scope customer --account acme --name "Acme\'s console"\n' +
        '  trunkline keys create --scope ingest --name "switch 1" --expires 365d',
    )
    .action((options: CreateOptions) =>
      withDatabase(async ({ pool, poolOf }) => {
        if ((options.scope === 'customer') !== (options.account !== undefined)) {
          throw new Error('--account goes with --scope customer, and a customer key needs it');
        }
        const code = options.account;
        const account =
          code === undefined
            ? null
            : await withSession(poolOf('calls'), (session) => parts().accountWithCode(session, code));
        const created = await createKey(
          parts().keyPlaces(pool, poolOf('calls')),
          {
            name: options.name,
            scope: options.scope,
            iAccount: account?.i_account ?? null,
            expiresAt: options.expires ?? null,
          },
          terminalActor(),
        );
        showCreated(created, options.json);
      }),
    );
}

function showCreated(created: CreatedKey, json?: true): void {
  if (json) {
    printJson(created);
    return;
  }
  print(created.key);
  note(`Key ${created.i_key} "${created.name}" (${created.scope}). It is shown this once; keep it safe.`);
}

function listCommand({ parts, withDatabase }: IdentityTools): Command {
  return new Command('list')
    .description('show all keys, each by its first characters')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample:\n  trunkline keys list')
    .action((options: { json?: true }) =>
      withDatabase(async ({ pool, poolOf }) => {
        const keys = await listKeys(parts().keyPlaces(pool, poolOf('calls')));
        if (options.json) printJson(keys);
        else print(table(COLUMNS, keys.map(cells)));
      }),
    );
}

const cells = (key: ListedKey) => [
  key.i_key,
  key.name,
  `${key.prefix}…`,
  key.scope,
  key.account,
  stateOf(key),
  key.created_at.slice(0, 10),
];

function stateOf(key: ListedKey): string {
  if (key.closed_from && Date.parse(key.closed_from) <= Date.now()) return 'account closed';
  if (key.revoked_at) return `revoked ${key.revoked_at.slice(0, 10)}`;
  if (!key.expires_at) return 'valid';
  return `${Date.parse(key.expires_at) < Date.now() ? 'expired' : 'valid to'} ${key.expires_at.slice(0, 10)}`;
}

function revokeCommand({ parts, withDatabase }: IdentityTools): Command {
  return new Command('revoke')
    .description('revoke a key; running programs refuse it within seconds')
    .argument('<i_key>', 'its number, as `keys list` shows it', asCount)
    .addHelpText('after', '\nExample:\n  trunkline keys revoke 4')
    .action((iKey: number) =>
      withDatabase(async ({ pool, poolOf }) => {
        const key = await revokeKey(parts().keyPlaces(pool, poolOf('calls')), iKey, terminalActor());
        if (!key) throw new Error(`there is no key ${iKey}; trunkline keys list shows them`);
        print(`Key ${key.i_key} "${printable(key.name)}" is revoked.`);
      }),
    );
}

function copyCommand({ parts, withDatabase }: IdentityTools): Command {
  return new Command('copy')
    .description('copy all keys from the database of calls into that of DATABASE_URL_IDENTITY')
    .addHelpText(
      'after',
      '\nIt may be run again: a key that is known is left as it is, but for one that was revoked there.\n\nExample:\n  trunkline keys copy',
    )
    .action(() =>
      withDatabase(async ({ pool, poolOf }) => {
        const count = await copyKeys(parts().keyPlaces(pool, poolOf('calls')));
        print(`${count} ${count === 1 ? 'key' : 'keys'} taken over.`);
      }),
    );
}

function asName(value: string): string {
  const name = asPrintable(value.trim());
  if (name === '')
    throw new InvalidArgumentError('It must name the purpose of the key: it can not be blank.');
  return name;
}

function asExpiry(value: string): string {
  const days = /^([1-9]\d{0,4})d$/.exec(value)?.[1];
  const at = days ? Date.now() + Number(days) * DAY_MS : Date.parse(value);
  if (Number.isNaN(at) || (!days && !/(Z|[+-]\d\d:\d\d)$/.test(value))) {
    throw new InvalidArgumentError(
      'It must be days, such as 90d, or an instant with its zone, such as 2027-01-01T00:00:00Z.',
    );
  }
  if (at <= Date.now()) throw new InvalidArgumentError('It must lie in the future.');
  return new Date(at).toISOString();
}
