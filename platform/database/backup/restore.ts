/**
 * Restores a back-up in one transaction: the schema by the migrations that had run when it was made, the rows by COPY, the
 * sums compared, and only then does it count. Cut off at any moment, the database is what it was before.
 */
import { pipeline } from 'node:stream/promises';
import { sql } from 'kysely';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { RESTORED } from '../audit.ts';
import {
  availableMigrations,
  type MigrateTo,
  type Migrations,
  ranMigrations,
  transactionWithMigrations,
} from '../migrate.ts';
import { type Pool, withSession } from '../pool.ts';
import type { Session } from '../session.ts';
import { sqlBuilder } from '../statement.ts';
import { inOrderOfNeed, listTables, setSequence } from './catalogue.ts';
import { BackupFileError } from './chunks.ts';
import { compareLines, type Differences, linesOf, noteDifference } from './compare.ts';
import { type Frame, frameJson, type OpenedBackup } from './frames.ts';
import {
  type BackedUpService,
  type EndFrame,
  PLAIN_TEXT_SETTINGS,
  type SequencesFrame,
  type TableFrame,
} from './take.ts';

const build = sqlBuilder<unknown>();

export interface RestoreOptions {
  readonly secret: Buffer | undefined;
  /** What is in the database is thrown away for it. */
  readonly replace: boolean;
  readonly progress: RestoreProgress;
  readonly signal?: AbortSignal;
  /** Work within the transaction, once all is in and the same. */
  readonly atEnd?: (session: Session, compared: Compared) => Promise<void>;
}

/** How far it is. */
export interface RestoreProgress {
  table: string;
  rows: number;
  /** Of the file. */
  bytes: number;
}

export interface Compared {
  readonly tables: number;
  readonly rows: number;
  /** Sums that were compared. */
  readonly sums: number;
  readonly differences: Differences;
}

/** A database that would lose what it holds. */
export class NotEmptyError extends Error {
  override name = 'NotEmptyError';
}

/** The restored tables do not give the sums that the back-up has. */
export class SumsDifferError extends Error {
  override name = 'SumsDifferError';
  readonly differences: Differences;
  constructor(differences: Differences) {
    super(`${differences.count} sums are not those of the back-up; nothing was restored`);
    this.differences = differences;
  }
}

/** Held to the end, so that of two restores one waits and then finds what the other left. */
const RESTORE_LOCK = 74_010;
/** How long it waits for tables that somebody uses. */
const LOCK_TIMEOUT_MS = 10_000;
const LOCK_NOT_AVAILABLE = '55P03';
/** Of range partitions, as PostgreSQL writes their bounds: nothing else of the file becomes part of a statement. */
export const BOUNDS = /^FOR VALUES FROM \('[^'\\]*'\) TO \('[^'\\]*'\)$/;
/** Tables of Kysely, which the migrations fill. */
const MIGRATORS = ['migrations', 'migrations_lock'];

/**
 * @throws NotEmptyError, BackupFileError, SumsDifferError; nothing is changed then
 */
export function restoreBackup(
  pool: Pool,
  services: readonly BackedUpService[],
  backup: OpenedBackup,
  options: RestoreOptions,
): Promise<Compared> {
  const restore = (session: Session) =>
    transactionWithMigrations(session, async (migrateTo) => {
      for (const setting of PLAIN_TEXT_SETTINGS) await session.client.query(setting);
      await session.client.query(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`);
      await session.client.query("SET LOCAL maintenance_work_mem = '256MB'");
      await session.client.query('SELECT pg_advisory_xact_lock($1)', [RESTORE_LOCK]);
      const { program, schemas } = backup.header;
      const wanted = schemas.map(({ schema, migrations }) => {
        return { own: serviceOf(services, schema).migrations, ran: migrations };
      });
      for (const { own, ran } of wanted) await requireKnown(own, ran, program);
      if (!options.replace) for (const { own } of wanted) await requireEmpty(session, own);
      for (const { own, ran } of wanted) await makeSchema(session, own, ran, migrateTo);
      const frames = backup.frames(options.secret, (count) => {
        options.progress.bytes += count;
      });
      const compared = await readFrames(session, services, frames, options.progress, loading(session));
      if (compared.differences.count > 0) throw new SumsDifferError(compared.differences);
      for (const { migrations, afterRestore } of services)
        if (afterRestore && (await ranMigrations(session.client, migrations)).length > 0)
          await session.run(afterRestore());
      await options.atEnd?.(session, compared);
      return compared;
    });
  return withSession(pool, restore, { signal: options.signal });
}

/** Compares a database with a back-up, and changes nothing. @throws BackupFileError where the file is not whole */
export function verifyBackup(
  pool: Pool,
  services: readonly BackedUpService[],
  backup: OpenedBackup,
  options: Omit<RestoreOptions, 'replace' | 'atEnd'>,
): Promise<Compared> {
  const verify = async (session: Session) => {
    await session.client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    try {
      for (const setting of PLAIN_TEXT_SETTINGS) await session.client.query(setting);
      const frames = backup.frames(options.secret, (count) => {
        options.progress.bytes += count;
      });
      return await readFrames(
        session,
        services,
        frames,
        options.progress,
        counting(session, services, backup.header.made_at),
      );
    } finally {
      await session.client.query('ROLLBACK');
    }
  };
  return withSession(pool, verify, { signal: options.signal });
}

/** Statistics for the planner, which do not come with the rows. */
export async function analyseRestored(pool: Pool, services: readonly BackedUpService[]): Promise<void> {
  await withSession(pool, async (session) => {
    for (const { migrations } of services) {
      const { schema } = migrations;
      const rows = await session.rows(listTables(schema));
      const names = new Set(rows.map(({ name, parent }) => parent ?? name));
      for (const name of names) await session.run(sql`ANALYZE ${sql.id(schema, name)}`.compile(build));
    }
  });
}

function serviceOf(services: readonly BackedUpService[], schema: string): BackedUpService {
  const service = services.find(({ migrations }) => migrations.schema === schema);
  if (service) return service;
  throw new BackupFileError(`the back-up holds the schema ${schema}, which this program has no service for`);
}

/** @param ran the migrations that had run when the back-up was made, by the program of this version */
async function requireKnown(own: Migrations, ran: readonly string[], program: string): Promise<void> {
  const there = new Set(await availableMigrations(own));
  const unknown = ran.filter((name) => !there.has(name));
  if (unknown.length === 0) return;
  throw new BackupFileError(
    `the back-up was made by trunkline ${program}, with migrations that this version does not have (${unknown.join(', ')}): restore it by that version or a later one`,
  );
}

/** Tables of a schema that hold rows. */
async function filledTables(session: Session, { schema }: Migrations): Promise<string[]> {
  const filled: string[] = [];
  for (const { name } of await session.rows(listTables(schema))) {
    if (MIGRATORS.includes(name)) continue;
    const found = await session.row(
      sql<{ any: boolean }>`SELECT EXISTS (SELECT 1 FROM ${sql.id(schema, name)}) AS any`.compile(build),
    );
    if (found?.any) filled.push(`${schema}.${name}`);
  }
  return filled;
}

/** Whether a restore throws rows away. */
export async function holdsRows(session: Session, services: readonly BackedUpService[]): Promise<boolean> {
  for (const { migrations } of services)
    if ((await filledTables(session, migrations)).length > 0) return true;
  return false;
}

async function requireEmpty(session: Session, own: Migrations): Promise<void> {
  const filled = await filledTables(session, own);
  if (filled.length === 0) return;
  const names =
    filled.length > 4 ? `${filled.slice(0, 4).join(', ')} and ${filled.length - 4} more` : filled.join(', ');
  throw new NotEmptyError(`the database is not empty: there are rows in ${names}`);
}

/** The tables as they were when the back-up was made, empty. */
async function makeSchema(
  session: Session,
  own: Migrations,
  ran: readonly string[],
  migrateTo: MigrateTo,
): Promise<void> {
  const { schema } = own;
  try {
    await session.run(sql`DROP SCHEMA IF EXISTS ${sql.id(schema)} CASCADE`.compile(build));
  } catch (error) {
    if ((error as { code?: string }).code !== LOCK_NOT_AVAILABLE) throw error;
    throw new Error('tables of the database are in use: stop the services, then restore', { cause: error });
  }
  await migrateTo(own, ran.at(-1)!);
  const now = await ranMigrations(session.client, own);
  if (now.join() !== ran.join())
    throw new BackupFileError(
      `the back-up has other migrations before its last than this program: ${ran.join(', ')}`,
    );
  // What the migrations have put in. Not by TRUNCATE, which a table may refuse that is only added to.
  for (const { name } of inOrderOfNeed(await session.rows(listTables(schema))).reverse())
    await session.run(sql`DELETE FROM ${sql.id(schema, name)}`.compile(build));
}

/** What becomes of what a back-up holds. */
interface Reader {
  /** @returns how many rows of the table there are in the database then; undefined: they are not compared */
  table(table: TableFrame, bytes: AsyncIterable<Buffer>): Promise<number | undefined>;
  sequences(frame: SequencesFrame): Promise<void>;
}

function loading(session: Session): Reader {
  return {
    table: async (table, bytes) => {
      const { schema, name, parent, bounds } = table;
      const there = await session.rows(listTables(schema));
      const isNew = parent !== null && !there.some((one) => one.name === name);
      // Without its indexes, which are made faster once it is full: attaching it makes those that its parent has.
      if (isNew)
        await session.run(
          sql`CREATE TABLE ${sql.id(schema, name)} (LIKE ${sql.id(schema, parent)}
                INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE)`.compile(
            build,
          ),
        );
      // Rows that came before may have marked their use there (migrate.ts); the back-up has these marks as well.
      if (name === MIGRATORS[0]) await session.run(sql`DELETE FROM ${sql.id(schema, name)}`.compile(build));
      const columns = table.columns.map((column) => sql.id(column));
      const { sql: target } = sql`${sql.id(schema, name)} (${sql.join(columns)})`.compile(build);
      const into = session.client.query(copyFrom(`COPY ${target} FROM STDIN (FREEZE)`));
      await pipeline(bytes, into);
      if (isNew) {
        if (!BOUNDS.test(bounds ?? '')) throw new BackupFileError(`the bounds of ${name} can not be read`);
        await session.run(
          sql`ALTER TABLE ${sql.id(schema, parent)} ATTACH PARTITION ${sql.id(schema, name)} ${sql.raw(bounds!)}`.compile(
            build,
          ),
        );
      }
      return into.rowCount;
    },
    sequences: async ({ schema, sequences }) => {
      for (const sequence of sequences) await session.run(setSequence(schema, sequence));
    },
  };
}

/** @param madeAt of the back-up: what was noted of restoring it can't stand in it */
function counting(session: Session, services: readonly BackedUpService[], madeAt: string): Reader {
  return {
    table: async ({ schema, name }, bytes) => {
      // To the last one: so the file is known to be whole.
      for await (const _ of bytes);
      if (serviceOf(services, schema).comesAndGoes) return undefined;
      // What was restored from a version before has run more migrations since.
      if (MIGRATORS.includes(name)) return undefined;
      const is = sql<{
        oid: number | null;
      }>`SELECT to_regclass(format('%I.%I', ${schema}::text, ${name}::text))::oid AS oid`;
      if (!(await session.row(is.compile(build)))?.oid) return 0;
      const others =
        name === 'audit' ? sql`WHERE NOT (action = ${RESTORED} AND detail->>'made_at' = ${madeAt})` : sql``;
      const count = sql<{ rows: number }>`SELECT count(*) AS rows FROM ${sql.id(schema, name)} ${others}`;
      return (await session.row(count.compile(build)))!.rows;
    },
    sequences: async () => undefined,
  };
}

/** Reads a back-up to its end. */
async function readFrames(
  session: Session,
  services: readonly BackedUpService[],
  frames: AsyncGenerator<Frame>,
  progress: RestoreProgress,
  reader: Reader,
): Promise<Compared> {
  const differences: Differences = { first: [], count: 0 };
  let [tables, rows, sums] = [0, 0, 0];
  const next = async (): Promise<Frame> => {
    const { done, value } = await frames.next();
    if (done) throw new BackupFileError('the back-up is not whole: it has no end');
    return value;
  };
  let after: Frame | undefined;
  async function* body(): AsyncGenerator<Buffer> {
    for (after = await next(); after.kind === 'D'; after = await next()) yield after.body;
  }
  try {
    for (;;) {
      const frame = await next();
      if (frame.kind === 'T') {
        const table = frameJson<TableFrame>(frame);
        const name = `${table.schema}.${table.name}`;
        progress.table = name;
        const found = await reader.table(table, body());
        const { rows: told } = frameJson<{ rows: number }>(expect(after, 't'));
        if (found !== undefined && found !== told)
          noteDifference(differences, {
            what: 'rows',
            key: name,
            backup: String(told),
            database: String(found),
          });
        [tables, rows] = [tables + 1, rows + told];
        progress.rows = rows;
      } else if (frame.kind === 'S') {
        const { schema, name } = frameJson<{ schema: string; name: string }>(frame);
        progress.table = name;
        const own = serviceOf(services, schema).sums.find((one) => one.name === name);
        if (!own) throw new BackupFileError(`this program does not know the sums "${name}" of the back-up`);
        const stream = session.client.query(copyTo(`COPY (${own.sql}) TO STDOUT`)) as AsyncIterable<Buffer>;
        sums += await compareLines(name, linesOf(body()), linesOf(stream), differences);
        expect(after, 's');
      } else if (frame.kind === 'Q') await reader.sequences(frameJson<SequencesFrame>(frame));
      else if (expect(frame, 'Z')) {
        const end = frameJson<EndFrame>(frame);
        if (end.tables !== tables || end.rows !== rows)
          throw new BackupFileError('the back-up is not whole: it holds other tables than its end says');
        if (!(await frames.next()).done) throw new BackupFileError('the back-up goes on after its end');
        return { tables, rows, sums, differences };
      }
    }
  } finally {
    await frames.return(undefined);
  }
}

function expect(frame: Frame | undefined, kind: Frame['kind']): Frame {
  if (frame?.kind === kind) return frame;
  throw new BackupFileError(`the back-up is damaged: there is "${frame?.kind}" where "${kind}" must be`);
}
