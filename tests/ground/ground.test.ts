/**
 * The measure of the ground floor: a service with a key-guarded route, a table, a job, a setting, a command, health, metrics,
 * monitoring, an event that it publishes and one that it consumes, its part of the OpenAPI document and its place in the topology
 * takes at most 5 files and 90 lines of its own, and one line in system.ts. Nothing else has to be told of it.
 *
 * The service in hello/ is added to a copy of the program, which is then used as an operator and a client use it.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { until } from '#engines/cluster/processes.ts';
import { type StartedCommand, startCommand } from '#tests/command.ts';
import { testDatabase } from '#tests/postgres.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const HELLO = join(ROOT, 'tests/ground/hello');
const MOST_FILES = 5;
const MOST_LINES = 90;
const LIMIT_MS = 30_000;

const filesOf = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());

/** The program with the service in it. */
function copyWithHello(): string {
  const copy = mkdtempSync(join(tmpdir(), 'trunkline-ground-'));
  after(() => rmSync(copy, { recursive: true, force: true }));
  const list = ['ls-files', '--cached', '--others', '--exclude-standard'];
  const tracked = execFileSync('git', list, { cwd: ROOT, encoding: 'utf8' }).split('\n').filter(Boolean);
  for (const file of tracked) cpSync(join(ROOT, file), join(copy, file));
  symlinkSync(realpathSync(join(ROOT, 'node_modules')), join(copy, 'node_modules'));
  cpSync(HELLO, join(copy, 'services/hello'), { recursive: true });
  const system = join(copy, 'system.ts');
  const before = readFileSync(system, 'utf8');
  const last = "  (await import('#services/monitor/service.ts')).monitor,\n";
  assert.ok(before.includes(last));
  const line = "  (await import('#services/hello/service.ts')).hello,\n";
  writeFileSync(
    system,
    before.replace(last, () => last + line),
  );
  return copy;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  await new Promise((closed) => server.close(closed));
  return port;
}

test('the service has few files and few lines of its own', () => {
  const files = filesOf(HELLO);
  assert.ok(files.length <= MOST_FILES, String(files.length));
  const lines = files.flatMap(({ parentPath, name }) =>
    readFileSync(join(parentPath, name), 'utf8').split('\n'),
  );
  const counted = lines.filter((line) => !/^\s*(?:$|\/\/|\/\*\*|\*|--)/.test(line));
  assert.ok(counted.length <= MOST_LINES, String(counted.length));
});

test('and with one line in system.ts it is a whole part of the program', async (t) => {
  const copy = copyWithHello();
  const database = await testDatabase();
  const data = mkdtempSync(join(tmpdir(), 'trunkline-ground-data-'));
  after(() => rmSync(data, { recursive: true, force: true }));
  const [calls, monitor, hello] = [await freePort(), await freePort(), await freePort()];
  const environment = {
    ...{ DATABASE_URL: database.url, DATA_DIR: data, HELLO_GREETING: 'Moin', LOG_LEVEL: 'warn' },
    ...{
      CALLS_PORT: String(calls),
      MONITOR_PORT: String(monitor),
      IDENTITY_PORT: '0',
      HELLO_PORT: String(hello),
      MONITOR_POLL_MS: '200',
    },
  };
  const main = join(copy, 'main.ts');
  const run = (args: readonly string[], more: Record<string, string> = {}): StartedCommand =>
    startCommand(args, { ...environment, ...more }, undefined, main);
  const said = async (args: readonly string[], more: Record<string, string> = {}) => {
    const { code, out, err } = await run(args, more).ended;
    return { code, out, err };
  };

  await t.test('derived files are stale until they are written anew, and then know it', () => {
    const stale = () => {
      const node = (code: string) =>
        execFileSync(process.execPath, ['--input-type=module', '-e', code], { cwd: copy, encoding: 'utf8' });
      return node(`
        import { readFileSync } from 'node:fs';
        import { derivedFiles } from './scripts/derived_files.ts';
        const read = (path) => readFileSync(path, 'utf8');
        const stale = Object.entries(derivedFiles(read)).filter(([file, text]) => read(file) !== text);
        process.stdout.write(stale.map(([file]) => file).sort().join());
      `);
    };
    assert.equal(
      stale(),
      'compose.yaml,docs/CONFIGURATION.md,docs/EVENTS.md,infrastructure/monitoring/prometheus.yml',
    );
    execFileSync(process.execPath, ['scripts/derived.ts'], { cwd: copy });
    assert.equal(stale(), '');
    const text = (file: string) => readFileSync(join(copy, file), 'utf8');
    assert.match(
      text('docs/EVENTS.md'),
      /\| \[`hello\.greeted`\]\S* \| event \| 1 \| hello \| `hello\.listener` \|/,
    );
    assert.match(text('docs/CONFIGURATION.md'), /\| `HELLO_GREETING` \| `Hello` \|/);
    assert.match(
      text('infrastructure/monitoring/prometheus.yml'),
      /127\.0\.0\.1:3012'\]\n +labels: \{service: hello\}/,
    );
    assert.match(text('compose.yaml'), /"127\.0\.0\.1:3012:3012" # hello/);
  });

  await t.test('doctor and migrate know its table', async () => {
    assert.match((await said(['doctor'])).out, /2 migrations have not run/);
    const dry = await said(['migrate', '--dry-run']);
    assert.equal(dry.out, 'would run hello/0000_service_tables\nwould run hello/0001_greetings\n');
    assert.equal((await said(['migrate'])).code, 0);
  });

  await t.test('a setting that is misspelt is refused', async () => {
    const { code, err } = await said(['serve', 'hello'], { HELLO_GRETING: 'x' });
    assert.equal(code, 1);
    assert.match(err, /HELLO_GRETING: there is no such setting; the nearest is HELLO_GREETING/);
  });

  const keyOf = async (...options: string[]) =>
    (await said(['keys', 'create', '--name', 'x', ...options])).out.trim();
  const operator = await keyOf('--scope', 'operator');
  const support = await keyOf('--scope', 'support');
  await database.pool.query("INSERT INTO hello.greetings VALUES ('old', 1, now() - interval '2 days')");

  const up = run(['up', '--no-demo']);
  after(async () => {
    up.child.kill('SIGTERM');
    await up.ended;
  });
  await up.said(new RegExp(`hello +http://127.0.0.1:${hello}`));
  await up.said('Ctrl-C');
  const ask = async (path: string, key: string | null, body?: object) => {
    const answer = await fetch(`http://127.0.0.1:${hello}${path}`, {
      ...(body && { method: 'POST', body: JSON.stringify(body) }),
      headers: {
        ...(key !== null && { authorization: `Bearer ${key}` }),
        ...(body && { 'content-type': 'application/json' }),
      },
    });
    const text = await answer.text();
    return { status: answer.status, text };
  };

  await t.test('its route answers whom it names, and refuses all others', async () => {
    const { status, text } = await ask('/greetings', operator, { name: 'Ann' });
    assert.equal(status, 200, text);
    assert.deepEqual(JSON.parse(text).data, { words: 'Moin, Ann', times: 1 });
    assert.equal((await ask('/greetings', null, { name: 'Ann' })).status, 401);
    assert.equal((await ask('/greetings', support, { name: 'Ann' })).status, 403);
    assert.equal((await ask('/greetings', operator, { nam: 'Ann' })).status, 400);
    assert.equal((await ask('/greetings?x=1', operator, { name: 'Ann' })).status, 400);
  });

  await t.test(
    'its job, its command, its figures, its health, its monitoring and its document are there',
    async () => {
      assert.ok(await until(async () => (await said(['greetings'])).out === 'Ann 1\n', LIMIT_MS));
      assert.equal((await ask('/health/ready', null)).status, 200);
      const report = JSON.parse((await ask('/monitoring', operator)).text).data;
      assert.equal(report.servers[0].name, 'primary');
      const { paths } = JSON.parse((await ask('/openapi.json', null)).text);
      assert.deepEqual(paths['/greetings'].post.security, [{ bearer: [] }]);
    },
  );

  await t.test('it hears of the event that it has published', async () => {
    const heard = /hello_heard_total\{service="hello"\} 1/;
    assert.ok(await until(async () => heard.test((await ask('/metrics', null)).text), LIMIT_MS));
  });

  await t.test('the monitor watches it, and a back-up holds its table', async () => {
    const seen = async () => JSON.parse((await said(['status', '--json'])).out || '{"parts":[]}').parts;
    const isUp = async () =>
      (await seen()).some(
        (part: { name: string; state: string }) => part.name === 'hello' && part.state === 'UP',
      );
    assert.ok(await until(isUp, LIMIT_MS), JSON.stringify(await seen()));
    const file = join(data, 'x.backup');
    assert.equal((await said(['backup', file])).code, 0);
    await database.pool.query('TRUNCATE hello.greetings');
    const { code, err } = await said(['restore', '--verify', file]);
    assert.equal(code, 1);
    assert.match(err, /hello\.greetings/);
  });
});
