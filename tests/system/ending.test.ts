/** How commands end that are asked to, however they were started: with their database, and with the signal's status. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { until } from '#engines/cluster/processes.ts';
import { identify } from '#engines/processes.ts';

const fromRoot = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const LIMIT_MS = 60_000;
const ROWS = 300_000;

const folder = await mkdtemp(join(tmpdir(), 'trunkline-ending-'));
after(() => rm(folder, { recursive: true, force: true }));
const file = join(folder, 'Master.csv');
await writeFile(file, masterCsv(ROWS));

/** As bin/trunkline.js runs under a Node that is too old for the program: it starts another one. */
const OLD_NODE = `data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'20.0.0'}})`;
const WAYS = {
  'by Node 24': [fromRoot('main.ts')],
  'by an older Node': ['--import', OLD_NODE, fromRoot('bin/trunkline.js')],
};
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

function masterCsv(rows: number): string {
  const lines: string[] = [];
  for (let row = 0; row < rows; row++) {
    const second = Date.UTC(2026, 9, 1) / 1000 + row * 3;
    const stamp = new Date(second * 1000).toISOString().slice(0, 19).replace('T', ' ');
    const times = `"${stamp}","${stamp}","${stamp}",30,25`;
    lines.push(
      `"acct${row % 7}","100","+442079460000","from-internal","","SIP/1-${row}","","Dial","x",${times},"ANSWERED","DOCUMENTATION","${second}.${row}",""`,
    );
  }
  return `${lines.join('\n')}\n`;
}

interface Importing {
  readonly pid: number;
  readonly ended: Promise<number | null>;
  /** Of the PostgreSQL that the command started. */
  readonly postmaster: number;
  /** Of the process that imports, which a launcher started. */
  readonly importer: number;
  said(): string;
}

/** Starts an import on a database of its own, and waits until it has stored something. */
async function startImport(way: readonly string[], data: string): Promise<Importing> {
  const child = spawn(process.execPath, [...way, 'import', 'cdrs', file, '--create-accounts'], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, DATA_DIR: data },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (said += text));
  const ended = once(child, 'exit').then(([code]) => code as number | null);
  assert.ok(await until(() => / rows /.test(said), LIMIT_MS), said);
  const postgres = await readFile(join(data, 'postgres', 'cluster', 'postmaster.pid'), 'utf8');
  const children = (
    await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').catch(() => '')
  ).trim();
  return {
    pid: child.pid!,
    ended,
    postmaster: Number(postgres.split('\n')[0]),
    importer: Number(children.split(' ')[0]) || child.pid!,
    said: () => said,
  };
}

const noPython = spawnSync('python3', ['-c', 'import pty']).status !== 0 && 'python3 is not installed';
const skip = process.platform === 'linux' ? false : 'processes are read from /proc';

suite('a command that is asked to end', { skip, timeout: 600_000 }, () => {
  for (const [how, way] of Object.entries(WAYS)) {
    for (const signal of SIGNALS) {
      test(`started ${how}: ${signal} ends it, with 128 + the signal, and the database that it started`, async () => {
        const importing = await startImport(way, join(folder, `${how}-${signal}`.replaceAll(' ', '-')));
        process.kill(importing.pid, signal);
        assert.equal(await importing.ended, 128 + constants.signals[signal], importing.said());
        assert.match(importing.said(), new RegExp(`${signal}: stopping; stored data stays`));
        assert.match(importing.said(), /Master\.csv: not read to its end/);
        assert.doesNotMatch(importing.said(), /once more|Cannot use a pool|terminated/);
        assert.ok(await until(() => !identify(importing.postmaster), LIMIT_MS), 'PostgreSQL was left behind');
      });
    }
  }

  test('kill -9 of the launcher ends what it started, and the database', async () => {
    const importing = await startImport(WAYS['by an older Node'], join(folder, 'launcher'));
    assert.notEqual(importing.importer, importing.pid);
    process.kill(importing.pid, 'SIGKILL');
    await importing.ended;
    assert.ok(await until(() => !identify(importing.importer), LIMIT_MS), 'the import went on alone');
    assert.ok(await until(() => !identify(importing.postmaster), LIMIT_MS), 'PostgreSQL was left behind');
  });

  test('Ctrl-C in a terminal, which launcher and child both get, is one and not two', async () => {
    const { pid, ended, said } = await startImport(WAYS['by an older Node'], join(folder, 'terminal'));
    // What a terminal does: the signal goes to each process of its foreground group.
    const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8'))
      .trim()
      .split(' ')
      .map(Number);
    for (const one of [pid, ...children]) process.kill(one, 'SIGINT');
    assert.equal(await ended, 130);
    assert.match(said(), /not read to its end/, 'it had the time to stop in good order');
  });

  test('Ctrl-C of `npm start` in a terminal stops the service in good order, and its PostgreSQL', {
    skip: noPython,
  }, async () => {
    const data = join(folder, 'npm-start');
    const npm = ['npm', '--prefix', fromRoot(''), 'start', '--', '--no-demo'];
    const child = spawn('python3', [fromRoot('tests/pseudo_terminal.py'), '24', '200', ...npm], {
      env: {
        ...process.env,
        DATA_DIR: data,
        CALLS_PORT: '0',
        MONITOR_PORT: '0',
        IDENTITY_PORT: '0',
        LOG_LEVEL: 'warn',
      },
    });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (said += text));
    const ended = once(child, 'exit');
    assert.ok(await until(() => said.includes('Ctrl-C stops it'), LIMIT_MS), said);
    const file = await readFile(join(data, 'postgres', 'cluster', 'postmaster.pid'), 'utf8');
    const postmaster = Number(file.split('\n')[0]);
    assert.ok(identify(postmaster));
    child.stdin.write('keys \x03\n');
    await ended;
    assert.match(said, /SIGINT: stopping/);
    assert.ok(await until(() => !identify(postmaster), LIMIT_MS), `PostgreSQL was left behind: ${said}`);
  });
});
