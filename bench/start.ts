/**
 * From `trunkline up` on an existing data folder to the first answer.
 *
 *   after a stop                 both the program and its PostgreSQL had been stopped in good order
 *   after kill -9 of the program its PostgreSQL lives on, and is joined
 *   after kill -9 of both        PostgreSQL recovers: it replays what it had written since its last checkpoint
 *
 * "first answer" is a page of calls, asked for with a key every 5 ms from the start on; "ready" is /health/ready. What
 * of it is not the program's own doing is measured in the same rounds: a Node that does nothing, and PostgreSQL alone
 * (engines/postgres.ts) on the same folder, in the same state.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { get } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { familyOf, postmasterOf, signal, until } from '#engines/cluster/processes.ts';
import { findPostgres, freePort, startPostgres } from '#engines/postgres.ts';
import { identify } from '#engines/processes.ts';
import { type AtEnd, runBench, temporaryFolder } from './ending.ts';
import { endChild, said, startProgram } from './program.ts';
import { benchOptions, finish, type Headline, quantile, type Row } from './report.ts';

const POLL_MS = 5;
/** One that has not answered by then never will. */
const START_LIMIT_MS = 60_000;
const KILLED_LIMIT_MS = 10_000;
const DATABASE = 'trunkline';
/** Rows that are written before PostgreSQL is killed, so that it has something to replay. */
const UNSAVED_ROWS = 300_000;

const CASES = ['after a stop', 'after kill -9 of the program', 'after kill -9 of both'] as const;
type Case = (typeof CASES)[number];

const options = benchOptions('start', '`trunkline up` on an existing data folder, to the first answer', {
  rounds: '10',
});

/** Milliseconds of each round. */
interface Times {
  readonly answer: number[];
  readonly ready: number[];
  readonly postgres: number[];
}

/** A data folder, and how to start the program on it. */
interface Place {
  /** Of its PostgreSQL. */
  readonly folder: string;
  readonly url: string;
  readonly key: string;
  up(): ChildProcess;
}

await runBench(async (atEnd) => {
  const place = await prepare(atEnd);
  const times = Object.fromEntries(
    CASES.map((name) => [name, { answer: [], ready: [], postgres: [] } as Times]),
  ) as Record<Case, Times>;
  const bareNode: number[] = [];
  const replayedMb: number[] = [];
  for (let round = 1; round <= Number(options.values.rounds); round++) {
    bareNode.push(await timeOfNode());
    for (const name of CASES) {
      const { answer, ready, postgres } = times[name];
      await leaveBehind(name, place, replayedMb);
      postgres.push(await timeOfPostgres(place));
      await leaveBehind(name, place, replayedMb);
      const up = await timeOfUp(place);
      answer.push(up.answerMs);
      ready.push(up.readyMs);
    }
    process.stderr.write(`round ${round} of ${options.values.rounds}\n`);
  }
  report(times, bareNode, Math.round(quantile(replayedMb, 0.5)));
});

/** A data folder as the first `up` leaves it: migrated, with the sample of calls, and a key. */
async function prepare(atEnd: AtEnd): Promise<Place> {
  const data = await temporaryFolder(atEnd);
  const folder = join(data, 'postgres');
  const [port, monitorPort] = [await freePort(), await freePort()];
  const env = {
    PATH: process.env.PATH,
    DATA_DIR: data,
    CALLS_PORT: String(port),
    MONITOR_PORT: String(monitorPort),
    IDENTITY_PORT: '0',
    RATE_LIMIT_PER_MINUTE: '10000000',
    LOG_LEVEL: 'warn',
  };
  const programs: ChildProcess[] = [];
  atEnd(() => killPostgres(folder));
  atEnd(() => Promise.all(programs.map((program) => endChild(program))));
  const up = () => {
    const program = startProgram(['up'], env);
    programs.push(program);
    return program;
  };
  const first = up();
  const [key] = await Promise.all([said(first, /tl_\w+/), said(first, /Ctrl-C/)]);
  await endChild(first, 'SIGTERM');
  return { folder, up, key, url: `http://127.0.0.1:${port}` };
}

/** Brings the folder into the state that a start finds. */
async function leaveBehind(name: Case, place: Place, replayedMb: number[]): Promise<void> {
  if (name === 'after a stop') return;
  const program = place.up();
  await answered(place, '/health/ready', program);
  if (name === 'after kill -9 of both') replayedMb.push(await writeUnsaved(place.folder));
  await endChild(program, 'SIGKILL');
  if (name === 'after kill -9 of both') await killPostgres(place.folder);
}

/** @returns megabytes of write-ahead log since the last checkpoint */
async function writeUnsaved(folder: string): Promise<number> {
  const client = new pg.Client({ connectionString: await findPostgres(folder, DATABASE) });
  await client.connect();
  await client.query('DROP TABLE IF EXISTS unsaved');
  await client.query('CHECKPOINT');
  await client.query(
    `CREATE TABLE unsaved AS SELECT n, md5(n::text) AS text FROM generate_series(1, ${UNSAVED_ROWS}) n`,
  );
  const { rows } = await client.query(
    `SELECT (pg_current_wal_lsn() - redo_lsn)::float8 AS bytes FROM pg_control_checkpoint()`,
  );
  await client.end();
  return rows[0].bytes / 1e6;
}

/** kill -9 of all processes of it. One that does not run is no error. */
async function killPostgres(folder: string): Promise<void> {
  const cluster = join(folder, 'cluster');
  const postmaster = postmasterOf(cluster);
  if (!postmaster) return;
  const family = familyOf(postmaster.pid);
  for (const pid of family) signal(pid, 'SIGKILL');
  if (!(await until(() => family.every((pid) => !identify(pid)), KILLED_LIMIT_MS)))
    throw new Error('processes of a killed PostgreSQL live on');
  // Where nobody waits for orphans the dead postmaster stays a zombie, and the next one would take it for alive.
  await rm(join(cluster, 'postmaster.pid'), { force: true });
}

/** PostgreSQL alone, up to its first connection; stopped again. */
async function timeOfPostgres({ folder }: Place): Promise<number> {
  const began = performance.now();
  const server = await startPostgres({ folder, database: DATABASE });
  const ms = performance.now() - began;
  await server.stop();
  return ms;
}

/** The program, up to its first answers; stopped again. */
async function timeOfUp(place: Place): Promise<{ readonly answerMs: number; readonly readyMs: number }> {
  const began = performance.now();
  const program = place.up();
  const timeOf = async (path: string) => {
    await answered(place, path, program);
    return performance.now() - began;
  };
  const [answerMs, readyMs] = await Promise.all([
    timeOf('/cdrs?i_account=1&limit=3'),
    timeOf('/health/ready'),
  ]);
  await endChild(program, 'SIGTERM');
  return { answerMs, readyMs };
}

/** Asks until the answer is 200. */
async function answered({ url, key }: Place, path: string, program: ChildProcess): Promise<void> {
  const deadline = performance.now() + START_LIMIT_MS;
  const ask = () =>
    new Promise<number | undefined>((status) => {
      get(url + path, { headers: { authorization: `Bearer ${key}` } }, (answer) => {
        answer.resume();
        answer.on('end', () => status(answer.statusCode));
      }).on('error', () => status(undefined));
    });
  while ((await ask()) !== 200) {
    if (program.exitCode !== null) throw new Error(`the program ended with ${program.exitCode}`);
    if (performance.now() > deadline) throw new Error(`${path} was not answered within ${START_LIMIT_MS} ms`);
    await sleep(POLL_MS);
  }
}

/** A Node that has nothing to do, from its start to its end. */
async function timeOfNode(): Promise<number> {
  const began = performance.now();
  const child = spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' });
  await new Promise((ended) => child.once('close', ended));
  return performance.now() - began;
}

function report(times: Record<Case, Times>, bareNode: readonly number[], replayedMb: number): void {
  const ms = (value: number) => Math.round(value);
  const median = (values: readonly number[]) => quantile(values, 0.5);
  const node = median(bareNode);
  const rows: Row[] = [
    [
      '',
      'first answer ms',
      'worst',
      'ready ms',
      'worst',
      'PostgreSQL alone ms',
      'Node alone ms',
      'of both alone',
    ],
  ];
  const headlines: Headline[] = [];
  for (const name of CASES) {
    const { answer, ready, postgres } = times[name];
    const floor = median(postgres) + node;
    const toFloor = `${(median(answer) / floor).toFixed(1)} ×`;
    rows.push([
      ...[name, ms(median(answer)), ms(Math.max(...answer)), ms(median(ready)), ms(Math.max(...ready))],
      ...[ms(median(postgres)), ms(node), toFloor],
    ]);
    headlines.push({
      figure: `first answer ${name}`,
      value: `${(median(answer) / 1_000).toFixed(2)} s, worst ${(Math.max(...answer) / 1_000).toFixed(2)} s`,
      ratio: `${toFloor} PostgreSQL and Node alone`,
      expected: '≤ 3 s',
    });
  }
  finish(
    options,
    `from the start of \`trunkline up\` to its first answer; the killed PostgreSQL replays ${replayedMb} MB`,
    rows,
    headlines,
  );
}
