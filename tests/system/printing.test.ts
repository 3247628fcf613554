/** Nothing that came from elsewhere reaches a terminal as a command to it, whatever command prints it. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { isPrintable } from '#platform/telemetry/printable.ts';
import { runCommand } from '#tests/command.ts';
import { testDatabase } from '#tests/postgres.ts';

/** Clears the screen, sets the title, types into it, turns the rest around, and begins a line of its own. */
const EVIL = 'x\x1b[2J\x1b]0;title\x07\x9b31m\u202egpj\nroot: ';

const folder = await mkdtemp(join(tmpdir(), 'trunkline-printing-'));
after(() => rm(folder, { recursive: true, force: true }));
const { url, pool } = await testDatabase();
const env = { DATABASE_URL: url, DATA_DIR: join(folder, 'data') };

test('no file of the command line writes to the terminal but print.ts', () => {
  const files = [...globSync('{cli,platform/terminal,services/*/commands}/*.ts'), 'main.ts'].filter(
    (file) => !file.endsWith('.test.ts') && file !== 'platform/terminal/print.ts',
  );
  assert.ok(files.length > 40);
  for (const file of files)
    assert.doesNotMatch(readFileSync(file, 'utf8'), /(?:stdout|stderr|out)\.write\(|console\./, file);
});

/** Both outputs of a command, of which every line is one of its own. */
async function said(args: string[], more: Record<string, string> = {}): Promise<string> {
  const { out, err } = await runCommand(args, { ...env, ...more });
  const all = out + err;
  assert.ok(all.length > 0);
  for (const line of all.split('\n')) {
    assert.ok(isPrintable(line), `${args.join(' ')}: ${JSON.stringify(line)}`);
    assert.doesNotMatch(line, /^root: /, args.join(' '));
  }
  return all;
}

test('names that were stored before, in lists, in JSON and in errors', async () => {
  await pool.query(
    "INSERT INTO calls.accounts (code, name, currency, time_zone) VALUES ($1, $1, 'EUR', 'UTC')",
    [EVIL],
  );
  await pool.query(
    "INSERT INTO identity.api_keys (name, hash, prefix, scope) VALUES ($1, '\\x00', 'tl_abcde', 'operator')",
    [EVIL],
  );
  for (const json of [[], ['--json']]) {
    assert.match(await said(['accounts', 'list', ...json]), json.length > 0 ? /u001b/ : /\\x1b\[2J/);
    assert.match(await said(['accounts', 'show', EVIL, ...json]), /2J/);
    assert.match(await said(['keys', 'list', ...json]), /2J/);
  }
  await said(['keys', 'revoke', '1']);
  await said(['accounts', 'show', `${EVIL}other`]);
  await said(['keys', 'create', '--scope', EVIL, '--name', 'x']);
  await said([EVIL]);
  await said(['accounts', `--${EVIL}`]);
});

test('names of files, rows and what is wrong with them', async () => {
  const file = join(folder, `${EVIL.replaceAll('/', '')}.csv`);
  const header = 'Customer,From,To,Start,Secs\n';
  await writeFile(
    file,
    `${header}"${EVIL.replace('\n', ' ')}",1001,${EVIL.replace('\n', ' ')},not a time,5\n`,
  );
  const map = ['Customer=account', 'From=cli', 'To=cld', 'Start=start_time', 'Secs=duration_s'];
  const options = map.flatMap((one) => ['--map', one]);
  for (const json of [[], ['--json']]) {
    await said(['import', 'cdrs', file, ...options, '--create-accounts', ...json]);
    assert.match(await said(['import', 'rejected', 'list', ...json]), /bad_time/);
  }
  await said(['import', 'cdrs', join(folder, `${EVIL}none.csv`), ...options]);
  await said(['import', 'cdrs', file, '--map', `${EVIL}=cli`]);
  await said(['import', 'cdrs', file, '--source', EVIL, ...options]);
  await said(['import', 'rejected', 'retry']);
});

/** Deep in every text of an answer. */
const evil = (value: unknown): unknown =>
  typeof value === 'string'
    ? EVIL
    : Array.isArray(value)
      ? value.map(evil)
      : typeof value === 'object' && value !== null
        ? Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, evil(inner)]))
        : value;

test('what a service answers to top, status and alerts', async () => {
  const at = '2026-11-28T10:00:00.000Z';
  const queue = { length: 1, limit: 200, processing: 1, slots: 10, oldest_wait_ms: 1, order: 'oldest_first' };
  const server = {
    ...{
      healthy: false,
      consecutiveFailures: 1,
      consecutiveSuccesses: 0,
      uptimePercent: 1,
      timeSinceDown: 1,
    },
    ...{
      name: EVIL,
      lastCheck: at,
      lastError: EVIL,
      replica_lag_s: null,
      queue,
      circuit: { state: 'HELD_OPEN', held_by: EVIL },
    },
  };
  const source = {
    path: EVIL,
    state: 'failing',
    detail: EVIL,
    reader: EVIL,
    bytes_behind: 1,
    rows: 1,
    last_row_at: at,
    silent_s: 1,
    silence_limit_s: null,
  };
  const pbx = {
    source: EVIL,
    rows_per_minute: 1,
    silent_s: 1,
    silence_limit_s: null,
    set_aside_today: 1,
    refused_today: 1,
  };
  const report = {
    sources: [source],
    switches: [pbx],
    status: 'down',
    uptime_s: 1,
    last_restart: at,
    servers: [server],
    recent_activity: [{ at, text: EVIL }],
  };
  const part = { id: EVIL, name: EVIL, role: EVIL, state: 'DOWN', since: at, connections: 1, detail: EVIL };
  const alert = evil({
    id: '',
    rule: '',
    severity: '',
    title: '',
    message: '',
    labels: {},
    acknowledged: { by: '', note: '' },
  });
  const answers: Record<string, unknown> = {
    '/monitoring': report,
    '/topology': { at, parts: [part], edges: [] },
    '/alerts': { active: [{ ...(alert as object), state: 'firing', since: at }] },
    '/alerts/test': [{ channel: EVIL, delivered: false, error: EVIL }],
  };
  const fake = createServer((request, response) => {
    response.setHeader('content-type', 'application/json');
    const data = answers[request.url!];
    if (data) response.end(JSON.stringify({ success: true, data }));
    else response.writeHead(404).end(JSON.stringify({ success: false, error: EVIL }));
  });
  await new Promise<void>((listening) => fake.listen(0, '127.0.0.1', listening));
  after(() => fake.close());
  const options = ['--url', `http://127.0.0.1:${(fake.address() as AddressInfo).port}`, '--key', 'k'];
  for (const json of [[], ['--json']]) {
    assert.match(await said(['top', '--once', ...options, ...json]), /2J/);
    assert.match(await said(['status', ...options, ...json]), /2J/);
    assert.match(await said(['alerts', 'test', ...options, ...json]), /2J/);
  }
  delete answers['/topology'];
  await said(['status', ...options]);
  await said(['top', '--once', '--url', `http://127.0.0.1:1/${EVIL}`, '--key', 'k']);
  await said(['drill', EVIL]);
  await said(['doctor'], { DATA_DIR: join(folder, EVIL) });
  await said(['accounts', 'list'], { DATABASE_URL: `postgresql://x/${EVIL}` });
});

test('such names are refused where they come in', async () => {
  for (const args of [
    ['accounts', 'create', EVIL],
    ['accounts', 'create', 'ok', '--name', EVIL],
    ['accounts', 'create', 'bidi\u202e'],
    ['keys', 'create', '--scope', 'ingest', '--name', EVIL],
  ]) {
    assert.equal((await runCommand(args, env)).code, 1);
    assert.match(await said(args), /control characters/);
  }
  const { rows } = await pool.query<{ code: string }>('SELECT code FROM calls.accounts');
  assert.deepEqual(rows, [{ code: EVIL }]);
});
