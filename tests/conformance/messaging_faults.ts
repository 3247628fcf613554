/**
 * What messages promise when consumers are killed and frozen and connections are cut, whatever carries the messages;
 * tests/faults/messages_postgres.test.ts and messages_rabbitmq.test.ts run it.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '#engines/cluster/processes.ts';
import { withSession } from '#platform/database/pool.ts';
import { deadLetter, listDeadLetters } from '#platform/messaging/dead_letters.ts';
import { jobsOf, numbered, type TestMessages } from '#tests/messages.ts';

const LIMIT_MS = 60_000;

export interface Running {
  readonly child: ChildProcess;
  readonly said: string[];
  kill(): Promise<void>;
}

const eventually = async (holds: () => boolean | Promise<boolean>, what: string) =>
  assert.ok(await until(holds, LIMIT_MS), what);

export const upTo = (count: number) => Array.from({ length: count }, (_, n) => n);
/** Consumer processes (tests/messages_process.ts) and what they have done. */
export interface Consumers {
  start(queue: string, mode: 'handle' | 'after_effect' | 'poison'): Running;
  /** The numbers that had their effect, in order. */
  effects(queue: string): Promise<number[]>;
}

/** @param brokerUrl RabbitMQ, through which their messages go */
export function consumersOf(messages: TestMessages, brokerUrl?: string): Consumers {
  const { pool } = messages;
  const processes: Running[] = [];
  after(() => Promise.all(processes.map((one) => one.kill())));
  before(() =>
    pool.query(
      'CREATE TABLE test_effects (queue text NOT NULL, n integer NOT NULL, at timestamptz DEFAULT now())',
    ),
  );

  const start = (queue: string, mode: 'handle' | 'after_effect' | 'poison'): Running => {
    const child = spawn(
      process.execPath,
      ['tests/messages_process.ts', messages.url, queue, mode, ...(brokerUrl ? [brokerUrl] : [])],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    const said: string[] = [];
    child.stdout.on('data', (text) => said.push(...String(text).trimEnd().split('\n')));
    const ended = new Promise<void>((done) => child.once('exit', () => done()));
    const running = {
      child,
      said,
      kill: async () => {
        if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
        await ended;
      },
    };
    processes.push(running);
    return running;
  };

  const effects = async (queue: string): Promise<number[]> => {
    const { rows } = await pool.query('SELECT n FROM test_effects WHERE queue = $1 ORDER BY n', [queue]);
    return rows.map(({ n }) => n);
  };

  return { start, effects };
}

/** Adds the tests. @param kills of a consumer under load */
export function messagingFaults(messages: TestMessages, { start, effects }: Consumers, kills: number): void {
  const { pool } = messages;
  const isEmpty = async (queue: string) => {
    const state = await messages.queue(queue);
    return !state || state.ready + state.leased + state.delayed + state.blocked === 0;
  };

  suite('a consumer', () => {
    test('killed between the effect and its word: the message comes again, the effect does not', async () => {
      await messages.publish(numbered(jobsOf('killed'), 5));
      const first = start('killed', 'after_effect');
      await eventually(async () => (await effects('killed')).length === 5, 'all effects');
      await first.kill();
      const second = start('killed', 'handle');
      await eventually(
        () => second.said.filter((line) => line.startsWith('effect')).length === 5,
        'all come again',
      );
      await eventually(() => isEmpty('killed'), 'the queue is empty');
      assert.deepEqual(await effects('killed'), upTo(5));
    });

    test('killed again and again under load: nothing is lost, no effect happens twice', async () => {
      const queue = 'kills';
      let running = start(queue, 'handle');
      for (let round = 0; round < kills; round++) {
        await messages.publish(
          numbered(
            jobsOf(queue),
            upTo(300).map((n) => round * 300 + n),
          ),
        );
        await sleep(100 + 40 * round);
        await running.kill();
        running = start(queue, 'handle');
      }
      await eventually(async () => (await effects(queue)).length === 300 * kills, 'all are handled');
      await eventually(() => isEmpty(queue), 'the queue is empty');
      assert.deepEqual(await effects(queue), upTo(300 * kills));
      assert.equal((await messages.queue(queue))?.dead ?? 0, 0);
    });

    test('killed by one message, three times: that one is a dead letter, its neighbours are handled', async () => {
      const queue = 'poisoned';
      await messages.publish(numbered(jobsOf(queue), 40));
      let kills = 0;
      const isOver = async () =>
        (await effects(queue)).length === 39 && (await messages.queue(queue))?.dead === 1;
      for (const end = performance.now() + LIMIT_MS; !(await isOver()) && performance.now() < end; ) {
        const { child } = start(queue, 'poison');
        const gone = new Promise<void>((done) => child.once('exit', () => done()));
        await Promise.race([gone, until(isOver, LIMIT_MS)]);
        if (child.signalCode === 'SIGKILL') kills++;
      }
      assert.equal(kills, 3);
      assert.deepEqual(
        await effects(queue),
        upTo(40).filter((n) => n !== 13),
      );
      const letters = await withSession(pool, (session) => session.rows(listDeadLetters({ queue }, 0, 10)));
      assert.deepEqual(
        letters.map(({ cause }) => cause),
        ['process_lost'],
      );
      const { i_dead_letter: iDeadLetter } = letters[0]!;
      const whole = await withSession(pool, (session) => session.row(deadLetter(queue, iDeadLetter)));
      assert.deepEqual(whole!.body, { n: 13 });
    });

    test('frozen for longer than its lease: another one handles the message; awake, it changes nothing', async () => {
      const queue = 'frozen';
      const frozen = start(queue, 'after_effect');
      await messages.publish(numbered(jobsOf(queue), 3));
      await eventually(
        () => frozen.said.filter((line) => line.startsWith('effect')).length === 3,
        'it has them',
      );
      frozen.child.kill('SIGSTOP');
      const other = start(queue, 'handle');
      await eventually(
        () => upTo(3).every((n) => other.said.includes(`effect ${n}`)),
        'the other one gets them',
      );
      await eventually(() => isEmpty(queue), 'and ends them');
      frozen.child.kill('SIGCONT');
      await sleep(1_500);
      assert.ok(other.said.includes('begun 0 attempt 2'), other.said.join('\n'));
      assert.deepEqual(await effects(queue), upTo(3));
      assert.equal((await messages.queue(queue))?.dead ?? 0, 0);
    });
  });

  test('connections that are all cut under load: everything is handled, nothing twice', async () => {
    const queue = 'cut';
    const running = [start(queue, 'handle'), start(queue, 'handle')];
    for (let round = 0; round < 8; round++) {
      await messages.publish(
        numbered(
          jobsOf(queue),
          upTo(200).map((n) => round * 200 + n),
        ),
      );
      await sleep(150);
      await pool.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'consumer' AND datname = current_database()",
      );
    }
    await eventually(async () => (await effects(queue)).length === 1_600, 'all are handled');
    await eventually(() => isEmpty(queue), 'the queue is empty');
    assert.deepEqual(await effects(queue), upTo(1_600));
    for (const { child } of running) assert.equal(child.exitCode, null);
  });
}
