/** `trunkline accounts move`: moves an account below another one, from a date on. */
import { Command } from 'commander';
import { grouped, note, print, printJson } from '#platform/terminal/print.ts';
import { terminalActor } from '#platform/terminal/terminal_actor.ts';
import { type Moved, moveAccount } from '../accounts/account_moves.ts';
import { parentText, showAccount } from './accounts_table.ts';
import type { CallsTools } from './tools.ts';

interface Options {
  readonly to?: string;
  readonly top?: true;
  readonly from?: string;
  readonly dryRun?: true;
  readonly json?: true;
}

export function moveCommand(tools: CallsTools): Command {
  return new Command('move')
    .description('move an account below another one from a date on; the parent before keeps its history')
    .argument('<code>', 'its account code')
    .option('--to <code>', 'code of its parent from then on')
    .option('--top', 'below nobody')
    .option('--from <date>', 'from a date of its time zone, or an instant (default: now)')
    .option('--dry-run', 'report what would change, and change nothing')
    .option('--json', 'what was done as JSON')
    .addHelpText(
      'after',
      `
Keys of the parent before go on seeing its calls and sums that start before that date; those from then on are the new
parent's. Accounts below it come along. The date may lie in the past or ahead. A move is for good: one of the same date or a
later one is replaced. Its currency, time zone and country stay. accounts show tells where it stood.

Examples:
  trunkline accounts move acme-berlin --to globex --from 2026-12-01 --dry-run
  trunkline accounts move acme-berlin --top`,
    )
    .action((code: string, { to, top, from, dryRun, json }: Options) => {
      if ((to === undefined) === (top === undefined)) {
        throw new Error('say where to move it: --to with the code of an account, or --top');
      }
      return tools.withDatabase(async ({ pool }) => {
        const options = { to: to ?? null, from, apply: !dryRun };
        const moved = await moveAccount(pool, code, options, terminalActor());
        if (json) {
          const { to: parent, ...rest } = moved;
          return printJson({ ...rest, to: parent?.code ?? null, dry_run: dryRun ?? false });
        }
        summarise(moved, dryRun ?? false);
        if (!dryRun) showAccount(moved.account);
      });
    });
}

function summarise({ account, from, before, to, isThere, ...moved }: Moved, dryRun: boolean): void {
  const { code } = account;
  const place = parentText(to?.code ?? null);
  if (isThere) {
    print(`${code} stands ${place} at ${from} already, and stays there: nothing to move.`);
    return;
  }
  print(
    `${code} ${dryRun ? 'would stand' : 'stands'} ${place} from ${from} on; until then it is as it was (${parentText(before)} just then).`,
  );
  if (moved.below > 0) print(`Accounts below it that move with it: ${grouped(moved.below)}.`);
  if (moved.calls > 0)
    print(`Calls that start from then on and are stored already: ${grouped(moved.calls)}.`);
  for (const { parent, from: since } of moved.replaced)
    note(`${dryRun ? 'It would replace' : 'It replaces'} the move of ${since}: ${parentText(parent)}.`);
  const differs = to === null ? [] : differences(account, to);
  if (differs.length > 0)
    note(`${code} keeps its own values where ${to!.code} has others: ${differs.join(', ')}.`);
  if (dryRun) note('Nothing is changed; run it without --dry-run to move the account.');
}

const KEPT = ['currency', 'time_zone', 'country'] as const;
const NAMES = { currency: 'currency', time_zone: 'time zone', country: 'country' };

/** The fields in which an account and its parent differ. */
const differences = (account: Moved['account'], parent: Moved['account']): string[] =>
  KEPT.filter((field) => account[field] !== parent[field]).map(
    (field) => `${NAMES[field]} ${account[field] ?? 'none'} (there ${parent[field] ?? 'none'})`,
  );
