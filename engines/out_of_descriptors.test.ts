/** Unreadable is not absent: a part whose state can't be read must not count as gone. Linux: /proc, and limits by the shell. */
import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { platform, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { postmasterOf } from './cluster/processes.ts';
import { listens } from './listens.ts';
import { findPostgres, startPostgres } from './postgres.ts';
import { supervisePostgres, WATCH_INTERVAL_MS } from './postgres_supervisor.ts';
import { identify, isAlive } from './processes.ts';

/** A higher limit takes too long to exhaust. */
const MOST = 100_000;
const skip = skipReason();
const folder = await mkdtemp(join(tmpdir(), 'trunkline-descriptors-'));
after(() => rm(folder, { recursive: true, force: true }));
const options = { folder: join(folder, 'postgres'), database: 'it' };

function skipReason(): string | false {
  if (platform() !== 'linux') return 'limits are read from /proc';
  const limit = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return Number(limit) <= MOST ? false : `the limit of open files is above ${MOST} (ulimit -n)`;
}

/** Does `work` while this process can open no file. */
async function withoutDescriptors<T>(work: () => Promise<T>): Promise<T> {
  const held: number[] = [];
  try {
    for (;;) held.push(openSync('/dev/null', 'r'));
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'EMFILE');
  }
  try {
    return await work();
  } finally {
    for (const descriptor of held) closeSync(descriptor);
  }
}

test('a running embedded PostgreSQL is neither reported dead nor started again, and no other process finds it gone', {
  skip,
}, async (t) => {
  const events: string[] = [];
  const ballast = Promise.withResolvers<void>();
  const kept = await supervisePostgres(options, systemClock, (event) => {
    if (event.startsWith('ballast')) ballast.resolve();
    else events.push(event);
  });
  t.after(kept.stop);
  // While the ballast is written it holds a descriptor, which would become free at any moment.
  await ballast.promise;
  const joined = await startPostgres(options);
  const me = identify(process.pid)!;
  await withoutDescriptors(async () => {
    assert.ok(isAlive(me));
    assert.equal(identify(joined.pid)?.pid, joined.pid);
    await assert.rejects(findPostgres(options.folder, 'it'), /is not known: EMFILE/);
    await assert.rejects(startPostgres(options), { code: 'EMFILE' });
    // A stop would end a server that others may use: their registrations can't be read.
    await assert.rejects(joined.stop(), { code: 'EMFILE' });
    assert.throws(() => postmasterOf(join(options.folder, 'cluster')), { code: 'EMFILE' });
    await assert.rejects(listens('127.0.0.1', 1), { code: 'EMFILE' });
    await systemClock.sleep(3 * WATCH_INTERVAL_MS);
  });
  assert.deepEqual(events, []);
  assert.equal(await findPostgres(options.folder, 'it'), kept.url);
  await joined.stop();
  assert.equal(await findPostgres(options.folder, 'it'), kept.url, 'its supervisor is still registered');
  await kept.stop();
  assert.equal(await findPostgres(options.folder, 'it'), undefined);
});

test('a process whose start time was not readable is identified by its number alone', { skip }, async () => {
  const unknown = await withoutDescriptors(async () => identify(process.pid)!);
  assert.equal(unknown.startedAt, '');
  assert.ok(isAlive(unknown));
  assert.ok(!isAlive({ ...identify(process.pid)!, startedAt: '1' }));
});

test('a lock of an ended process is taken over at once, a lock without a name after a second', {
  skip,
}, async () => {
  for (const text of ['{"pid":999999999,"startedAt":"1"}', '', 'no JSON']) {
    await writeFile(join(options.folder, 'lock'), text);
    const began = performance.now();
    const running = await startPostgres(options);
    const tookMs = performance.now() - began;
    assert.equal(tookMs >= 1_000 || text.startsWith('{'), true, `${text}: ${tookMs} ms`);
    await running.stop();
  }
});
