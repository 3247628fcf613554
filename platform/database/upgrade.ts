/**
 * An upgrade: the schemas of all services, one after the other, and whether the version of the program before it can be gone
 * back to. What had run when it began is remembered, since that is asked most when it is over.
 */
import {
  breakingOf,
  type Migrations,
  marksUseOf,
  migrate,
  nameIn,
  namesIn,
  pendingInAll,
  pendingMigrations,
  type Queries,
} from './migrate.ts';
import { type Pool, withTransaction } from './pool.ts';

/**
 * What is remembered of a schema, in the comment of its table `migrations`: a table of its own would be one that back-ups and
 * erasures of the version before do not know.
 */
interface Remembered {
  /** What had run when the last upgrade began. */
  readonly before: readonly string[];
  readonly finished: boolean;
}

/** Held while it is settled what an upgrade begins with: of two programs that start at once, one begins it. */
const UPGRADE_LOCK = 74_020;

/** Brings schemas up to date, one after the other. @returns what ran now, as `calls/0001_calls` */
export async function migrateAll(pool: Pool, schemas: readonly Migrations[]): Promise<string[]> {
  await alone(pool, (db) => rememberBefore(db, schemas));
  const ran: string[] = [];
  for (const schema of schemas) ran.push(...(await migrate(pool, schema)).map(nameIn(schema)));
  await alone(pool, (db) => rememberEnd(db, schemas));
  return ran;
}

/**
 * Migrating a database that others use as well is the operator's decision, so only the embedded one is migrated unasked.
 * @returns the migrations that ran now
 * @throws Error when another database lacks some
 */
export async function bringUpToDate(
  pool: Pool,
  schemas: readonly Migrations[],
  postgres: { readonly embedded: boolean },
): Promise<string[]> {
  if (postgres.embedded) return migrateAll(pool, schemas);
  const pending = await pendingInAll(pool, schemas);
  if (pending.length > 0) {
    throw new Error(`DATABASE_URL: the database lacks ${pending.length} migrations; run: trunkline migrate`);
  }
  return [];
}

export interface WayBack {
  /** null: there is no version before, or it is not known which */
  readonly runsOn: boolean | null;
  /** What keeps it from running, as `calls/0023_less_breaking`: migrations, and marks of what is stored that it would misread. */
  readonly because: readonly string[];
}

/**
 * Whether the version of the program before can still run when all that is pending has run. Where nothing is, it is the version
 * before the last upgrade; where an upgrade was cut off, the one before that.
 */
export async function wayBack(pool: Queries, schemas: readonly Migrations[]): Promise<WayBack> {
  const because: string[] = [];
  let isKnown = false;
  const begins = await beginsUpgrade(pool, schemas);
  for (const migrations of schemas) {
    const ran = await namesIn(pool, migrations.schema);
    const before = begins ? ran : (await remembered(pool, migrations))?.before;
    // A schema that is new is none that the version before looks into.
    if (before === undefined || before.length === 0) continue;
    isKnown = true;
    const { runsWithLaterFrom: from, knowsMarksFrom } = migrations;
    const knowsMarks = knowsMarksFrom === undefined || before.includes(knowsMarksFrom);
    const added = [...ran, ...(await pendingMigrations(pool, migrations))].filter(
      (name) => !before.includes(knowsMarks ? (marksUseOf(name) ?? name) : name),
    );
    const refused = from !== undefined && !before.includes(from) ? added : breakingOf(added);
    because.push(...refused.map(nameIn(migrations)));
  }
  return { runsOn: isKnown ? because.length === 0 : null, because };
}

const alone = (pool: Pool, work: (db: Queries) => Promise<void>): Promise<void> =>
  withTransaction(pool, async ({ client }) => {
    await client.query('SELECT pg_advisory_xact_lock($1)', [UPGRADE_LOCK]);
    await work(client);
  });

/** Whether what is pending is an upgrade of its own, and not the rest of one that was cut off. */
async function beginsUpgrade(db: Queries, schemas: readonly Migrations[]): Promise<boolean> {
  for (const schema of schemas) if ((await remembered(db, schema))?.finished === false) return false;
  return (await pendingInAll(db, schemas)).length > 0;
}

async function rememberBefore(db: Queries, schemas: readonly Migrations[]): Promise<void> {
  if (!(await beginsUpgrade(db, schemas))) return;
  for (const { schema } of schemas) {
    const before = await namesIn(db, schema);
    if (before.length > 0) await remember(db, schema, { before, finished: false });
  }
}

async function rememberEnd(db: Queries, schemas: readonly Migrations[]): Promise<void> {
  for (const schema of schemas) {
    const found = await remembered(db, schema);
    if (found?.finished === false) await remember(db, schema.schema, { ...found, finished: true });
  }
}

async function remembered(db: Queries, { schema }: Migrations): Promise<Remembered | undefined> {
  const { rows } = await db.query<{ text: string | null }>(
    `SELECT obj_description(to_regclass($1), 'pg_class') AS text`,
    [`${schema}.migrations`],
  );
  try {
    const read = JSON.parse(rows[0]?.text ?? '') as Partial<Remembered>;
    return Array.isArray(read.before)
      ? { before: read.before, finished: read.finished !== false }
      : undefined;
  } catch {
    return undefined; // none, or somebody else's comment
  }
}

const remember = (db: Queries, schema: string, what: Remembered): Promise<unknown> =>
  // COMMENT takes no parameters. Names of migrations are names of files of the program, and of nobody else.
  db.query(`COMMENT ON TABLE ${schema}.migrations IS '${JSON.stringify(what).replaceAll("'", "''")}'`);
