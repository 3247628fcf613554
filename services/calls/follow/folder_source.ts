/**
 * Follows a folder into which a switch drops documents or tables. Each is read once it is whole, and then kept, moved or
 * deleted. The transaction of a document's rows notes that it is stored, so a kill before the move makes no document be
 * read again. All documents are fed into one long import as they come.
 */
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { withSession, withTransaction } from '#platform/database/pool.ts';
import type { Session } from '#platform/database/session.ts';
import type { ImportCounts } from '../intake/import_counts.ts';
import { type FolderFile, importFolder, type Reached } from '../intake/import_file.ts';
import { isCallFile, openSourceFile } from '../intake/source_files.ts';
import { documentsOf, dropDocuments, holds, keepDocuments } from '../store/followed.ts';
import { type Document, documentAt, judge, putAway } from './dropped_documents.ts';
import type { FileSourceNeeds } from './file_source.ts';
import type { Follower } from './follower.ts';
import { LeaseLostError, POLL_MS } from './read_content.ts';
import type { After } from './sources.ts';

/** The time between two looks through an apparently unchanged folder: with few files, and with many. */
const RELIST_MS = 5_000;
const RELIST_MANY_MS = 60_000;
const MANY = 2_000;
/** The most documents to read before stored ones are moved or deleted. */
const DOCUMENTS_AT_ONCE = 1_000;
/** Unreadable documents are logged one by one, up to this number. */
const TOLD_FAILURES = 5;
const NO_STDIN = Readable.from([]);

interface Seen extends Document {
  /** Since when it is in its present state, by the monotonic clock. */
  readonly since: number;
}

export function createFolderSource(needs: FileSourceNeeds & { readonly after: After }): Follower {
  const { pool, clock, holder, iSource, path, options, after, warn } = needs;
  const bell = needs.bell.listener();
  const stopping = new AbortController();
  /** Versions of the stored documents that are still in the folder, by name. */
  const stored = new Map<string, string>();
  /** Versions of the unreadable documents. */
  const failed = new Map<string, string>();
  /** Documents that are not stored. */
  let waiting = new Map<string, Seen>();
  /** Documents that were given to this import, in order, and are not noted as stored; and the number of earlier ones. */
  let given: Document[] = [];
  let notedBefore = 0;
  let noting = 0;
  let folderChangedAt = Number.NaN;
  let listedAt = Number.NEGATIVE_INFINITY;
  let bytesRead = 0;
  let trouble = '';
  let ended: { readonly error: unknown } | undefined;
  let reading: Promise<void> | undefined;

  async function look(): Promise<void> {
    if (ended) throw ended.error;
    // If the folder has gone, or can't be read any more, this call throws.
    await stat(path);
    reading ??= run();
  }

  async function run(): Promise<void> {
    try {
      const rows = await withSession(pool, (session) => session.rows(documentsOf(iSource)));
      for (const { name, version } of rows) stored.set(name, version);
      while (!stopping.signal.aborted) await importOn();
    } catch (error) {
      ended = { error };
      needs.bell.ring();
    }
  }

  /** One import. It ends after a document to which more may be written, so that the next import knows the document's end. */
  async function importOn(): Promise<void> {
    let before: ImportCounts | undefined;
    given = [];
    notedBefore = 0;
    const events = {
      onFormat: () => undefined,
      onProgress(now: ImportCounts) {
        noteStored(noting);
        needs.onProgress(before, now);
        before = { ...now, reasons: new Map(now.reasons) };
      },
      onFailure: (file: string, error: unknown) => fail(basename(file), error),
    };
    const waitForRoom = () => needs.waitForRoom?.(stopping.signal) ?? Promise.resolve();
    await importFolder(pool, path, documents(), { ...options, waitForRoom, also: note }, events);
  }

  async function* documents(): AsyncGenerator<FolderFile | null> {
    for (;;) {
      stopping.signal.throwIfAborted();
      const { ready, maySwell } = await readyOnes();
      for (const document of ready) {
        stopping.signal.throwIfAborted();
        given.push(document);
        yield { name: join(path, document.name), open: () => opened(document) };
      }
      if (ready.length > 0) {
        yield null;
        await noteRest();
      }
      await putStoredAway();
      if (maySwell) return;
      if (ready.length === 0) await bell.wait(POLL_MS, stopping.signal);
    }
  }

  /** The documents to read now; and whether some of them may still grow. */
  async function readyOnes(): Promise<{ ready: Document[]; maySwell: boolean }> {
    await list();
    const ready: Document[] = [];
    let maySwell = false;
    for (const seen of waiting.values()) {
      if (ready.length >= DOCUMENTS_AT_ONCE) break;
      const how = await judge(path, seen, clock.monotonic() - seen.since);
      if (how === 'open') continue;
      if (how === 'silent') maySwell = true;
      ready.push(seen);
    }
    return { ready, maySwell };
  }

  /** Looks through the folder if it may have changed. */
  async function list(): Promise<void> {
    const { mtimeMs } = await stat(path);
    const isDue = clock.monotonic() - listedAt >= (stored.size > MANY ? RELIST_MANY_MS : RELIST_MS);
    if (mtimeMs === folderChangedAt && !isDue && waiting.size === 0) return;
    folderChangedAt = mtimeMs;
    const names = (await readdir(path)).filter(isCallFile).sort();
    const seen = new Map<string, Seen>();
    for (const name of names) {
      // Stored files are checked again from time to time: a table may have grown.
      if (stored.has(name) && !isDue && !waiting.has(name)) continue;
      const document = await documentAt(path, name);
      if (!document || stored.get(name) === document.version || failed.get(name) === document.version)
        continue;
      failed.delete(name);
      const known = waiting.get(name);
      const since = known?.version === document.version ? known.since : clock.monotonic();
      seen.set(name, { ...document, since });
    }
    waiting = seen;
    if (isDue) listedAt = clock.monotonic();
    await forgetGone(new Set(names));
  }

  async function forgetGone(names: ReadonlySet<string>): Promise<void> {
    for (const name of failed.keys()) if (!names.has(name)) failed.delete(name);
    if (failed.size === 0) trouble = '';
    const gone = [...stored.keys()].filter((name) => !names.has(name));
    if (gone.length > 0) await drop(gone);
  }

  async function drop(names: readonly string[]): Promise<void> {
    await withSession(pool, (session) => session.run(dropDocuments(iSource, names)));
    for (const name of names) stored.delete(name);
  }

  async function opened(document: Document): ReturnType<FolderFile['open']> {
    const source = await openSourceFile({ name: join(path, document.name), size: document.size }, NO_STDIN);
    bytesRead += document.size;
    return source;
  }

  function fail(name: string, error: unknown): void {
    const document = given.findLast((one) => one.name === name);
    if (document) failed.set(name, document.version);
    const words = `${join(path, name)}: ${error instanceof Error ? error.message : String(error)}`;
    trouble = failed.size > 1 ? `${words}; ${failed.size} files here can't be read` : words;
    if (failed.size <= TOLD_FAILURES) warn(trouble);
  }

  const withoutFailed = (documents: readonly Document[]) =>
    documents.filter(({ name, version }) => failed.get(name) !== version);

  /** Notes in a batch's transaction which documents the batch completes. */
  async function note(session: Session, { files, rows }: Reached): Promise<void> {
    await holdOn(session);
    noting = files;
    const through = withoutFailed(given.slice(0, files - notedBefore));
    if (through.length > 0) await session.run(keepDocuments(iSource, holder, through));
    await needs.onRows(session, rows, Math.max(...given.map(({ modifiedAt }) => modifiedAt)));
  }

  async function holdOn(session: Session): Promise<void> {
    if ((await session.run(holds(iSource, holder))) === 0)
      throw new LeaseLostError('another process reads the source by now');
  }

  /** Documents behind the last batch: those without a row. */
  async function noteRest(): Promise<void> {
    const rest = withoutFailed(given);
    if (rest.length > 0) {
      await withTransaction(pool, async (session) => {
        await holdOn(session);
        await session.run(keepDocuments(iSource, holder, rest));
      });
    }
    noteStored(notedBefore + given.length);
  }

  /** Called after the commit of the transaction that noted so many of this import's documents. */
  function noteStored(files: number): void {
    const through = given.slice(0, files - notedBefore);
    for (const { name, version } of withoutFailed(through)) {
      stored.set(name, version);
      if (waiting.get(name)?.version === version) waiting.delete(name);
    }
    for (const { name, version } of through)
      if (failed.get(name) === version && waiting.get(name)?.version === version) waiting.delete(name);
    given = given.slice(through.length);
    notedBefore += through.length;
  }

  /** Moves or deletes stored documents, also those that a kill has left here. */
  async function putStoredAway(): Promise<void> {
    if (after.kind === 'keep') return;
    const gone: string[] = [];
    for (const [name, version] of stored) {
      const document = { name, version, size: 0, modifiedAt: 0 };
      if (await putAway(path, document, after)) gone.push(name);
    }
    if (gone.length > 0) await drop(gone);
  }

  return {
    look,
    folder: path,
    isThere: true,
    get bytesBehind() {
      return [...waiting.values()].reduce((sum, { size }) => sum + size, 0);
    },
    get bytesRead() {
      return bytesRead;
    },
    get trouble() {
      return trouble;
    },
    async stop() {
      stopping.abort(new Error('stopping'));
      await reading;
    },
  };
}
