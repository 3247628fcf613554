/**
 * 12,000 clients through HAProxy and three PgBouncers, on a tier of its own: time to connect, queries over a sample
 * and over all, memory of each process, throughput of 64 clients beside 0 and beside 11,900 idle ones; then one
 * bouncer is killed, and its clients must be back on the other two.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Cluster, startCluster } from '#engines/cluster/cluster.ts';
import { statistics } from '#engines/cluster/haproxy.ts';
import { groupMembers, signal } from '#engines/cluster/processes.ts';
import { findPrograms, missingPrograms } from '#engines/cluster/programs.ts';
import { run } from '#engines/processes.ts';
import type { Answer, Order } from './connections_worker.ts';
import { runBench, stoppedAtEnd, temporaryFolder } from './ending.ts';
import { memoryKb } from './program.ts';
import type { Login } from './raw_client.ts';
import { benchOptions, finish, quantile, type Row, skip } from './report.ts';

/** Clients a process: well below the limit of open files that is usual. */
const CLIENTS_A_WORKER = 4_000;
const AT_ONCE = 100;
const SAMPLE = 500;
const LOAD_CLIENTS = 64;
/** 11,900 idle ones of 12,000. */
const SPARE = 36;
const VICTIM = 'pgb2';
const BACK_LIMIT_MS = 120_000;
const BACK_POLL_MS = 20;

const options = benchOptions('connections', 'client connections held through HAProxy and PgBouncer', {
  clients: '12000',
  port: '24000',
  seconds: '5',
  rounds: '5',
});
const wanted = Number(options.values.clients);
const workerCount = Math.ceil(wanted / CLIENTS_A_WORKER);

let cluster: Cluster;
let login: Login;
let workers: readonly ChildProcess[];
let data: string;

const missing = missingPrograms();
if (missing.length > 0) await skip(options, `not installed: ${missing.join(', ')}`);
await runBench(async (atEnd) => {
  data = await temporaryFolder(atEnd);
  const giveUp = new AbortController();
  const { signal } = giveUp;
  const starting = startCluster({ data, portBase: Number(options.values.port), clients: wanted, signal });
  const up = stoppedAtEnd(atEnd, starting);
  atEnd(() => giveUp.abort(new Error('the benchmark ends')));
  cluster = await up;
  login = {
    ...cluster.layout.writes,
    user: 'trunkline',
    password: cluster.secrets.app,
    database: 'trunkline',
  };
  workers = Array.from({ length: workerCount }, () =>
    fork(new URL('./connections_worker.ts', import.meta.url)),
  );
  atEnd(() => workers.map((worker) => worker.kill()));

  const rows: Row[] = [['step', 'clients', 'total', 'p50', 'p99', 'errors']];
  const step = async (name: string, order: (share: number) => Order, total: number) => {
    const start = performance.now();
    const answers = await tellAll((i) => order(shareOf(total, i)));
    const tookMs = performance.now() - start;
    const times = answers.flatMap((answer) => answer.times);
    const errors = answers.flatMap((answer) => answer.errors);
    rows.push([
      name,
      times.length,
      ms(tookMs),
      ms(quantile(times, 0.5)),
      ms(quantile(times, 0.99)),
      errors.length,
    ]);
    if (errors[0]) process.stderr.write(`${name}: ${errors[0]}\n`);
  };

  const { alone, crowded } = await throughputs();
  await step('connect', (count) => ({ do: 'open', login, count, atOnce: AT_ONCE }), wanted);
  await step('query, a sample', (count) => ({ do: 'query', count, atOnce: 1 }), SAMPLE);
  await step('query, each once', (count) => ({ do: 'query', count, atOnce: AT_ONCE }), wanted);
  const memory = await memoryRows();

  const { displaced, backMs } = await loseABouncer();
  await step(
    `query, each once, without ${VICTIM}`,
    (count) => ({ do: 'query', count, atOnce: AT_ONCE }),
    wanted,
  );
  await tellAll(() => ({ do: 'close' }));

  const idle = wanted - LOAD_CLIENTS - SPARE;
  const held = median(crowded) / median(alone);
  const errors = sum(rows.slice(1).map((row) => Number(row.at(-1))));
  const table: Row[] = [
    ...rows,
    [`${VICTIM} killed: its clients answered again`, displaced, ms(backMs)],
    [],
    [`queries/s of ${LOAD_CLIENTS} clients (median)`, '', 'in turns'],
    ['  alone', median(alone), alone.join(' ')],
    [`  beside ${idle} idle ones`, median(crowded), crowded.join(' ')],
    ['  ratio', held.toFixed(2)],
    [],
    ...memory,
  ];
  const title = `${wanted} clients, ${cluster.layout.haproxies.length} HAProxy processes, 3 PgBouncers`;
  finish(options, title, table, [
    { figure: `${wanted} clients held, errors`, value: `${errors}`, expected: '0' },
    {
      figure: `queries/s beside ${idle} idle clients`,
      value: `${median(crowded)}/s`,
      ratio: `${held.toFixed(2)} of those without`,
      expected: '≥ 0.95',
    },
    {
      figure: `a bouncer killed: its ${displaced} clients are back`,
      value: ms(backMs),
      expected: '≤ 5 s',
    },
  ]);
});

/** In turns, so that a slow spell of the machine meets both alike. */
async function throughputs(): Promise<{ alone: number[]; crowded: number[] }> {
  const idle = wanted - LOAD_CLIENTS - SPARE;
  const alone: number[] = [];
  const crowded: number[] = [];
  for (let round = 0; round < Number(options.values.rounds); round++) {
    alone.push(await throughput());
    await tellAll((i) => ({ do: 'open', login, count: shareOf(idle, i), atOnce: AT_ONCE }));
    crowded.push(await throughput());
    await tellAll(() => ({ do: 'close' }));
  }
  return { alone, crowded };
}

/** Queries a second of pgbench with LOAD_CLIENTS clients. */
async function throughput(): Promise<number> {
  const script = join(data, 'select.sql');
  await writeFile(script, 'SELECT 1;\n');
  const words = ['-n', '-M', 'simple', '-f', script, '-c', String(LOAD_CLIENTS), '-j', '2'];
  const { stdout } = await run(
    join(findPrograms().postgres, 'pgbench'),
    [
      ...words,
      '-T',
      options.values.seconds!,
      '-h',
      login.host,
      '-p',
      String(login.port),
      '-U',
      login.user,
      login.database,
    ],
    { env: { ...process.env, PGPASSWORD: login.password } },
  );
  return Math.round(Number(/tps = ([\d.]+)/.exec(stdout)?.[1]));
}

/** Kills a bouncer, and waits until all its clients are answered by the others. */
async function loseABouncer(): Promise<{ displaced: number; backMs: number }> {
  await tellAll(() => ({ do: 'return' }));
  await cluster.hold(VICTIM);
  const { pid } = await cluster.processOf(VICTIM);
  const rows = (await Promise.all(cluster.layout.haproxies.map((haproxy) => statistics(haproxy)))).flat();
  const displaced = sum(
    rows.filter((row) => row.proxy === 'bouncers' && row.server === VICTIM).map((row) => row.sessions),
  );
  const killedAt = performance.now();
  signal(pid, 'SIGKILL');
  for (;;) {
    const answers = await tellAll(() => ({ do: 'tell' }));
    const backMs = performance.now() - killedAt;
    const gone = sum(answers.map((answer) => answer.displaced));
    if (gone >= displaced && answers.every((answer) => answer.away === 0)) return { displaced: gone, backMs };
    if (backMs > BACK_LIMIT_MS)
      throw new Error(`${gone} of ${displaced} clients left ${VICTIM}, not all are back`);
    await sleep(BACK_POLL_MS);
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Resident memory, and the sessions that HAProxy counts, with all clients held. */
async function memoryRows(): Promise<Row[]> {
  const rows: Row[] = [['process', 'resident MB', 'sessions']];
  for (const [name, part] of Object.entries(await cluster.parts())) {
    if (!part.process || !/^(haproxy|pgb|pgr)/.test(name)) continue;
    const haproxy = cluster.layout.haproxies.find((h) => h.name === name);
    const sessions = haproxy
      ? (await statistics(haproxy)).find((row) => row.proxy === 'writes' && row.server === 'FRONTEND')
          ?.sessions
      : undefined;
    // HAProxy is a master and its worker; the worker has the clients.
    const resident = Math.max(...(await Promise.all(groupMembers(part.process.pid).map(residentMb))));
    rows.push([name, resident, sessions ?? '']);
  }
  return rows;
}

async function residentMb(pid: number): Promise<number> {
  const kilobytes = await memoryKb(pid, 'VmRSS');
  if (kilobytes === undefined) throw new Error(`nobody tells the memory of process ${pid}`);
  return Math.round(kilobytes / 1_000);
}

function tellAll(order: (worker: number) => Order): Promise<Answer[]> {
  return Promise.all(workers.map((worker, i) => tell(worker, order(i))));
}

async function tell(worker: ChildProcess, order: Order): Promise<Answer> {
  worker.send(order);
  const [answer] = (await once(worker, 'message')) as [Answer];
  return answer;
}

/** The part of `total` that worker `i` does. */
function shareOf(total: number, i: number): number {
  return Math.floor(total / workerCount) + (i < total % workerCount ? 1 : 0);
}

function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

function ms(value: number): string {
  return value >= 1_000 ? `${(value / 1_000).toFixed(2)} s` : `${value.toFixed(value < 10 ? 2 : 0)} ms`;
}
