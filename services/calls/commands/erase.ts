/** `trunkline erase` and `trunkline accounts erase`: delete personal data for good. */
import { Command } from 'commander';
import type { CommandDatabase } from '#platform/service/commands.ts';
import { printable } from '#platform/telemetry/printable.ts';
import { grouped, note, print, printJson, table } from '#platform/terminal/print.ts';
import { showRunning } from '#platform/terminal/running_line.ts';
import { terminalActor } from '#platform/terminal/terminal_actor.ts';
import { typedAgain } from '#platform/terminal/typed_again.ts';
import { type ErasedAccount, eraseAccount } from '../erasure/erase_account.ts';
import { allowNumber, type ErasedNumber, eraseNumber } from '../erasure/erase_number.ts';
import type { TableCounts, WalkProgress } from '../erasure/walk.ts';
import type { CallsTools } from './tools.ts';

interface Options {
  readonly dryRun?: true;
  readonly yes?: true;
  readonly json?: true;
}

const HOW = `
It first goes through all tables and shows what it would erase; then what was named has to be typed again. With --yes, for scripts, it does neither. It
works in small steps beside everything else. When it is cut off, the same command goes on with it.`;

const withOptions = (command: Command) =>
  command
    .option('--dry-run', 'only show what would be erased, and what is kept')
    .option('--yes', 'do not ask')
    .option('--json', 'the erased rows as JSON');

export function eraseAccountCommand(tools: CallsTools): Command {
  return withOptions(new Command('erase'))
    .description('erase an account: its calls, usage, keys, and texts that name it')
    .argument('<code>', 'its account code')
    .addHelpText(
      'after',
      `${HOW}

Examples:
  trunkline accounts erase acme --dry-run
  trunkline accounts erase acme --yes`,
    )
    .action((code: string, options: Options) =>
      erase(tools, code, options, keptOfAccount, (database, how) => eraseAccount(database.pool, code, how)),
    );
}

export function eraseCommand(tools: CallsTools): Command {
  return withOptions(new Command('erase'))
    .description('erase a telephone number from the calls of all accounts: a pseudonym takes its place')
    .requiredOption('--number <number>', 'in E.164, such as +493023125001')
    .option('--allow', 'import rows with the number unchanged again; erased data stays erased')
    .addHelpText(
      'after',
      `${HOW}

The same number gets the same pseudonym, in every call and every other text in which it stands, however it is written there; sums
stay. Rows of calls from before are taken in with the pseudonym, too.

Examples:
  trunkline erase --number +493023125001 --dry-run
  trunkline erase --number +493023125001 --yes
  trunkline erase --number +493023125001 --allow`,
    )
    .action((options: Options & { number: string; allow?: true }) =>
      options.allow
        ? allow(tools, options.number)
        : erase(tools, options.number, options, keptOfNumber, ({ pool }, how) =>
            eraseNumber(pool, options.number, how),
          ),
    );
}

type Erased = { readonly pseudonym: string; readonly counts: TableCounts };
type How = Parameters<typeof eraseNumber>[2];

function erase<Done extends Erased>(
  tools: CallsTools,
  named: string,
  options: Options,
  kept: (done: Done) => string[],
  work: (database: CommandDatabase, how: How) => Promise<Done>,
): Promise<void> {
  return tools.withDatabase(async (database) => {
    const run = async (apply: boolean) => {
      let progress: WalkProgress | undefined;
      const stop = showRunning(process.stderr, () => (progress ? lineOf(progress) : ''));
      const onProgress = (now: WalkProgress) => {
        progress = now;
      };
      const how = {
        by: terminalActor(),
        schemas: tools.parts().schemas,
        apply,
        signal: database.ending,
        onProgress,
      };
      return work(database, how).finally(stop);
    };
    if (options.dryRun || !options.yes) {
      const dry = await run(false);
      if (options.dryRun) return tell(dry, false, kept, options);
      // Standard output gets the result once.
      note(tableOf(dry, false));
      if (!(await isTypedAgain(named))) {
        process.exitCode = 2;
        if (options.json) tell(dry, false, kept, options);
        return;
      }
    }
    tell(await run(true), true, kept, options);
  });
}

/** The result, done or planned, as JSON or for people. */
function tell<Done extends Erased>(
  done: Done,
  applied: boolean,
  kept: (done: Done) => string[],
  { json }: Options,
): void {
  const reasons = kept(done);
  if (json) printJson({ ...done, applied, kept: reasons });
  else
    print([tableOf(done, applied), '', 'Kept, and why:', ...reasons.map((line) => `  - ${line}`)].join('\n'));
}

/** The contents of tables, for the operator who answers to the person whose data it was. */
const IN_WORDS: Readonly<Record<string, string>> = {
  accounts: 'the account itself',
  account_sources: 'which switches bring its calls',
  api_keys: 'keys',
  cdr_history: 'earlier versions of calls',
  cdrs: 'calls',
  followed_sources: 'files that are followed',
  former_codes: 'earlier codes of the account',
  'identity.api_keys': 'keys',
  imports: 'names of files, and how they were read',
  provisional_rows: 'calls at the end of a file',
  rejected_cdrs: 'rejected rows, mended ones among them',
  source_hours: "counts of a switch's rows, by hour",
  tellings: "each import's version of a call",
  usage_days: 'sums of a day',
  usage_quarters: 'sums of a quarter of an hour',
  watermarks: 'the time up to which a switch has sent its calls',
};

/** The same before and after, except for its head. */
function tableOf({ counts }: Erased, applied: boolean): string {
  const rows = Object.entries(counts)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, count]) => [name, count, IN_WORDS[name] ?? '']);
  if (rows.length === 0) return applied ? 'Nothing was erased.' : 'Nothing would be erased.';
  return `${applied ? 'Erased or changed' : 'Would be erased or changed'}:\n${table(['table', 'rows', 'contents'], rows)}`;
}

const lineOf = ({ table: name, pages, ofPages }: WalkProgress): string =>
  ofPages === 0 ? `${name}: ${grouped(pages)} rows` : `${Math.floor((100 * pages) / ofPages)}%  ${name}`;

/** @returns false where the answer differs, or no terminal is there */
async function isTypedAgain(named: string): Promise<boolean> {
  const answer = await typedAgain(named, `Type ${printable(named)} again to erase it for good: `);
  if (answer === 'nobody') note('Nothing is erased: without a terminal, give --yes.');
  if (answer === 'other') note('Nothing is erased: the answer differs from the name.');
  return answer === 'typed';
}

const KEPT = [
  'the audit trail: who erased what and when, by number or pseudonym, and the names of keys that were made',
  'back-ups and copies of the database: restoring one from before brings it back; erase it again then',
  'the write-ahead log, and space in the data files until VACUUM and new rows take it',
  'log files of this program, of PostgreSQL, and of the switch',
  'the imported files: they are not touched',
];

const keptOfAccount = ({ shortCodes, sharedSources, below }: ErasedAccount): string[] => [
  ...below.map(
    (code) =>
      `the account "${printable(code)}" below it, which has to be erased first: trunkline accounts erase ${printable(code)}`,
  ),
  ...KEPT,
  'its telephone numbers in calls of other accounts: trunkline erase --number +49… erases those',
  'the list of imports, with their counts',
  "messages that were sent already (Slack, mail), and the monitor's notes of past alerts",
  'a pseudonym of its code, so that its rows are left out when a file is imported again; after trunkline accounts create they are imported',
  ...shortCodes.map(
    (code) =>
      `"${printable(code)}" as a word in other accounts' texts: it is too short to be distinguished from other words`,
  ),
  ...sharedSources.map(
    (source) => `the name of the source "${printable(source)}", since it brings other accounts' calls`,
  ),
];

const keptOfNumber = (_: ErasedNumber): string[] => [
  ...KEPT,
  'the pseudonym, and the secret from which it is made, in the database: the number can not be read from the pseudonym, but with the secret a guess can be tested',
  'other fields of the calls, such as the name of a caller',
  "each record's own hash (source_key), by which it is recognised when its file is imported again",
];

function allow(tools: CallsTools, number: string): Promise<void> {
  return tools.withDatabase(async ({ pool }) => {
    const wasErased = await allowNumber(pool, number, terminalActor());
    if (!wasErased) throw new Error('this number was not erased');
    print('Its rows are imported unchanged from now on; erased data stays erased.');
  });
}
