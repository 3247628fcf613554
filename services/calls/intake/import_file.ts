/**
 * Imports files: their rows flow through the format's reader into batches. While PostgreSQL stores one batch, the next
 * is read. Memory holds three batches, whatever the size of a file.
 *
 * There is no place to resume from: a file is read again from its first row, and stored rows are recognised. So a killed
 * import, a file that has grown and two overlapping files are the same simple case. Only the last row of a file, which
 * may have been cut, needs more (provisional.ts). A followed file (follow/) keeps a place in order to read less; it relies
 * on the same recognition.
 */
import { type Pool, withSession } from '#platform/database/pool.ts';
import type { Session } from '#platform/database/session.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { chooseFormat } from '../formats/detect.ts';
import { FORMATS, type FormatName } from '../formats/formats.ts';
import { openSource } from '../formats/reader.ts';
import { type Resume, resumedReader } from '../formats/resumed_reader.ts';
import type { ParsedRow, SourceOptions, SourceReader } from '../formats/source_reader.ts';
import { I_CDR_MONTH } from '../i_cdr.ts';
import type { Month } from '../months.ts';
import { finishImport, importedMeanwhile, type NewAccounts } from '../store/intake.ts';
import { type AccountCache, createAccountCache, pretendedAccounts, storedAccounts } from './account_cache.ts';
import { type BatchInFlight, type OpenBatch, openBatch } from './batch.ts';
import { type DryRun, wouldStore } from './dry_run.ts';
import { countOutcomes, type ImportCounts, newCounts } from './import_counts.ts';
import { holdImports } from './import_hold.ts';
import type { ImportSource } from './import_source.ts';
import { type KeptOptions, openDrySource, openFileSource, type SameCallOptions } from './import_source.ts';
import { type EarlierEnds, earlierEnds, watchGrowth } from './provisional.ts';
import type { RowOutcome, RowsOf } from './rows.ts';
import { sideBySide } from './side_by_side.ts';
import type { OpenedSource } from './source_files.ts';
import { storeBatch } from './store_batch.ts';

export interface ImportOptions {
  /** Undefined: detected from the content. */
  readonly format: FormatName | undefined;
  /** Undefined: the format's family. */
  readonly source: string | undefined;
  readonly read: SourceOptions;
  readonly newAccounts: Omit<NewAccounts, 'codes'> | null;
  /** Writes more in the transaction of each batch. With it batches are stored one after the other. */
  readonly also?: ((session: Session, reached: Reached) => Promise<void>) | undefined;
  /** The source's chunks begin here, not at its first byte. The format must then be given. */
  readonly resume?: Resume | undefined;
  /** The first month that retention keeps (partitions.ts). Undefined: it keeps all. */
  readonly keptFrom?: Month | undefined;
  /** Undefined: the default. */
  readonly sameCall?: SameCallOptions | undefined;
  /** Awaited before each chunk is read (room.ts). Earlier rows are stored, even where it rejects. */
  readonly waitForRoom?: (() => Promise<void>) | undefined;
}

/** How far a source is stored after a batch. */
export interface Reached {
  /**
   * In the source, unpacked: everything before it is stored, and a row (or a blank line) begins there. A row without its
   * end stands behind it.
   */
  readonly offset: number;
  /** The header in force there. Null where there is none. */
  readonly columns: readonly string[] | null;
  /** Where the first row begins: behind the header. */
  readonly firstRow: number;
  /** Rows of the batch. */
  readonly rows: number;
  /** The number of files of a folder that are stored to their end, or could not be read. */
  readonly files: number;
}

export interface ImportEvents {
  /** Called when the format is known. `why` is a sentence for people. */
  onFormat(format: FormatName, why: string): void;
  /** Called after every stored batch, so that the counts are available when the import breaks off later. */
  onProgress(counts: ImportCounts): void;
  /**
   * Called when another import stored rows of the source meanwhile. If one of the two read the file before it grew, a cut
   * row stands beside the whole one, until the file is read again.
   * @param ifGrown only where the file has grown since it was read
   */
  onMetOthers?(ifGrown: boolean): void;
}

export interface FolderEvents extends ImportEvents {
  /** Called when a file can't be read, or not to its end. */
  onFailure(file: string, error: unknown): void;
}

/** The largest row that is kept has 64 KiB, the largest document 1 MiB. */
const MAX_WITHOUT_ROW_BYTES = 256 * 1024 * 1024;
const NOTHING_ENDS =
  'in 256 MiB no row has come to an end: the file holds no calls, or its line ends are missing; reading stopped';
/** Rows in a transaction. Large enough that its fixed cost vanishes, small enough that a kill loses little work. */
export const BATCH_ROWS = 15_000;
/** The same in bytes: a row of CSV has a few hundred, a mod_json_cdr document tens of thousands. */
const BATCH_BYTES = 16 * 1024 * 1024;
/**
 * Batches that are stored at once, each on a connection of its own. While one waits for its usage's rows, or for the disk
 * at COMMIT, the other's calls are written. More batches would only wait for each other at the same accounts' days.
 */
const MAX_STORING = 2;

/** One import, of a file or of many files of a folder. */
interface ImportRun {
  readonly counts: ImportCounts;
  /** Whether storing has failed: then no more rows can be read either. */
  readonly hasFailed: boolean;
  /** A file was read to its end, or can't be read. */
  nextFile(): void;
  /** @throws Error when the format can't be detected, the file can't be read on, or storing has failed */
  read(file: string, opened: OpenedSource): Promise<void>;
  /** Stores the rows so far, also before a failure. @throws the error of storing */
  store(): Promise<void>;
  /** Everything is stored. */
  finish(): Promise<void>;
  /** It does not go on, finished or not. */
  leave(): Promise<void>;
  /** The outcome of another import of the last file, which began with the same bytes. */
  metOthers(begin: Buffer): Promise<'nothing' | 'an earlier end' | 'perhaps more'>;
}

/** Rows of one format on their way: the format decides how their import source is recorded. */
interface Line {
  readonly importSource: ImportSource;
  readonly cache: AccountCache;
  readonly ends: EarlierEnds;
  readonly inFlight: Set<BatchInFlight>;
  readonly emptied: OpenBatch[];
  batch: OpenBatch;
}

function openImport(
  pool: Pool,
  name: string,
  options: ImportOptions,
  events: ImportEvents,
  dry: DryRun | undefined,
): ImportRun {
  const counts = newCounts();
  const firstKept = (options.keptFrom ?? 0) * I_CDR_MONTH;
  const lines = new Map<FormatName, Line>();
  const { also } = options;
  const storing = sideBySide(also || dry ? 1 : MAX_STORING);
  const hold = holdImports(pool, systemClock);
  let hasFailed = false;
  /** In the present file: everything before it is in batches. */
  let reached = 0;
  let columns: readonly string[] | null = null;
  let firstRow = -1;
  let files = 0;
  /** Of the last file. */
  let ended: { readonly line: Line; readonly bytes: number; readonly mayGoOn: boolean } | undefined;

  async function lineOf(format: FormatName): Promise<Line> {
    const there = lines.get(format);
    if (there) return there;
    const importSource = await openImportSource(pool, name, format, options, dry);
    const { newAccounts, source } = importSource;
    const inFlight = new Set<BatchInFlight>();
    const line: Line = {
      importSource,
      cache: createAccountCache(
        dry ? pretendedAccounts(dry.session, newAccounts) : storedAccounts(pool, newAccounts),
        importSource.account,
      ),
      ends: await earlierEnds(pool, source),
      inFlight,
      emptied: [],
      batch: openBatch(importSource, BATCH_ROWS, inFlight),
    };
    lines.set(format, line);
    if (!dry) hold.add(importSource.iImport);
    return line;
  }

  async function orFail<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      hasFailed = true;
      throw error;
    }
  }

  async function store(line: Line): Promise<void> {
    const { batch, importSource, inFlight, emptied } = line;
    const to: Reached = { offset: reached, columns, firstRow, rows: batch.rows, files };
    await storing.start(async () => {
      const { promise: stored, resolve: isStored } = Promise.withResolvers<void>();
      const flight: BatchInFlight = { callIds: batch.callIds, stored };
      inFlight.add(flight);
      try {
        if (dry) await wouldStore(dry, importSource, batch);
        else await storeBatch(pool, importSource, batch, { also: also && ((session) => also(session, to)) });
      } finally {
        inFlight.delete(flight);
        isStored();
      }
      countOutcomes(counts, batch.outcomes as RowOutcome[], firstKept);
      batch.empty();
      emptied.push(batch);
      events.onProgress(counts);
    });
    line.batch = emptied.pop() ?? openBatch(importSource, BATCH_ROWS, inFlight);
    line.cache.renew();
  }

  async function storeAll(): Promise<void> {
    for (const line of lines.values())
      if (line.batch.rows + line.batch.replacements.length > 0) await store(line);
    await storing.end();
  }

  async function add(line: Line, rows: readonly ParsedRow[], of: RowsOf, behind: number): Promise<void> {
    columns = of.columns;
    if (firstRow === -1 && rows.length > 0) firstRow = rows[0]!.row.offset;
    for (let from = 0; from < rows.length; ) {
      const { batch, cache } = line;
      const fitting = rows.slice(from, from + BATCH_ROWS - batch.rows);
      batch.add(fitting, await cache.of(fitting), Date.now(), of);
      from += fitting.length;
      reached = Math.min(behind, rows[from]?.row.offset ?? behind);
      if (batch.rows >= BATCH_ROWS || batch.rowBytes >= BATCH_BYTES) await store(line);
    }
  }

  return {
    counts,
    get hasFailed() {
      return hasFailed;
    },
    nextFile() {
      files++;
    },
    async read(file, opened) {
      reached = 0;
      firstRow = -1;
      if (opened.head.length === 0) return;
      const { format, why } = chooseFormat(opened.head, options.format);
      events.onFormat(format, why);
      const reader = openReader(format, options);
      const line = await orFail(lineOf(format));
      const growth = watchGrowth(line.ends, opened.head, options.resume);
      let withoutRow = 0;
      for await (const chunk of opened.chunks) {
        if (opened.mayBeEndless && withoutRow > MAX_WITHOUT_ROW_BYTES) throw new Error(NOTHING_ENDS);
        withoutRow += chunk.length;
        if (options.waitForRoom) await orFail(options.waitForRoom());
        if (chunk.length === 0) await orFail(storeAll());
        for (const piece of growth.pieces(chunk)) {
          const rows = reader.push(piece);
          if (rows.length > 0) withoutRow = 0;
          for (const replacement of growth.replacedBy(rows)) line.batch.replace(replacement);
          await orFail(add(line, rows, { file, columns: reader.columns }, reader.offset));
        }
      }
      const behind = reader.offset;
      const rows = reader.end(opened.isStream);
      for (const replacement of growth.endedWith(rows)) line.batch.replace(replacement);
      const end = rows.length > 0 && !opened.isStream ? growth.end() : undefined;
      await orFail(add(line, rows, { file, columns: reader.columns, end }, behind));
      ended = { line, bytes: growth.end()?.bytes ?? 0, mayGoOn: end !== undefined };
    },
    store: storeAll,
    async finish() {
      for (const { importSource, cache } of lines.values()) {
        counts.alikeCodes.push(...(await cache.alikeCodes()));
        if (!dry) await pool.query(finishImport(importSource.iImport).sql, [importSource.iImport]);
      }
    },
    leave: hold.leave,
    async metOthers(begin) {
      if (!ended) return 'nothing';
      const { line, bytes, mayGoOn } = ended;
      const { iImport, source } = line.importSource;
      const others = await withSession(pool, (session) => session.row(importedMeanwhile(source, iImport)));
      if (!others) return 'nothing';
      const known = new Set(line.ends.of(begin).map(({ fingerprint }) => fingerprint));
      const ends = (await earlierEnds(pool, source)).of(begin);
      if (ends.some((end) => end.bytes < bytes && !known.has(end.fingerprint))) return 'an earlier end';
      return mayGoOn ? 'perhaps more' : 'nothing';
    },
  };
}

/**
 * @param opened an empty chunk means that no more bytes are available now: the rows so far are stored before the next chunk
 *   is requested
 * @param dry as `dryRun` opens it: reports the outcomes and stores nothing
 * @throws Error when the format can't be detected, when the file can't be read on, or when the database fails; rows that
 *   were stored until then stay
 */
export async function importOpened(
  pool: Pool,
  file: string,
  opened: OpenedSource,
  options: ImportOptions,
  events: ImportEvents,
  dry?: DryRun,
): Promise<ImportCounts> {
  const run = openImport(pool, file, options, events, dry);
  await whole(run, () => run.read(file, opened));
  if (events.onMetOthers && !dry && !opened.isStream) {
    const met = await run.metOthers(opened.head);
    if (met !== 'nothing') events.onMetOthers(met === 'perhaps more');
  }
  return run.counts;
}

/** A file of a folder. */
export interface FolderFile {
  readonly name: string;
  open(): Promise<OpenedSource>;
}

/**
 * Imports the files of a folder as one import: a switch that writes a document for each call makes thousands of them, and
 * their calls are stored together. An unreadable file is reported, and the others are imported.
 * @param files null means that there are no more now: the rows so far are stored before the next file is requested
 * @param dry as for importOpened
 * @throws Error when the database fails, and the errors of `files`; rows that were stored until then stay
 */
export async function importFolder(
  pool: Pool,
  folder: string,
  files: Iterable<FolderFile> | AsyncIterable<FolderFile | null>,
  options: ImportOptions,
  events: FolderEvents,
  dry?: DryRun,
): Promise<ImportCounts> {
  const run = openImport(pool, folder, options, events, dry);
  await whole(run, async () => {
    for await (const file of files) {
      if (file === null) {
        await run.store();
        continue;
      }
      try {
        await run.read(file.name, await file.open());
      } catch (error) {
        if (run.hasFailed) throw error;
        events.onFailure(file.name, error);
      }
      run.nextFile();
    }
  });
  return run.counts;
}

/** Reads, stores what was read even where reading failed, and finishes the import unless it did. */
async function whole(run: ImportRun, read: () => Promise<void>): Promise<void> {
  try {
    try {
      await read();
    } finally {
      await run.store();
    }
    await run.finish();
  } finally {
    await run.leave();
  }
}

function openReader(format: FormatName, { read, resume }: ImportOptions): SourceReader {
  const open = (columns: readonly string[] | null) =>
    openSource(format, columns ? { ...read, columns } : read);
  return resume ? resumedReader(open, resume) : open(null);
}

function openImportSource(
  pool: Pool,
  file: string,
  format: FormatName,
  options: ImportOptions,
  dry: DryRun | undefined,
): Promise<ImportSource> {
  const { newAccounts, sameCall } = options;
  const importSourceOptions = {
    file,
    format,
    source: options.source ?? FORMATS[format].source,
    readOptions: readOptionsToKeep(options.read),
    newAccounts,
    sameCall,
  };
  return dry ? openDrySource(dry.session, importSourceOptions) : openFileSource(pool, importSourceOptions);
}

/** A regular expression has no JSON form, but its text has one. */
function readOptionsToKeep(read: SourceOptions): KeptOptions {
  return { ...read, inboundContexts: read.inboundContexts?.source };
}
