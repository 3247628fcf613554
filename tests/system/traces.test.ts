/** Traces of the program as a process: what a receiver gets of a request, and what it costs where the receiver is away. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { importDemo } from '#services/calls/jobs/demo.ts';
import { THE_PROGRAM } from '#services/calls/store/audit.ts';
import { createKey } from '#services/identity/keys.ts';
import { keyPlaces } from '#system';
import { type StartedCommand, startCommand } from '#tests/command.ts';
import { otlpReceiver } from '#tests/otlp_receiver.ts';
import { testDatabase } from '#tests/postgres.ts';

const NUMBER = '493023125001';
/** More than wait for a receiver at most. */
const MANY = 3_000;
const AT_ONCE = 50;

const database = await testDatabase();
await importDemo(database.pool, Date.now());
const about = { name: 'test', scope: 'operator', iAccount: null, expiresAt: null } as const;
const { key } = await createKey(keyPlaces(database.pool), about, THE_PROGRAM);
const receiver = await otlpReceiver();
const folder = await mkdtemp(join(tmpdir(), 'trunkline-traces-'));
after(() => rm(folder, { recursive: true }));
const started: StartedCommand[] = [];
afterEach(async () => {
  for (const { child, ended } of started.splice(0)) {
    child.kill('SIGKILL');
    await ended;
  }
});

async function serve(environment: Record<string, string>) {
  const common = { DATABASE_URL: database.url, CALLS_PORT: '0' };
  const command = startCommand(['serve', 'calls'], { ...common, ...environment });
  started.push(command);
  const said = await command.said(/ready on http:\S+/);
  const url = said.split(' ').at(-1)!;
  const get = (path: string) => fetch(url + path, { headers: { authorization: `Bearer ${key}` } });
  const post = (path: string, body: unknown) =>
    fetch(url + path, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  const stop = async () => {
    command.child.kill('SIGTERM');
    return command.ended;
  };
  return { get, post, stop };
}

const TRACED = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, TRACE_RATIO: '1' };

/** The modules of OpenTelemetry that a program loads until it has answered a request. */
async function loaded(environment: Record<string, string>): Promise<string[]> {
  const list = join(folder, 'loaded');
  await writeFile(list, '');
  const hook = join(folder, 'hook.mjs');
  await writeFile(
    hook,
    `import { appendFileSync } from 'node:fs';
     import { registerHooks } from 'node:module';
     registerHooks({ load: (url, context, next) => {
       if (url.includes('@opentelemetry/')) appendFileSync(${JSON.stringify(list)}, url + '\\n');
       return next(url, context);
     } });`,
  );
  const { get, stop } = await serve({ ...environment, NODE_OPTIONS: `--import=${hook}` });
  assert.equal((await get('/cdrs?i_account=1')).status, 200);
  await stop();
  const names = (await readFile(list, 'utf8')).split('\n').filter(Boolean);
  return [...new Set(names.map((url) => /@opentelemetry\/([\w-]+)/.exec(url)![1]!))].sort();
}

test('without a receiver not one module of the SDK is loaded; with one they are', async () => {
  // prom-client asks for the interface, which has no SDK in it.
  assert.deepEqual(await loaded({}), ['api']);
  const all = await loaded(TRACED);
  assert.ok(all.includes('exporter-trace-otlp-proto') && all.includes('otlp-transformer'), String(all));
});

test('a page of calls is a trace: request, wait and statements, without a number of anybody', async () => {
  const { get, stop } = await serve(TRACED);
  const answer = await get(`/cdrs?i_account=1&cld=${NUMBER}&limit=5`);
  const numbers = await get('/cdrs?i_account=1&limit=100');
  const { data } = (await numbers.json()) as { data: { cli: string; cld: string }[] };
  assert.ok(data.length > 5);
  const traceId = answer.headers.get('traceresponse')!.split('-')[1];
  await stop();
  const spans = receiver.spans.filter((span) => span.traceId === traceId);
  const request = spans.find(({ name }) => name === 'GET /cdrs')!;
  assert.deepEqual([request.service, request.kind, request.parentId], ['calls', 'server', '']);
  const below = spans.filter(({ parentId }) => parentId === request.spanId);
  assert.equal(below.length, spans.length - 1);
  const named = (pattern: RegExp) => below.filter(({ name }) => pattern.test(name));
  assert.ok(named(/^wait primary$/).length > 0);
  assert.ok(named(/calls\.cdrs/).length > 0, below.map(({ name }) => name).join());
  for (const span of below) assert.ok(span.start >= request.start && span.end <= request.end, span.name);
  const bytes = receiver.bytes();
  for (const number of [NUMBER, ...data.flatMap(({ cli, cld }) => [cli, cld])])
    if (number?.length > 6) assert.ok(!bytes.includes(number.replace('+', '')), `${number} was sent`);
  assert.ok(!bytes.includes(key));
  assert.deepEqual(receiver.faults, []);
});

test('a post of calls is a trace with its COPY and its COMMIT, without a number of anybody', async () => {
  const { post, stop } = await serve(TRACED);
  const times = { start_time: new Date().toISOString(), duration_s: 4, result: 'answered' };
  const { rows } = await database.pool.query('SELECT code FROM calls.accounts LIMIT 1');
  const call = { account: rows[0].code, call_id: 'traced', cli: `+${NUMBER}`, cld: `+${NUMBER}`, ...times };
  const answer = await post('/cdrs', [call]);
  assert.equal(answer.status, 200, await answer.text());
  const traceId = answer.headers.get('traceresponse')!.split('-')[1];
  await stop();
  const names = receiver.spans.filter((span) => span.traceId === traceId).map(({ name }) => name);
  for (const name of ['POST /cdrs', 'COPY calls.cdrs', 'COMMIT'])
    assert.ok(names.includes(name), names.join());
  assert.ok(!receiver.bytes().includes(NUMBER));
  assert.deepEqual(receiver.faults, []);
});

for (const how of ['freeze', 'refuse'] as const)
  test(`a receiver that would ${how} costs spans, counted, and nothing else`, async () => {
    receiver.behave(how);
    const { get, stop } = await serve({ ...TRACED, LOG_LEVEL: 'warn' });
    const statuses = new Set<number>();
    const ask = async (_: unknown, at: number): Promise<void> => {
      for (let n = at; n < MANY; n += AT_ONCE) statuses.add((await get('/health/live')).status);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, ask));
    assert.deepEqual([...statuses], [200]);
    const metrics = await (await get('/metrics')).text();
    const dropped = [...metrics.matchAll(/^trace_spans_dropped_total\{.*\} (\d+)$/gm)];
    const sum = dropped.reduce((total, [, count]) => total + Number(count), 0);
    assert.ok(sum > 0 && sum <= MANY + 10, metrics.match(/^trace_.*$/gm)?.join('\n'));
    assert.equal((await stop()).code, 0);
    receiver.behave('take');
  });
