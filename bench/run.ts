/**
 * All benchmarks, one after the other, in short form (`--full`: in their standard sizes), and at the end one table of
 * their headlines, each beside its peer and what was expected. Nothing is judged; one that fails makes the run fail.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { aligned, machine, type Outcome, summary } from './report.ts';

const USAGE = `npm run bench [-- --full] [name…]

All benchmarks, or those named, in short form: some 10 minutes for all. --full: in their standard sizes, of up to 100 million
calls. pgbench, PgBouncer, HAProxy and Patroni come with scripts/engines; what can't be run without them is skipped, and said.
`;

/** Options of the short form. */
const BENCHES: Record<string, string[]> = {
  page: ['--seconds', '2', '--rounds', '1'],
  export: ['--rounds', '2'],
  import: ['--rows', '300000'],
  folder: ['--documents', '2000'],
  backup: ['--rows', '200000'],
  follow: ['--rows', '200000', '--delays', '100'],
  ingest: ['--seconds', '5'],
  consumption: ['--sizes', '200000,1000000,3000000', '--rounds', '3'],
  start: ['--rounds', '3'],
  queue_order: [],
  overload: ['--seconds', '3'],
  big_bodies: ['--rounds', '2'],
  connections: ['--clients', '3000', '--rounds', '1', '--seconds', '2'],
  failover: ['--crashes', '1'],
  messaging: ['--seconds', '2', '--rounds', '2', '--jobs', '20000'],
  monitor: ['--seconds', '30'],
  tracing: ['--rounds', '5', '--warm', '5', '--seconds', '1'],
};

const { values, positionals } = given();
const unknown = positionals.filter((name) => !BENCHES[name]);
const wanted = positionals.length > 0 ? positionals : Object.keys(BENCHES);
if (values.help || unknown.length > 0) {
  process.stdout.write(
    `${USAGE}\n  ${Object.keys(BENCHES).join(', ')}\n\nExample:\n  npm run bench -- --full page import\n`,
  );
  if (!values.help) {
    process.stderr.write(`no benchmark named ${unknown.join(', ')}\n`);
    process.exitCode = 1;
  }
} else {
  const outcomes: [string, Outcome | undefined][] = [];
  let interrupted = false;
  for (const name of wanted) {
    if (interrupted) break;
    process.stdout.write(`\n── ${name}\n`);
    outcomes.push([name, await runOne(name, () => (interrupted = true))]);
  }
  process.stdout.write(`\n── all\n${machine()}${values.full ? '' : ', short form'}\n\n`);
  process.stdout.write(`${aligned(summary(outcomes))}\n`);
  if (interrupted || outcomes.some(([, outcome]) => !outcome)) process.exitCode = 1;
}

/** What the command line gives; ends with what is wrong about it where it can't be read. */
function given() {
  try {
    return parseArgs({
      options: { full: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } },
      allowPositionals: true,
    });
  } catch (error) {
    const own = 'a benchmark with options of its own is run by itself: npx node bench/page.ts --help';
    process.stderr.write(`${(error as Error).message.split('.')[0]}; ${own}\n`);
    process.exit(2);
  }
}

/** @returns undefined when it failed */
async function runOne(name: string, onInterrupt: () => void): Promise<Outcome | undefined> {
  const file = fileURLToPath(new URL(`./${name}.ts`, import.meta.url));
  const child = spawn(process.execPath, [file, ...(values.full ? [] : BENCHES[name]!)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  });
  let outcome: Outcome | undefined;
  child.on('message', (message) => (outcome = message as Outcome));
  // It has things to end first: this process waits for it.
  const pass = (signal: NodeJS.Signals) => {
    onInterrupt();
    child.kill(signal);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, pass);
  const code = await new Promise<number | null>((done) => child.on('close', done));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, pass);
  return code === 0 ? outcome : undefined;
}
