/** A nearly full disk of one of several nodes, told by their node_exporters: files wait for it by name, and go on by themselves. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startCommand } from '../command.ts';
import { followedRow } from '../followed_file.ts';
import { testDatabase } from '../postgres.ts';

const CALLS = 20;
/** Some looks at the disks. */
const LOOKS_MS = 3_000;
const { url, pool } = await testDatabase();

/** The page of a node_exporter, of one disk. */
async function exporter(usedPercent: number) {
  const disk = { usedPercent };
  const server = createServer((_, answer) => {
    const free = 100 - disk.usedPercent;
    const figures = { avail: free, free, size: 100 };
    answer.end(
      Object.entries(figures)
        .map(([figure, value]) => `node_filesystem_${figure}_bytes{mountpoint="/pg"} ${value}e9\n`)
        .join(''),
    );
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  after(() => server.close());
  return { disk, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics#/pg` };
}

test('with several DATABASE_DISKS an import waits for any disk that is nearly full, even if another disk does not answer', async () => {
  const [one, two] = [await exporter(40), await exporter(96)];
  const folder = await mkdtemp(join(tmpdir(), 'trunkline-full-node-'));
  after(() => rm(folder, { recursive: true }));
  const path = join(folder, 'Master.csv');
  await writeFile(path, Array.from({ length: CALLS }, (_, n) => followedRow(n)).join(''));
  const importing = startCommand(['import', 'cdrs', path, '--create-accounts', '--json'], {
    DATABASE_URL: url,
    DATABASE_DISKS: `node1=${one.url},node2=${two.url},node3=http://127.0.0.1:9/metrics#/pg`,
  });
  assert.match(await importing.said(/waits: .*/), /node2: 96 % of \/pg is used/);
  const calls = async () => (await pool.query('SELECT count(*)::int AS n FROM calls.cdrs')).rows[0].n;
  assert.equal(await calls(), 0);
  // Full is whichever is: the other one now.
  one.disk.usedPercent = 97;
  two.disk.usedPercent = 40;
  await sleep(LOOKS_MS);
  assert.equal(await calls(), 0);
  one.disk.usedPercent = 40;
  const { code, out, err } = await importing.ended;
  assert.deepEqual([code, JSON.parse(out).stored], [0, CALLS], err);
});
