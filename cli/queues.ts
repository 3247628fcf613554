/** `trunkline queues`: what waits between services, what is dead, and what an operator does about it. */
import { Command } from 'commander';
import { type Pool, withSession, withTransaction } from '#platform/database/pool.ts';
import { listDeadLetters } from '#platform/messaging/dead_letters.ts';
import {
  dryReplay,
  lookAt,
  type QueueCare,
  queueNamed,
  REPLAY_LIMIT,
  type Replayed,
  replay,
  setPaused,
} from '#platform/messaging/queue_care.ts';
import { listQueues, type QueueState } from '#platform/messaging/queues.ts';
import { asCount } from '#platform/terminal/option_values.ts';
import { duration, grouped, note, print, printJson, table } from '#platform/terminal/print.ts';
import { terminalActor } from '#platform/terminal/terminal_actor.ts';
import { AUDIT_TRAILS } from '#system';
import { ofOption } from './backup.ts';
import { withDatabase } from './database.ts';

/** On whose database the queues are, and in whose audit trail changes are noted. */
interface On {
  readonly of?: string;
  readonly json?: true;
}

const MAIN_SERVICE = 'calls';
const HEAD = [
  ...['queue', 'mode', 'ready', 'waiting', 'taken', 'oldest', 'consumers', 'paused', 'dead', 'by cause'],
];

export function queuesCommand(): Command {
  return new Command('queues')
    .description('messages between services: what waits, dead letters, pause')
    .addHelpText(
      'after',
      '\nExample:\n  $ trunkline queues      the queues, as `trunkline queues list` shows them',
    )
    .addCommand(listCommand(), { isDefault: true })
    .addCommand(showCommand())
    .addCommand(deadCommand())
    .addCommand(replayCommand())
    .addCommand(pauseCommand('pause', true))
    .addCommand(pauseCommand('resume', false));
}

const NO_QUEUE = 'Exit status: 0, or 1 where there is no such queue.';
const command = (name: string, description: string, help: string) =>
  new Command(name)
    .description(description)
    .addOption(ofOption())
    .option('--json', 'as JSON')
    .addHelpText('after', help);

function listCommand(): Command {
  return command(
    'list',
    'show all queues',
    `
ready    may be taken; oldest is the age of the oldest of them
waiting  for their time, or behind another message of their key
taken    by a consumer, or on their way through RabbitMQ

Example:
  $ trunkline queues list --json | jq '.[] | select(.dead > 0)'`,
  ).action((options: On) =>
    onDatabase(options, async (pool) => {
      const queues = await withSession(pool, (session) => session.rows(listQueues()));
      if (options.json) return printJson(queues);
      if (queues.length === 0) return print('There are no queues.');
      print(table(HEAD, queues.map(cells)));
    }),
  );
}

const cells = (queue: QueueState) => [
  queue.queue,
  queue.mode,
  queue.ready,
  queue.delayed + queue.blocked,
  queue.leased + queue.sent,
  queue.oldest_ready_s === null ? '' : duration(queue.oldest_ready_s),
  queue.consumers,
  queue.paused_at === null ? '' : `by ${queue.paused_by}`,
  queue.dead,
  Object.entries(queue.dead_by_cause)
    .map(([cause, letters]) => `${cause} ${letters}`)
    .join(', '),
];

function showCommand(): Command {
  return command('show', 'show one queue', `\n${NO_QUEUE}\n\nExample:\n  $ trunkline queues show usage`)
    .argument('<queue>')
    .action((queue: string, options: On) =>
      onDatabase(options, async (pool) => {
        const found = await requireQueue(pool, queue);
        if (options.json) return printJson(found);
        print(table(HEAD, [cells(found)]));
        const { ready, leased, delayed, blocked, sent, topics, paused_at: pausedAt } = found;
        print(
          `\n${grouped(ready)} ready, ${grouped(delayed)} for later, ${grouped(blocked)} behind another of their key, ${grouped(leased)} taken, ${grouped(sent)} with RabbitMQ`,
        );
        if (topics.length > 0) print(`gets ${topics.join(', ')}`);
        if (pausedAt !== null) print(`paused since ${pausedAt}; trunkline queues resume ${queue}`);
      }),
    );
}

function deadCommand(): Command {
  return command(
    'dead',
    'show the dead letters of a queue, or one with its body',
    `
A body may hold personal data: a look at one is noted in the audit trail.
${NO_QUEUE}

Examples:
  $ trunkline queues dead usage --cause attempts_used_up
  $ trunkline queues dead usage --look 4`,
  )
    .argument('<queue>')
    .option('--cause <cause>', 'only those with this cause')
    .option('--look <i_dead_letter>', 'this one, with its body', asCount)
    .option('--after <i_dead_letter>', 'only those with a greater number', asCount)
    .option('--limit <count>', 'at most so many', asCount, 50)
    .action((queue: string, options: On & DeadOptions) =>
      onDatabase(options, async (pool, care) => {
        const { cause, look, after = 0, limit } = options;
        const { dead, dead_by_cause: causes } = await requireQueue(pool, queue);
        if (look !== undefined) {
          const found = await withTransaction(pool, (session) => lookAt(care(session), queue, look));
          if (!found) throw new Error(`queue ${queue} has no dead letter ${look}`);
          return printJson(found);
        }
        const letters = await withSession(pool, (session) =>
          session.rows(listDeadLetters({ queue, cause }, after, limit)),
        );
        if (options.json) return printJson({ dead_by_cause: causes, letters });
        if (dead === 0) return print(`Queue ${queue} has no dead letters.`);
        const rows = letters.map((one) => [
          ...[one.i_dead_letter, one.died_at, one.cause, one.topic, one.key, one.attempt, one.error],
        ]);
        print(table(['i_dead_letter', 'died', 'cause', 'topic', 'key', 'attempt', 'error'], rows));
        print(`\n${table(['cause', 'letters'], Object.entries(causes))}`);
        if (letters.length === limit) note(`--after ${letters.at(-1)!.i_dead_letter} shows more`);
      }),
    );
}

interface DeadOptions {
  readonly cause?: string;
  readonly look?: number;
  readonly after?: number;
  readonly limit: number;
}

function replayCommand(): Command {
  return command(
    'replay',
    'put dead letters of a queue back into it, the oldest first, with all their attempts before them',
    `
What has expired stays dead. The audit trail names who did it.
${NO_QUEUE}

Examples:
  $ trunkline queues replay usage --limit 1000 --dry-run
  $ trunkline queues replay usage --limit 10 --cause attempts_used_up`,
  )
    .argument('<queue>')
    .requiredOption('--limit <count>', `at most so many, up to ${REPLAY_LIMIT}`, asCount)
    .option('--cause <cause>', 'only those with this cause')
    .option('--dry-run', 'only count')
    .action((queue: string, options: On & { limit: number; cause?: string; dryRun?: true }) =>
      onDatabase(options, async (pool, care) => {
        const { limit, cause, dryRun } = options;
        if (limit > REPLAY_LIMIT) throw new Error(`--limit: ${REPLAY_LIMIT} at most`);
        await requireQueue(pool, queue);
        const filter = { queue, cause };
        const counts = await withTransaction(pool, (session) =>
          dryRun ? dryReplay(session, filter, limit) : replay(care(session), filter, limit),
        );
        if (options.json) return printJson({ ...counts, dry_run: dryRun ?? false });
        print(replayedText(counts, dryRun ?? false));
      }),
    );
}

function replayedText({ replayed, left, expired }: Replayed, dryRun: boolean): string {
  const done = dryRun ? 'would be put back' : 'were put back';
  const more = left > 0 ? `; ${grouped(left)} more could be` : '';
  const over = expired > 0 ? `; ${grouped(expired)} have expired and stay dead` : '';
  return `${grouped(replayed)} dead letters ${done}${more}${over}`;
}

function pauseCommand(name: string, paused: boolean): Command {
  const what = paused ? 'pause a queue in all processes' : 'let a paused queue go on';
  return command(
    name,
    `${what}; each notices within a second`,
    `\n${NO_QUEUE}\n\nExample:\n  $ trunkline queues ${name} usage`,
  )
    .argument('<queue>')
    .action((queue: string, options: On) =>
      onDatabase(options, async (pool, care) => {
        await requireQueue(pool, queue);
        await withTransaction(pool, (session) => setPaused(care(session), queue, paused));
        const found = await requireQueue(pool, queue);
        if (options.json) return printJson(found);
        print(paused ? `${queue} is paused by ${found.paused_by}` : `${queue} is not paused`);
      }),
    );
}

type Care = (session: QueueCare['session']) => QueueCare;

const onDatabase = (
  { of = MAIN_SERVICE }: On,
  work: (pool: Pool, care: Care) => Promise<void>,
): Promise<void> =>
  withDatabase(
    ({ pool }) => {
      const { trail } = AUDIT_TRAILS.find(({ service }) => service === of)!;
      return work(pool, (session) => ({ session, trail, by: terminalActor() }));
    },
    { service: of },
  );

async function requireQueue(pool: Pool, queue: string): Promise<QueueState> {
  const found = await withSession(pool, (session) => queueNamed(session, queue));
  if (!found) throw new Error(`there is no queue ${queue}; trunkline queues shows them`);
  return found;
}
