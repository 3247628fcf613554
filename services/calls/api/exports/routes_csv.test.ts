/** Exports: the whole range, safe in a spreadsheet, and never half of it without a sign. */
import assert from 'node:assert/strict';
import { get, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '#engines/cluster/processes.ts';
import { createLogger } from '#platform/telemetry/logger.ts';
import { callRow, testImportSource } from '#tests/calls.ts';
import { testApi } from '#tests/calls_api.ts';
import { PLAIN_CALLS } from '../../csv/calls_csv.ts';
import { csvHeader } from '../../csv/csv_form.ts';
import { takeIn } from '../../intake/intake.ts';
import { BATCH_CALLS } from './calls_batch.ts';

const CSV_HEADER = csvHeader(PLAIN_CALLS);

const lines: string[] = [];
const logger = createLogger('calls', 'info', { write: (line: string) => void lines.push(line) });
const api = await testApi({}, { logger });
const operator = await api.key('operator');
const T0 = Date.parse('2026-10-20T00:00:00Z');
const CSV = { accept: 'text/csv' };

const iAcme = await api.account('acme');
const iLarge = await api.account('large');
const iEmpty = await api.account('empty');
const LARGE = 30_000;
const LIMIT_MS = 20_000;
const STANDS_STILL_MS = 300;

const importSource = await testImportSource(api.database.pool, { credits: true });
await takeIn(api.database.pool, importSource, [
  callRow({
    accountCode: 'acme',
    startTime: T0 + 0.5,
    callId: '=cmd|calc',
    cli: '+493023125001',
    cld: '@SUM(A1:A9)',
    description: 'a "quoted", text;=1+1',
    userAgent: '-2+3\r\nnext',
    cost: '-0.5000',
    flags: ['ambiguous_time', 'in_the_future'],
  }),
  callRow({
    accountCode: 'acme',
    startTime: T0 + 14 * 86_400_000,
    callId: 'later',
    connectTime: null,
    billedDurationS: 0,
    result: 'busy',
  }),
]);
for (let at = 0; at < LARGE; at += 10_000) {
  const rows = Array.from({ length: 10_000 }, (_, i) =>
    callRow({
      accountCode: 'large',
      startTime: T0 + ((at + i) % 1_000) * 60_000,
      description: 'x'.repeat(200),
    }),
  );
  await takeIn(api.database.pool, importSource, rows);
}

test('a file that a spreadsheet opens without running anything, with times as asked', async () => {
  const path = `/cdrs?i_account=${iAcme}&from=2026-10-01T00:00:00Z&time_zone=Europe/Berlin`;
  const { status, headers, text } = await api.get(path, operator, CSV);
  assert.equal(status, 200);
  assert.match(headers.get('content-type')!, /^text\/csv; charset=utf-8/);
  assert.equal(headers.get('content-disposition'), `attachment; filename="calls-${iAcme}-2026-10-01.csv"`);
  const [header, later, first, end] = text.split('\r\n');
  assert.equal(`${header}\r\n`, CSV_HEADER);
  assert.equal(end, '');
  const times = '2026-11-03T01:00:00+01:00,,2026-11-03T01:01:05+01:00';
  assert.match(
    later!,
    new RegExp(`,later,outbound,.*,${times.replaceAll('+', '\\+')},65,0,busy,16,GB,,,EUR,,,,test,later$`),
  );
  const cells = `"'=cmd|calc",unknown,+493023125001,'@SUM(A1:A9),,,2026-10-20T02:00:00.0005+02:00,`;
  assert.ok(first!.includes(cells), first);
  assert.ok(
    first!.includes(`"a ""quoted"", text;'=1+1",-0.5000,EUR,,'-2+3 next,ambiguous_time in_the_future,test`),
    first,
  );
});

test('the whole range, in order, in as many batches as it takes', async () => {
  const { text } = await api.get(`/cdrs?i_account=${iLarge}&order=asc`, operator, CSV);
  const lines = text.split('\r\n').slice(1, -1);
  assert.equal(lines.length, LARGE);
  assert.equal(new Set(lines.map((line) => line.split(',')[0])).size, LARGE);
  const starts = lines.map((line) => line.split(',')[8]!);
  assert.deepEqual(starts, [...starts].sort());
});

test('no calls: the header alone', async () => {
  assert.equal((await api.get(`/cdrs?i_account=${iEmpty}`, operator, CSV)).text, CSV_HEADER);
});

test('filters narrow an export as they narrow a list', async () => {
  const { text } = await api.get(`/cdrs?i_account=${iAcme}&type=answered&cli=%2B4930*`, operator, CSV);
  assert.equal(text.split('\r\n').length, 3);
});

test('who prefers JSON gets JSON', async () => {
  const type = async (accept: string) =>
    (await api.get(`/cdrs?i_account=${iEmpty}`, operator, { accept })).headers
      .get('content-type')
      ?.split(';')[0];
  assert.equal(await type('application/json, text/csv'), 'application/json');
  assert.equal(await type('text/csv;q=0.5, application/json'), 'application/json');
  assert.equal(await type('text/csv;q=0'), 'application/json');
  assert.equal(await type('*/*'), 'application/json');
  assert.equal(await type('text/csv, application/json'), 'text/csv');
  assert.equal(await type('Text/CSV, */*;q=0.1'), 'text/csv');
});

test('what belongs to pages is refused, and a zone that is none', async () => {
  for (const query of ['limit=5', 'cursor=x', 'with_total=true', 'time_zone=Nowhere']) {
    const { status, body } = await api.get(`/cdrs?i_account=${iAcme}&${query}`, operator, CSV);
    assert.equal(status, 400, query);
    assert.deepEqual(body.fields, [query.split('=')[0]]);
  }
  assert.equal((await api.get('/cdrs?i_account=999', operator, CSV)).status, 404);
});

const warnings = () =>
  lines.map((line) => JSON.parse(line)).flatMap(({ level, msg }) => (level === 'info' ? [] : [msg]));

/** Begins the large export and reads its first bytes, no more: the server waits for the client with the rest. */
async function beginLarge(): Promise<{ readonly response: IncomingMessage; readonly begin: string }> {
  const headers = { authorization: `Bearer ${operator}`, ...CSV };
  const response = await new Promise<IncomingMessage>((answered) =>
    get(`${api.calls.url}/cdrs?i_account=${iLarge}`, { headers }, answered),
  );
  assert.equal(response.statusCode, 200);
  await new Promise((readable) => response.once('readable', readable));
  return { response, begin: (response.read(100) as Buffer).toString() };
}

/** Reads of the database that have ended well. */
async function readsDone(): Promise<number> {
  const { text } = await api.get('/metrics', null);
  return Number(/^database_work_seconds_count\{.*"primary",outcome="success"\} (\d+)/m.exec(text)?.[1]);
}

/** Waits until no more reads end; returns how many have. */
async function readsStandStill(): Promise<number> {
  let done = -1;
  const standsStill = async () => {
    const last = done;
    await sleep(STANDS_STILL_MS);
    done = await readsDone();
    return done === last;
  };
  assert.ok(await until(standsStill, LIMIT_MS));
  return done;
}

test('a slow reader makes the export wait: nothing is read for it that it would not take', async () => {
  const batches = LARGE / BATCH_CALLS;
  const before = await readsDone();
  const { response, begin } = await beginLarge();
  // What the network's buffers take is read; then all stands still.
  const done = (await readsStandStill()) - before;
  assert.ok(done < batches - 2, `${done} of ${batches} batches are read for a client that takes none`);
  let file = begin;
  for await (const chunk of response) file += chunk;
  assert.equal(file.split('\r\n').length, 1 + LARGE + 1);
  assert.ok((await readsDone()) - before >= batches);
});

test('an export that breaks in the middle breaks its connection', async () => {
  const { response, begin } = await beginLarge();
  assert.ok(begin.startsWith('i_cdr,'));
  lines.length = 0;
  await api.database.pool.query('ALTER TABLE calls.cdrs RENAME TO cdrs_hidden');
  try {
    let size = begin.length;
    await assert.rejects(async () => {
      for await (const chunk of response) size += (chunk as Buffer).length;
    }, /aborted|terminated|reset/i);
    assert.equal(response.complete, false);
    assert.ok(size > 100);
    assert.deepEqual(warnings(), ['an export broke off']);
  } finally {
    await api.database.pool.query('ALTER TABLE calls.cdrs_hidden RENAME TO cdrs');
  }
});

test('an export that can not begin fails with a status', async () => {
  await api.database.pool.query('ALTER TABLE calls.cdrs RENAME TO cdrs_hidden');
  try {
    const { status, body } = await api.get(`/cdrs?i_account=${iLarge}`, operator, CSV);
    assert.deepEqual([status, body.code], [500, 'internal']);
  } finally {
    await api.database.pool.query('ALTER TABLE calls.cdrs_hidden RENAME TO cdrs');
  }
});

test('HTTP/1.0, where the end of an answer is only a closed connection, gets no export', async () => {
  const { hostname, port } = new URL(api.calls.url);
  const text = await new Promise<string>((done, failed) => {
    const socket = connect(Number(port), hostname);
    let got = '';
    socket.on('data', (chunk) => {
      got += chunk;
    });
    socket.on('end', () => done(got));
    socket.on('error', failed);
    socket.write(
      `GET /cdrs?i_account=${iAcme} HTTP/1.0\r\nAuthorization: Bearer ${operator}\r\nAccept: text/csv\r\n\r\n`,
    );
  });
  assert.match(text, /^HTTP\/1\.1 426 /);
  assert.match(text, /"code":"http_1_1_needed"/);
});

/** Statements that wait for the lock which is held on the calls. */
const WAITING = `FROM pg_stat_activity
  WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%calls.cdrs%'`;
const waiting = async () => (await api.database.pool.query(`SELECT 1 ${WAITING}`)).rowCount;

/** While it lasts, statements that read calls wait. */
async function withLockedCalls(work: () => Promise<void>): Promise<void> {
  const holder = await api.database.pool.connect();
  try {
    await holder.query('BEGIN; LOCK TABLE calls.cdrs IN ACCESS EXCLUSIVE MODE');
    await work();
  } finally {
    await holder.query('ROLLBACK');
    holder.release();
  }
}

test('a batch whose connection is lost is read once more, and stands in the file once', async () => {
  const exported = () => api.get(`/cdrs?i_account=${iAcme}`, operator, CSV);
  let file: ReturnType<typeof exported> | undefined;
  await withLockedCalls(async () => {
    file = exported();
    assert.ok(await until(async () => (await waiting()) === 1, LIMIT_MS), 'the export asks nothing');
    await api.database.pool.query(`SELECT pg_terminate_backend(pid) ${WAITING}`);
  });
  assert.equal((await file!).text, (await exported()).text);
});

test('a client that goes away leaves no query running', async () => {
  await withLockedCalls(async () => {
    const headers = { authorization: `Bearer ${operator}`, ...CSV };
    const request = get(`${api.calls.url}/cdrs?i_account=${iLarge}`, { headers });
    request.on('error', () => undefined);
    assert.ok(await until(async () => (await waiting()) === 1, LIMIT_MS), 'the export asks nothing');
    request.destroy();
    const ended = await until(async () => (await waiting()) === 0, LIMIT_MS);
    assert.ok(ended, 'the export goes on without its client');
  });
});

test('a client that goes away in the middle of a file is no fault of the service', async () => {
  const { response } = await beginLarge();
  lines.length = 0;
  response.on('error', () => undefined);
  response.destroy();
  await readsStandStill();
  assert.deepEqual(warnings(), []);
});
