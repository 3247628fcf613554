/** Following within the service: CALLS_SOURCES, what is shown of it, one reader at a time, and what fails. */
import assert from 'node:assert/strict';
import {
  appendFile,
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { withSession } from '#platform/database/pool.ts';
import { type Clock, systemClock } from '#platform/lifecycle/clock.ts';
import { createFakeClock } from '#platform/lifecycle/fake_clock.ts';
import { testApi } from '#tests/calls_api.ts';
import { followedRow } from '#tests/followed_file.ts';
import { testDatabase } from '#tests/postgres.ts';
import type { SourceReport } from '../contract.ts';
import { createRoom, type Room } from '../intake/room.ts';
import { addGap, listSources, noteRows, takeSource } from '../store/followed.ts';
import { type Following, followSources, type SourceStatus } from './follow.ts';
import { prepareSources } from './prepare.ts';
import { readSources } from './sources.ts';

const folder = await mkdtemp(join(tmpdir(), 'trunkline-following-'));
after(() => rm(folder, { recursive: true, force: true }));
const database = await testDatabase();
const { pool } = database;

const LIMIT_MS = 20_000;
async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  const begun = performance.now();
  for (;;) {
    const found = await look();
    if (found) return found;
    assert.ok(performance.now() - begun < LIMIT_MS, `not within ${LIMIT_MS} ms: ${what}`);
    await sleep(20);
  }
}

let files = 0;
const newPath = () => join(folder, `Master${files++}.csv`);
const rows = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => followedRow(from + i)).join('');
const storedOf = async (from: number, to: number): Promise<number> => {
  const numbers = Array.from({ length: to - from }, (_, i) => String(from + i));
  const found = await pool.query(
    `SELECT count(*) AS n FROM calls.cdrs WHERE split_part(call_id, '.', 2) = ANY($1)`,
    [numbers],
  );
  return found.rows[0].n;
};

async function following(path: string, more: object = {}): Promise<Following[]> {
  const entry = { path, time_zone: 'UTC', ...more };
  return prepareSources(pool, readSources(JSON.stringify([entry])), { currency: 'EUR' });
}

interface Started {
  readonly told: string[];
  status(): SourceStatus;
  stop(): Promise<void>;
}

async function start(
  path: string,
  more: object = {},
  clock: Clock = systemClock,
  room?: Room,
): Promise<Started> {
  const stop = new AbortController();
  const told: string[] = [];
  const warn = (_path: string, words: string) => told.push(words);
  const followed = followSources({ pool, clock, room, warn }, await following(path, more), stop.signal);
  after(() => stop.abort());
  return {
    told,
    status: () => followed.statuses[0]!,
    stop: async () => {
      stop.abort(new Error('stop'));
      await followed.done;
    },
  };
}

test('the service follows its sources, and shows each with its lag', async () => {
  const path = newPath();
  await writeFile(path, rows(0, 3));
  const api = await testApi(
    { sources: readSources(JSON.stringify([{ path, time_zone: 'UTC', source: 'pbx1' }])) },
    { database },
  );
  await until('rows are stored', async () => (await storedOf(0, 3)) === 3);
  const key = await api.key('operator');
  const report = await until('the report knows the rows', async () => {
    const { body } = await api.get('/monitoring', key);
    const [source]: SourceReport[] = body.data.sources;
    return source?.rows === 3 && source;
  });
  assert.deepEqual(
    [report.path, report.state, report.bytes_behind, report.silence_limit_s, report.detail],
    [path, 'following', 0, null, ''],
  );
  assert.match(report.reader!, /^process \d+ on /);
  assert.ok(report.silent_s! < 60);
  const { text } = await api.get('/metrics', null);
  assert.match(
    text,
    new RegExp(`followed_source_state\\{[^}]*source="${path}"[^}]*state="following"[^}]*\\} 1`),
  );
  const source = await pool.query(`SELECT DISTINCT source FROM calls.cdrs WHERE call_id LIKE '%.2'`);
  assert.deepEqual(source.rows, [{ source: 'pbx1' }]);
  await api.stop();
  const [left] = await withSession(pool, (session) => session.rows(listSources(Date.now())));
  assert.equal(left!.holder, null, 'a service that stops leaves its sources');
});

test('faults that only the disk and the database know are told at once, before anything is followed', async () => {
  const file = newPath();
  await writeFile(file, '');
  const wrong = readSources(
    JSON.stringify([
      { path: file, time_zone: 'UTC', after: 'delete' },
      { path: join(folder, 'drop'), time_zone: 'UTC', after: `move:${join(folder, 'nowhere')}` },
      { path: newPath(), time_zone: 'UTC', map_name: 'unheard-of' },
    ]),
  );
  await assert.rejects(prepareSources(pool, wrong, { currency: 'EUR' }), (error: Error) => {
    assert.match(error.message, /must be "keep"/);
    assert.match(error.message, /nowhere, is no folder/);
    assert.match(error.message, /no mapping is remembered as "unheard-of"/);
    return true;
  });
});

test('a source has one reader; the next goes on where it ended', async () => {
  const path = newPath();
  await writeFile(path, rows(100, 110));
  const first = await start(path);
  await until('rows are stored', async () => (await storedOf(100, 110)) === 10);
  const second = await start(path);
  await until('the second waits', () => /^process \d+ on .* reads it$/.test(second.status().detail));
  assert.equal(second.status().state, 'waiting');
  await appendFile(path, rows(110, 120));
  await until('the first reads on', async () => (await storedOf(100, 120)) === 20);
  assert.equal(second.status().bytesRead, 0);
  await first.stop();
  await appendFile(path, rows(120, 121));
  await until('the second reads on', async () => (await storedOf(100, 121)) === 21);
  assert.equal(second.status().bytesRead, rows(120, 121).length, 'only what the first had not stored');
  await second.stop();
});

test('who has lost its source stores nothing more of it', async () => {
  const path = newPath();
  await writeFile(path, rows(200, 201));
  const reader = await start(path);
  await until('a row is stored', async () => (await storedOf(200, 201)) === 1);
  // As another process does once the lease of one that was frozen has run out.
  await pool.query(
    `UPDATE calls.followed_sources SET holder = 'elsewhere 1 2 3 4', held_until = now() + interval '1 hour' WHERE path = $1`,
    [path],
  );
  await appendFile(path, rows(201, 203));
  await until('it waits', () => reader.status().state === 'waiting');
  assert.equal(await storedOf(200, 203), 1);
  await pool.query('UPDATE calls.followed_sources SET held_until = now() WHERE path = $1', [path]);
  await until('it has it again', async () => (await storedOf(200, 203)) === 3);
  await reader.stop();
});

test("a file that appears late, one that can't be read and a folder that vanishes: told, and read once it is there", async () => {
  const own = await mkdtemp(join(folder, 'late-'));
  const path = join(own, 'Master.csv');
  const reader = await start(path);
  await until('it waits', () => reader.status().detail === 'there is nothing at this path yet');
  await mkdir(path);
  await until('a folder in its place is followed too', () => reader.status().state === 'following');
  await rm(path, { recursive: true });
  await writeFile(path, rows(300, 302));
  await until('rows are stored', async () => (await storedOf(300, 302)) === 2);
  await until('all is well', () => reader.status().state === 'following');
  if (process.getuid?.() !== 0) {
    await chmod(path, 0);
    await until('it is told', () => reader.status().state === 'failing');
    await chmod(path, 0o600);
  }
  await rm(own, { recursive: true });
  await until('it waits', () => reader.status().state === 'waiting');
  await mkdir(own);
  await writeFile(path, rows(302, 304));
  await until('rows are stored', async () => (await storedOf(300, 304)) === 4);
  await reader.stop();
});

test('bad rows are set aside with their lines, and a header is known after a restart', async () => {
  const path = newPath();
  await pool.query(
    `INSERT INTO calls.import_maps (name, columns) VALUES ('follow', $1) ON CONFLICT DO NOTHING`,
    [
      JSON.stringify({
        Id: 'call_id',
        Who: 'account',
        At: 'start_time',
        Secs: 'duration_s',
        From: 'cli',
        To: 'cld',
      }),
    ],
  );
  const line = (id: string, secs: string) => `${id};acme;2026-11-01T10:00:00Z;${secs};1001;+442079460001\n`;
  await writeFile(path, `Id;Who;At;Secs;From;To\n${line('h-1', '5')}`);
  const rejectedOf = async () =>
    (
      await pool.query(
        'SELECT line, code FROM calls.rejected_cdrs WHERE taken_by IS NULL AND file = $1 ORDER BY line',
        [path],
      )
    ).rows;
  const stored = async () =>
    (await pool.query(`SELECT call_id FROM calls.cdrs WHERE call_id LIKE 'h-%' ORDER BY 1`)).rows.map(
      (r) => r.call_id,
    );
  const first = await start(path, { map_name: 'follow' });
  await until('the first is stored', async () => (await stored()).length === 1);
  await first.stop();
  await appendFile(path, `${line('h-2', '6')}${line('h-3', 'soon')}`);
  const second = await start(path, { map_name: 'follow' });
  await until('the rest is read', async () => (await rejectedOf()).length === 1);
  assert.deepEqual([await stored(), (await rejectedOf())[0].line], [['h-1', 'h-2'], 4]);
  await second.stop();
});

test('a row without its end is stored after 60 s of silence, and not before; what ends it later is no other call', async () => {
  const path = newPath();
  const row = followedRow(400);
  await writeFile(path, row.slice(0, -3));
  const clock = createFakeClock(Date.now());
  const reader = await start(path, { format: 'asterisk-csv' }, clock);
  /** Seconds of the clock's, with as many looks of the reader's. */
  const pass = async (seconds: number) => {
    for (let ms = 0; ms < seconds * 1_000; ms += 500) {
      await clock.advance(500);
      await sleep(2);
    }
  };
  await pass(55);
  assert.equal(await storedOf(400, 401), 0);
  // Anything that is written is a word of its writer.
  await appendFile(path, row.slice(-3, -1));
  await pass(55);
  assert.equal(await storedOf(400, 401), 0);
  await until('it is stored', async () => {
    await pass(1);
    return (await storedOf(400, 401)) === 1;
  });
  await appendFile(path, row.slice(-1) + followedRow(401));
  await until('the next one is stored', async () => {
    await pass(1);
    return (await storedOf(401, 402)) === 1;
  });
  assert.equal(await storedOf(400, 401), 1);
  await reader.stop();
});

test('a file with a date of 2099 hides none that comes and goes after it, nor that its source is silent', async () => {
  const own = await mkdtemp(join(folder, 'ahead-'));
  const path = join(own, 'Master.csv');
  const ahead = new Date('2099-01-01T00:00:00Z');
  await writeFile(path, rows(500, 502));
  await utimes(path, ahead, ahead);
  const first = await start(path);
  await until('rows are stored', async () => (await storedOf(500, 502)) === 2);
  await rename(path, `${path}.1`);
  await writeFile(path, rows(502, 504));
  await until('rows are stored', async () => (await storedOf(500, 504)) === 4);
  await first.stop();
  // Nobody looks: what is written now is put away before anybody does.
  await rename(`${path}.1`, `${path}.3`);
  await rename(path, `${path}.2`);
  await writeFile(`${path}.1`, rows(504, 507));
  await writeFile(path, rows(507, 508));
  const second = await start(path);
  await until('all rows are stored', async () => (await storedOf(500, 508)) === 8);
  const { rows: told } = await pool.query(
    `SELECT last_row_at < now() + interval '1 min' AS heard, searched_to < now() + interval '1 min' AS searched
     FROM calls.followed_sources WHERE path = $1`,
    [path],
  );
  assert.deepEqual(told, [{ heard: true, searched: true }]);
  await second.stop();
  const { rows: calls } = await pool.query(
    `SELECT count(*) AS n FROM calls.cdrs WHERE split_part(call_id, '.', 2) = ANY($1)`,
    [Array.from({ length: 8 }, (_, n) => String(500 + n))],
  );
  assert.deepEqual(calls, [{ n: 8 }]);
});

const document = (number: number) =>
  JSON.stringify({
    'core-uuid': 'c',
    switchname: 'fs',
    channel_data: {},
    variables: {
      ...{
        uuid: `doc-${number}`,
        accountcode: 'acme',
        direction: 'inbound',
        hangup_cause: 'NORMAL_CLEARING',
      },
      ...{ start_epoch: String(1_790_000_000 + number), answer_epoch: String(1_790_000_001 + number) },
      ...{ end_epoch: String(1_790_000_031 + number), duration: '31', billsec: '30' },
    },
    callflow: [
      { caller_profile: { caller_id_number: '+493023125001', destination_number: '+442079460001' } },
    ],
  });
const documentsStored = async (): Promise<number> =>
  (await pool.query(`SELECT count(*) AS n FROM calls.cdrs WHERE call_id LIKE 'doc-%'`)).rows[0].n;

test('a row that was cut when its file was put away is taken as it is, and gives way to the whole one', async () => {
  const path = newPath();
  await pool.query(`INSERT INTO calls.import_maps (name, columns) VALUES ('cut', $1)`, [
    JSON.stringify({
      Id: 'call_id',
      Who: 'account',
      At: 'start_time',
      Secs: 'duration_s',
      From: 'cli',
      To: 'cld',
    }),
  ]);
  const row = (id: string) => `${id},acme,2026-11-02T10:00:00Z,1001,+442079460001,125\n`;
  await writeFile(path, `Id,Who,At,From,To,Secs\n${row('cut-1')}${row('cut-2').slice(0, -2)}`);
  const secondsOf = async (): Promise<string[]> =>
    (
      await pool.query(
        `SELECT call_id || ' ' || duration_s::int AS told FROM calls.cdrs WHERE call_id LIKE 'cut-%' ORDER BY 1`,
      )
    ).rows.map(({ told }) => told);
  const reader = await start(path, { map_name: 'cut' });
  await until('the whole row is stored', async () => (await secondsOf()).length === 1);
  await sleep(600);
  assert.deepEqual(await secondsOf(), ['cut-1 125'], 'the cut one waits for its end');
  await rename(path, `${path}.1`);
  await writeFile(path, '');
  await until('it is taken as it is', async () => (await secondsOf()).length === 2);
  assert.deepEqual(await secondsOf(), ['cut-1 125', 'cut-2 12']);
  await appendFile(`${path}.1`, `5\n${row('cut-3')}`);
  await until('the rest is read', async () => (await secondsOf()).length === 3);
  assert.deepEqual(await secondsOf(), ['cut-1 125', 'cut-2 125', 'cut-3 125']);
  const usage = await pool.query(
    `SELECT sum(calls)::int AS calls, sum(seconds)::int AS seconds FROM calls.usage_quarters
     WHERE quarter = '2026-11-02T10:00:00Z'`,
  );
  assert.deepEqual(usage.rows, [{ calls: 3, seconds: 375 }]);
  await reader.stop();
});

test('documents that are dropped into a folder are read once they are whole, and moved once their rows are committed', async () => {
  const drop = await mkdtemp(join(folder, 'drop-'));
  const done = await mkdtemp(join(folder, 'done-'));
  const name = (number: number) => `a${number}.cdr.json`;
  await writeFile(join(drop, name(1)), document(1));
  const text = document(2);
  await writeFile(join(drop, name(2)), text.slice(0, 100));
  await writeFile(join(drop, '.a3.cdr.json.tmp'), document(3));
  await writeFile(join(drop, 'notes.pdf'), 'x');
  await writeFile(join(done, name(1)), 'was there before');
  const first = await start(drop, { after: `move:${done}`, source: 'docs' });
  await until('the first is moved', async () => (await readdir(done)).length === 2);
  assert.deepEqual([(await readdir(done)).sort(), await documentsStored()], [[name(1), `${name(1)}.1`], 1]);
  assert.equal(await readFile(join(done, name(1)), 'utf8'), 'was there before');
  await appendFile(join(drop, name(2)), text.slice(100));
  await rename(join(drop, '.a3.cdr.json.tmp'), join(drop, name(3)));
  await until('the others are moved', async () => (await readdir(done)).length === 4);
  assert.deepEqual([await documentsStored(), (await readdir(drop)).sort()], [3, ['notes.pdf']]);
  await first.stop();
  // Stored, and killed before it was moved.
  await writeFile(join(drop, name(4)), document(4));
  const { ino, size, mtimeNs } = await stat(join(drop, name(4)), { bigint: true });
  await pool.query(
    `INSERT INTO calls.followed_documents (i_source, name, version)
     SELECT i_source, $2, $3 FROM calls.followed_sources WHERE path = $1`,
    [drop, name(4), `${ino}:${size}:${mtimeNs}`],
  );
  const second = await start(drop, { after: `move:${done}`, source: 'docs' });
  await until('it is moved', async () => (await readdir(done)).length === 5);
  assert.deepEqual([await documentsStored(), second.status().bytesRead], [3, 0]);
  await second.stop();
  const left = await pool.query('SELECT count(*) AS n FROM calls.followed_documents');
  assert.equal(left.rows[0].n, 0, 'nothing is kept in mind of what is not there any more');
});

test("documents that are kept are read once, also over a restart; one that can't be read is told and stays", async () => {
  const drop = await mkdtemp(join(folder, 'kept-'));
  const before = await documentsStored();
  for (let number = 100; number < 160; number++)
    await writeFile(join(drop, `${number}.json`), document(number));
  await writeFile(join(drop, 'broken.json'), '{"no": "call"}');
  const first = await start(drop, { source: 'docs' });
  await until('they are stored', async () => (await documentsStored()) === before + 60);
  await until('the broken one is told', () => first.status().state === 'failing');
  assert.match(first.status().detail, /broken\.json: JSON, but not/);
  await first.stop();
  const second = await start(drop, { source: 'docs' });
  await writeFile(join(drop, '160.json'), document(160));
  await until('the new one is stored', async () => (await documentsStored()) === before + 61);
  assert.ok(second.status().bytesRead < 3 * document(160).length, 'no other was read again');
  await rm(join(drop, 'broken.json'));
  await until('all is well', () => second.status().state === 'following');
  await second.stop();
});

test("the limit of a silence is three times the longest gap of that hour of the week, by the source's zone", async () => {
  const clock = createFakeClock(Date.parse('2026-11-30T09:30:00Z'));
  const hour = 3_600_000;
  const week = 168 * hour;
  const source = await withSession(pool, async (session) => {
    const taken = await session.row(
      takeSource({ machine: 'm', path: '/gaps', timeZone: 'Europe/Berlin' }, 'holder', null),
    );
    const iSource = taken!.i_source;
    await session.run(noteRows(iSource, 1, clock.now() - 5 * week));
    await session.run(noteRows(iSource, 1, clock.now() - 60_000));
    // Monday, 10:00 to 11:00 in Berlin: a gap of 40 minutes reaches into it.
    await session.run(
      addGap(iSource, clock.now() - week - 1.1 * hour, clock.now() - week - 1.1 * hour + 40 * 60_000),
    );
    await session.run(addGap(iSource, clock.now() - 2 * week, clock.now() - 2 * week + 20 * 60_000));
    // Another hour, and too long ago.
    await session.run(addGap(iSource, clock.now() - week + 2 * hour, clock.now() - week + 5 * hour));
    await session.run(addGap(iSource, clock.now() - 5 * week, clock.now() - 5 * week + 2 * hour));
    return iSource;
  });
  const gapAt = async (now: number) =>
    (await withSession(pool, (session) => session.rows(listSources(now)))).find(
      (row) => row.i_source === source,
    )!.longest_gap_s;
  assert.equal(await gapAt(clock.now()), 40 * 60);
  assert.equal(await gapAt(clock.now() + 2.5 * hour), 3 * 3_600);
  assert.equal(await gapAt(clock.now() + 12 * hour), null);
});

for (const kind of ['file', 'folder'] as const)
  test(`a ${kind} waits by name while the primary's disk is nearly full, and goes on by itself`, async () => {
    const path = kind === 'file' ? newPath() : await mkdtemp(join(folder, 'room-'));
    const [from, to] = kind === 'file' ? [600, 603] : [610, 613];
    const table = kind === 'file' ? path : join(path, 'Master.csv');
    await writeFile(table, rows(from, to));
    let freeBytes = 4;
    const room = createRoom({
      read: async () => [{ node: 'node1', path: '/var/lib/postgresql', sizeBytes: 100, freeBytes }],
      ...{ pausePercent: 95, clock: systemClock },
    });
    // One that was stopped while it waited has left nothing behind but what is to be read.
    for (const isLast of [false, true]) {
      const reader = await start(path, { format: 'asterisk-csv', source: 'room' }, systemClock, room);
      await until('it waits', () => reader.status().state === 'waiting' && reader.status().isReader);
      await sleep(2_000);
      assert.equal(await storedOf(from, to), 0);
      assert.match(reader.status().detail, /^node1: 96 % of \/var\/lib\/postgresql is used/);
      if (isLast) {
        freeBytes = 7;
        await until('its rows are stored', async () => (await storedOf(from, to)) === to - from);
        await until('it follows', () => reader.status().state === 'following');
        await until('it is told', () => reader.told.length > 1);
        assert.deepEqual(
          reader.told.map((words) => words.slice(0, 7)),
          ['waits: ', 'goes on'],
        );
      }
      await reader.stop();
    }
  });
