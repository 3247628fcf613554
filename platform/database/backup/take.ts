/**
 * Takes a back-up: every table of the services' schemas by COPY, in one transaction that sees one moment. It works through
 * any way to PostgreSQL, PgBouncer as well; a chunk is in memory at a time.
 */
import { sql } from 'kysely';
import { to as copyTo } from 'pg-copy-streams';
import { type Migrations, ranMigrations } from '../migrate.ts';
import { type Pool, withSession } from '../pool.ts';
import type { Session } from '../session.ts';
import { type Statement, sqlBuilder } from '../statement.ts';
import {
  type CatalogueSequence,
  type CatalogueTable,
  inOrderOfNeed,
  listSequences,
  listTables,
  sequenceState,
} from './catalogue.ts';
import { type BackupHeader, encodeBackup, type Frame, jsonFrame, MOST_FRAME_BYTES } from './frames.ts';

const build = sqlBuilder<unknown>();

/**
 * Sums over a service's tables, which must be the same after a restore. A line of them is a key of ASCII, a tab and what
 * was summed; the statement gives them in the key's order, byte by byte.
 */
export interface Sums {
  /** What is summed, for people. */
  readonly name: string;
  /** What the columns after the key are. */
  readonly columns: readonly string[];
  readonly sql: string;
}

/** A service as a back-up sees it. */
export interface BackedUpService {
  readonly migrations: Migrations;
  readonly sums: readonly Sums[];
  /** Its rows come and go by themselves: whoever compares the database with a back-up leaves them out. */
  readonly comesAndGoes?: true;
  /** Runs once a back-up is restored, in the restore's transaction, whether the back-up holds this schema or not. */
  readonly afterRestore?: () => Statement<unknown>;
}

/** What `T` holds. */
export type TableFrame = Omit<CatalogueTable, 'pages'>;
/** What `Q` holds: a schema's sequences. */
export interface SequencesFrame {
  readonly schema: string;
  readonly sequences: readonly CatalogueSequence[];
}
export interface EndFrame {
  readonly tables: number;
  readonly rows: number;
}

/** How far a back-up is. */
export interface TakeProgress {
  table: string;
  rows: number;
  /** Of all tables, by their pages on disk; from 0 to 1. */
  share: number;
}

export interface Taken extends EndFrame {
  readonly madeAt: string;
  readonly bytes: number;
}

export interface TakeOptions {
  /** The program's version. */
  readonly program: string;
  readonly secret: Buffer | undefined;
  readonly progress: TakeProgress;
  readonly signal?: AbortSignal;
}

/** How often the tables are listed anew because one went before it was held. */
const LIST_TRIES = 5;
const UNDEFINED_TABLE = '42P01';
const LINE_END = 0x0a;
/** A migration that holds a table is through by then. */
const LOCK_TIMEOUT_MS = 30_000;

/** What COPY writes must not depend on the server's or the role's settings. */
export const PLAIN_TEXT_SETTINGS = [
  "SET LOCAL timezone = 'UTC'",
  "SET LOCAL datestyle = 'ISO, YMD'",
  "SET LOCAL intervalstyle = 'postgres'",
  "SET LOCAL bytea_output = 'hex'",
  'SET LOCAL extra_float_digits = 3',
  "SET LOCAL client_encoding = 'UTF8'",
  'SET LOCAL statement_timeout = 0',
  'SET LOCAL idle_in_transaction_session_timeout = 0',
];

/**
 * @param write gets all bytes of the back-up; where it throws, the back-up ends
 * @throws Error when a service's tables are not there
 */
export async function takeBackup(
  pool: Pool,
  services: readonly BackedUpService[],
  options: TakeOptions,
  write: (bytes: AsyncIterable<Buffer>) => Promise<number>,
): Promise<Taken> {
  const take = async (session: Session) => {
    const tables = await holdTables(session, services);
    // Where this fails in the middle of COPY, withSession ends the connection.
    const about = await describe(session, services, options.program);
    const end = { tables: tables.length, rows: 0 };
    const frames = framesOf(session, services, tables, options.progress, end);
    const bytes = await write(encodeBackup(about, frames, options.secret));
    await session.client.query('COMMIT');
    return { ...end, bytes, madeAt: about.made_at };
  };
  return withSession(pool, take, { signal: options.signal });
}

/**
 * Begins the transaction whose snapshot is the back-up's, with every table held against being dropped or rewritten.
 * Readers, writers, new months and indexes go on beside it.
 */
async function holdTables(
  session: Session,
  services: readonly BackedUpService[],
): Promise<readonly CatalogueTable[]> {
  const list = async () => {
    const found: CatalogueTable[] = [];
    for (const { migrations } of services)
      found.push(...inOrderOfNeed(await session.rows(listTables(migrations.schema))));
    return found;
  };
  const nameOf = ({ schema, name }: CatalogueTable) => `${schema}.${name}`;
  for (let tries = LIST_TRIES; ; tries--) {
    const before = await list();
    await session.client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    try {
      for (const setting of PLAIN_TEXT_SETTINGS) await session.client.query(setting);
      await session.client.query(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`);
      for (const { schema, name } of before)
        await session.run(sql`LOCK TABLE ${sql.id(schema, name)} IN ACCESS SHARE MODE`.compile(build));
      // The first statement that reads: the snapshot is of this moment.
      const held = new Set(before.map(nameOf));
      const now = await list();
      if (now.every((table) => held.has(nameOf(table)))) return now;
    } catch (error) {
      const { code } = error as { code?: string };
      if (code !== UNDEFINED_TABLE || tries === 1) throw error;
    }
    await session.client.query('ROLLBACK');
    if (tries === 1) throw new Error('tables come and go while they are listed; try again');
  }
}

async function describe(
  session: Session,
  services: readonly BackedUpService[],
  program: string,
): Promise<Pick<BackupHeader, 'program' | 'postgres' | 'made_at' | 'schemas'>> {
  const now = await session.row(
    sql<{ at: string; postgres: string }>`
      SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS at,
             current_setting('server_version') AS postgres`.compile(build),
  );
  const schemas = [];
  for (const { migrations } of services) {
    const ran = await ranMigrations(session.client, migrations);
    // The tables are of a version that has no such schema.
    if (ran.length === 0) continue;
    schemas.push({ schema: migrations.schema, migrations: ran });
  }
  return { program, postgres: now!.postgres, made_at: now!.at, schemas };
}

async function* framesOf(
  session: Session,
  services: readonly BackedUpService[],
  tables: readonly CatalogueTable[],
  progress: TakeProgress,
  end: { rows: number },
): AsyncGenerator<Frame> {
  const pages = tables.reduce((sum, table) => sum + table.pages, 0) || 1;
  let pagesDone = 0;
  for (const { pages: own, ...table } of tables) {
    progress.table = `${table.schema}.${table.name}`;
    yield jsonFrame('T', table satisfies TableFrame);
    const columns = table.columns.map((column) => sql.id(column));
    const { sql: name } = sql`${sql.id(table.schema, table.name)} (${sql.join(columns)})`.compile(build);
    const rows = yield* copyOut(session, `COPY ${name} TO STDOUT`, progress);
    yield jsonFrame('t', { rows });
    pagesDone += own;
    end.rows += rows;
    progress.share = pagesDone / pages;
  }
  for (const { migrations, sums } of services) {
    for (const { name, sql: statement } of sums) {
      progress.table = name;
      yield jsonFrame('S', { schema: migrations.schema, name });
      yield* copyOut(session, `COPY (${statement}) TO STDOUT`);
      yield jsonFrame('s', {});
    }
    const sequences = [];
    for (const { name } of await session.rows(listSequences(migrations.schema)))
      sequences.push((await session.row(sequenceState(migrations.schema, name)))!);
    yield jsonFrame('Q', { schema: migrations.schema, sequences } satisfies SequencesFrame);
  }
  yield jsonFrame('Z', { tables: tables.length, rows: end.rows } satisfies EndFrame);
}

/** @returns how many rows there were */
async function* copyOut(
  session: Session,
  statement: string,
  progress?: TakeProgress,
): AsyncGenerator<Frame, number> {
  let rows = 0;
  const before = progress?.rows ?? 0;
  for await (const bytes of session.client.query(copyTo(statement)) as AsyncIterable<Buffer>) {
    for (let at = 0; at < bytes.length; at += MOST_FRAME_BYTES)
      yield { kind: 'D', body: bytes.subarray(at, at + MOST_FRAME_BYTES) };
    // A line end that belongs to a value is written as two other characters.
    for (let at = bytes.indexOf(LINE_END); at >= 0; at = bytes.indexOf(LINE_END, at + 1)) rows++;
    if (progress) progress.rows = before + rows;
  }
  return rows;
}
