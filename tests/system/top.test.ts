/** `trunkline top` against a running service: once for a script, and live in a terminal. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { after, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { until } from '#engines/cluster/processes.ts';
import { testApi } from '#tests/calls_api.ts';
import { runCommand } from '#tests/command.ts';

const LIMIT_MS = 30_000;
const ENTER = '\x1b[?1049h';
const LEAVE = '\x1b[?1049l';
const HOME = '\x1b[H';
const MAIN = fileURLToPath(new URL('../../main.ts', import.meta.url));
const PTY = fileURLToPath(new URL('../pseudo_terminal.py', import.meta.url));
const noPython = spawnSync('python3', ['-c', 'import pty']).status !== 0 && 'python3 is not installed';

const api = await testApi();
const key = await api.key('operator');
const { url } = api.calls;

test('once: the picture, without colour, for a script', async () => {
  const { code, out, err } = await runCommand(['top', '--once', '--url', url], { TRUNKLINE_KEY: key });
  assert.equal(code, 0, err);
  for (const part of [
    'System Status: ✅ HEALTHY',
    'Database Health',
    'Circuit State: CLOSED',
    'Queue Length: 0 / 200',
  ])
    assert.ok(out.includes(part), `${part} is missing in\n${out}`);
  assert.ok(!out.includes('\x1b'));
});

test('as JSON', async () => {
  const { code, out } = await runCommand(['top', '--json', '--url', url], { TRUNKLINE_KEY: key });
  assert.equal(code, 0);
  assert.equal(JSON.parse(out).servers[0].name, 'primary');
});

test('no key, a wrong one, and no service: it says so and ends with 1', async () => {
  const none = await runCommand(['top', '--once', '--url', url], {});
  assert.deepEqual([none.code, /TRUNKLINE_KEY/.test(none.err)], [1, true]);
  const wrong = await runCommand(['top', '--once', '--url', url], { TRUNKLINE_KEY: `tl_${'a'.repeat(43)}` });
  assert.deepEqual([wrong.code, /answers 401/.test(wrong.err)], [1, true], wrong.err);
  const away = await runCommand(['top', '--once', '--url', 'http://127.0.0.1:9'], { TRUNKLINE_KEY: key });
  assert.deepEqual(
    [away.code, /no service answers at .*CALLS_PORT.*--url/.test(away.err)],
    [1, true],
    away.err,
  );
});

suite('live, in a terminal', { skip: noPython }, () => {
  const open: ChildProcess[] = [];
  after(() => {
    for (const child of open) child.kill('SIGKILL');
  });

  /** `trunkline top` in a terminal of this size, and what it has drawn. */
  function terminal(rows: number, columns: number, address = url) {
    const args = [PTY, String(rows), String(columns), process.execPath, MAIN, 'top', '--url', address];
    const child = spawn('python3', args, {
      env: { PATH: process.env.PATH, TRUNKLINE_KEY: key, TERM: 'xterm-256color' },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    open.push(child);
    let drawn = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      drawn += text;
    });
    const ended = new Promise<number | null>((done) => child.once('close', done));
    return {
      ended,
      tell: (line: string) => child.stdin.write(`${line}\n`),
      get drawn() {
        return drawn;
      },
      /** Pictures so far; the last one may be half drawn. */
      get pictures() {
        return drawn.split(HOME).slice(1);
      },
    };
  }

  // biome-ignore lint/suspicious/noControlCharactersInRegex: control sequences begin with one
  const CONTROL_SEQUENCE = /\x1b\[[?\d;]*[A-Za-z]/g;
  const plain = (picture: string) =>
    picture
      .replaceAll(CONTROL_SEQUENCE, '')
      .split('\r\n')
      .filter((line) => line !== '');
  /** Of the frame's lines, how wide they are: what is drawn between has marks that take two columns. */
  const widthOf = (picture: string) => plain(picture).find((line) => line.startsWith('┌'))?.length;

  test('it draws each second, in colour, fits the window when that changes, and q leaves the screen as it was', async () => {
    const top = terminal(40, 80);
    assert.ok(await until(() => top.pictures.length > 3, LIMIT_MS), top.drawn);
    const picture = top.pictures.at(-2)!;
    assert.ok(picture.includes('System Status') && picture.includes('\x1b[32m'), picture);
    assert.equal(widthOf(picture), 80);
    assert.ok(plain(picture).length < 40);

    top.tell('size 20 60');
    assert.ok(await until(() => widthOf(top.pictures.at(-2)!) === 60, LIMIT_MS), top.pictures.at(-2));
    const small = plain(top.pictures.at(-2)!);
    assert.ok(small.length < 20, small.join('\n'));
    assert.ok(
      small.some((line) => line.includes('0.0%, 0 / 200')),
      small.join('\n'),
    );

    top.tell('keys q');
    assert.equal(await top.ended, 0);
    assert.ok(
      top.drawn.startsWith(ENTER) && top.drawn.trimEnd().endsWith(LEAVE),
      JSON.stringify(top.drawn.slice(-80)),
    );
  });

  test('a service that is not there is waited for; a signal leaves the screen as it was too', async () => {
    const top = terminal(24, 80, 'http://127.0.0.1:9');
    assert.ok(await until(() => /ECONNREFUSED|bad port/.test(top.drawn), LIMIT_MS), top.drawn);
    top.tell('signal 15');
    assert.equal(await top.ended, 0);
    assert.ok(top.drawn.trimEnd().endsWith(LEAVE), JSON.stringify(top.drawn.slice(-80)));
  });
});
