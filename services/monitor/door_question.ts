/** The test of a door of PostgreSQL, on a connection of its own. */
import pg from 'pg';
import { destroyConnection } from '#platform/database/pg_internals.ts';
import type { DoorSource } from './doors.ts';

/** One row, overwritten by each test. */
const WRITE = `INSERT INTO monitor.door AS door (id, at) VALUES (true, now())
  ON CONFLICT (id) DO UPDATE SET at = excluded.at`;
const MAKE = `CREATE SCHEMA IF NOT EXISTS monitor;
  CREATE TABLE IF NOT EXISTS monitor.door (id boolean PRIMARY KEY CHECK (id), at timestamptz NOT NULL)`;
const UNDEFINED_TABLE = '42P01';

/** @throws Error if the test does not get through; the signal's reason if the signal aborts */
export async function askThroughDoor({ name, url }: DoorSource, signal: AbortSignal): Promise<void> {
  const client = new pg.Client({ connectionString: url, application_name: 'trunkline-monitor' });
  // A regular end of the connection would wait for a server that may be frozen.
  const cut = () => destroyConnection(client);
  client.on('error', () => {});
  signal.addEventListener('abort', cut, { once: true });
  try {
    await client.connect();
    if (name === 'reads') await client.query('SELECT 1');
    else await write(client);
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener('abort', cut);
    cut();
  }
}

async function write(client: pg.Client): Promise<void> {
  try {
    await client.query(WRITE);
  } catch (error) {
    if ((error as { code?: string }).code !== UNDEFINED_TABLE) throw error;
    await client.query(MAKE);
    await client.query(WRITE);
  }
}
