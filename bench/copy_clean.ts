/** What PostgreSQL itself makes of calls that are clean already: the peer of every way in. */
import { createReadStream, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import type { AtEnd } from './ending.ts';

const TABLES = ['calls.cdrs', 'calls.usage_quarters', 'calls.usage_days'];

/**
 * Copies what is stored out into files, empties the tables, and copies it in again by one connection.
 * @param folder where there is room for the files
 * @param rows how many calls are stored
 * @returns calls a second: into calls.cdrs alone, and with both usage tables
 */
export async function copyClean(
  url: string,
  folder: string,
  rows: number,
  atEnd: AtEnd,
): Promise<{ calls: number; all: number }> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  atEnd(() => client.end());
  await client.connect();
  for (const table of TABLES) {
    await pipeline(
      client.query(copyTo(`COPY (SELECT * FROM ${table}) TO STDOUT`)),
      createWriteStream(join(folder, table)),
    );
  }
  await client.query(`TRUNCATE ${TABLES.join(', ')}`);
  await client.query('CHECKPOINT');
  const seconds: number[] = [];
  for (const table of TABLES) {
    const started = performance.now();
    await pipeline(createReadStream(join(folder, table)), client.query(copyFrom(`COPY ${table} FROM STDIN`)));
    seconds.push((performance.now() - started) / 1000);
  }
  const all = seconds.reduce((sum, s) => sum + s, 0);
  return { calls: Math.round(rows / seconds[0]!), all: Math.round(rows / all) };
}
