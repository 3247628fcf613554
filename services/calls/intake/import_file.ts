/**
 * Imports one source: its rows flow through the format's reader into batches. While PostgreSQL stores one batch, the next
 * is being read. Memory holds three batches, whatever the size of the file.
 *
 * There is no place to resume from: a file is read again from its first row, and what is stored already is recognised.
 * That is what makes a killed import, a file that has grown and two overlapping files the same simple case.
 */
import type { Pool } from '#platform/database/pool.ts';
import type { Session } from '#platform/database/session.ts';
import { detectFormat } from '../formats/detect.ts';
import { FORMATS, type FormatName } from '../formats/formats.ts';
import { openSource, type SourceOptions, type Taken } from '../formats/reader.ts';
import type { Month } from '../partitions.ts';
import { finishImport, type NewAccounts } from '../store/intake.ts';
import { createAccountBook, pretendedAccounts, storedAccounts } from './account_book.ts';
import { type OpenBatch, openBatch } from './batch.ts';
import { I_CDR_MONTH } from './copy_text.ts';
import { wouldStore } from './dry_run.ts';
import type { Origin, RowOutcome } from './intake.ts';
import { openFileOrigin } from './origin.ts';
import { sideBySide } from './side_by_side.ts';
import type { OpenedSource } from './source_files.ts';
import { storeBatch } from './store_batch.ts';

export interface ImportOptions {
  /** undefined: told from the content. */
  readonly format: FormatName | undefined;
  /** undefined: the format's family. */
  readonly source: string | undefined;
  readonly read: SourceOptions;
  readonly newAccounts: Omit<NewAccounts, 'codes'> | null;
  /** The first month that retention keeps (partitions.ts); undefined: it keeps all. */
  readonly keptFrom?: Month | undefined;
}

export interface ImportCounts {
  read: number;
  stored: number;
  duplicates: number;
  setAside: number;
  /** Stored calls of months that retention removes next. */
  olderThanRetention: number;
  /** How many were set aside for what. */
  readonly reasons: Map<string, number>;
}

export interface ImportEvents {
  /** The format is known. `why` is a sentence for people. */
  onFormat(format: FormatName, why: string): void;
  /** After every batch that is stored; so they are at hand when the import breaks off later. */
  onProgress(counts: ImportCounts): void;
}

/** Rows a transaction. Large enough that its fixed cost vanishes, small enough that a kill loses little work. */
export const BATCH_ROWS = 15_000;
/** The same in bytes: a row of CSV has a few hundred, a mod_json_cdr document tens of thousands. */
const BATCH_BYTES = 16 * 1024 * 1024;
/**
 * Batches being stored at once, each on a connection of its own. While one waits for its usage's rows, or for the disk
 * at COMMIT, the other's calls go in. More would only wait for each other at the same accounts' days.
 */
const MAX_STORING = 2;

export const newCounts = (): ImportCounts => ({
  read: 0,
  stored: 0,
  duplicates: 0,
  setAside: 0,
  olderThanRetention: 0,
  reasons: new Map(),
});

/**
 * @param dry a session whose effects are undone (see `dryRun`): tells what would happen and stores nothing
 * @throws Error when the format can't be told, when the file can't be read on, or when the database fails; what was
 *   stored until then stays
 */
export async function importSource(
  pool: Pool,
  file: string,
  opened: OpenedSource,
  options: ImportOptions,
  events: ImportEvents,
  dry?: Session,
): Promise<ImportCounts> {
  const counts = newCounts();
  if (opened.head.length === 0) return counts;
  const format = chooseFormat(opened.head, options.format, events);
  const reader = openSource(format, options.read);
  const origin = await openOrigin(pool, file, format, options, dry);

  const { newAccounts } = origin;
  const book = createAccountBook(
    dry ? pretendedAccounts(dry, newAccounts) : storedAccounts(pool, newAccounts),
  );

  const firstKept = (options.keptFrom ?? 0) * I_CDR_MONTH;
  const inFlight = new Set<ReadonlySet<string>>();
  const storing = sideBySide(MAX_STORING);
  const store = (batch: OpenBatch): Promise<void> =>
    storing.start(async () => {
      inFlight.add(batch.keys);
      if (dry) await wouldStore(dry, origin, batch);
      else await storeBatch(pool, origin, batch, reader.columns);
      inFlight.delete(batch.keys);
      count(counts, batch.outcomes as RowOutcome[], firstKept);
      batch.empty();
      emptied.push(batch);
      events.onProgress(counts);
    });

  const emptied: OpenBatch[] = [];
  const nextBatch = () => emptied.pop() ?? openBatch(origin, BATCH_ROWS, inFlight);
  let batch = nextBatch();
  const add = async (rows: readonly Taken[]): Promise<void> => {
    for (let from = 0; from < rows.length; ) {
      const fitting = rows.slice(from, from + BATCH_ROWS - batch.rows);
      batch.add(fitting, await book.of(fitting), Date.now());
      from += fitting.length;
      if (batch.rows < BATCH_ROWS && batch.rowBytes < BATCH_BYTES) continue;
      await store(batch);
      batch = nextBatch();
      book.renew();
    }
  };
  try {
    for await (const chunk of opened.chunks) await add(reader.push(chunk));
    await add(reader.end());
  } finally {
    if (batch.rows > 0) await store(batch);
    await storing.end();
  }
  if (!dry) await pool.query(finishImport(origin.iImport).sql, [origin.iImport]);
  return counts;
}

function chooseFormat(head: Buffer, given: FormatName | undefined, events: ImportEvents): FormatName {
  if (given) {
    events.onFormat(given, 'as told');
    return given;
  }
  const detected = detectFormat(head);
  if (detected.format === null) throw new Error(detected.why);
  events.onFormat(detected.format, detected.why);
  return detected.format;
}

function openOrigin(
  pool: Pool,
  file: string,
  format: FormatName,
  options: ImportOptions,
  dry: Session | undefined,
): Promise<Origin> {
  const source = options.source ?? options.read.mapping?.name ?? FORMATS[format].source;
  const { newAccounts } = options;
  if (dry) return Promise.resolve({ iImport: 0, source, file, newAccounts, hasRejected: false });
  return openFileOrigin(pool, {
    file,
    format,
    source,
    readOptions: readOptionsToKeep(options.read),
    newAccounts,
  });
}

/** A regular expression has no JSON form; its text has. */
function readOptionsToKeep(read: SourceOptions): object {
  return { ...read, inboundContexts: read.inboundContexts?.source };
}

/** @param firstKept an i_cdr: calls of lower ones are older than retention keeps */
function count(counts: ImportCounts, outcomes: readonly RowOutcome[], firstKept: number): void {
  counts.read += outcomes.length;
  for (const outcome of outcomes) {
    if (outcome.kind === 'stored') {
      counts.stored++;
      if (outcome.iCdr < firstKept) counts.olderThanRetention++;
    } else if (outcome.kind === 'duplicate') counts.duplicates++;
    else {
      counts.setAside++;
      counts.reasons.set(outcome.rejection.code, (counts.reasons.get(outcome.rejection.code) ?? 0) + 1);
    }
  }
}
