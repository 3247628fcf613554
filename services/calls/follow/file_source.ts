/**
 * Follows the file at a path through all rotations. The name is followed, and each content that stands under the name is
 * read to its end, wherever a rotation moves it.
 *
 *   rename       another file stands at the path: the old one, still open, is read until it is silent
 *   copytruncate the file has become shorter: its old content is looked for among the rotated names
 *   a stop       the content that was at the path then is looked for likewise, unpacked if it was gzipped; files that were
 *                rotated since, and are newer than all known ones, are read whole
 */
import type { BigIntStats } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { withSession } from '#platform/database/pool.ts';
import type { Statement } from '#platform/database/statement.ts';
import {
  addFile,
  type FollowedFile,
  filesOf,
  finishFile,
  noteSearch,
  placeFile,
  searchedTo,
} from '../store/followed.ts';
import { hasContent, isInTheMaking, type OpenFile, openFile, unpackTo } from './content.ts';
import type { Follower } from './follower.ts';
import { type Content, type ContentNeeds, createContent, type Ended } from './read_content.ts';
import { rotatedNames } from './rotation.ts';
import { mayBeUnseen, newestTime } from './times_of_change.ts';

/** How long to look for content that is under no name: a file may just be being gzipped. */
const SEARCH_MS = 60_000;
const SEARCH_EVERY_MS = 2_000;
/** The shortest time between two looks through a changed folder. */
const RELIST_MS = 1_000;
/** The most rotated files to check, the newest ones; and the most to keep open, of which few have unread bytes. */
const MAX_ROTATED = 64;
const MAX_BEHIND = 2;
/** Two files with one time of change may be listed in another order. */
const SAME_TIME_MS = 1_000;

export interface FileSourceNeeds extends ContentNeeds {
  readonly iSource: number;
  /** Logs a warning for the operator. */
  readonly warn: (words: string) => void;
}

interface Reading {
  readonly content: Content;
  readonly stop: AbortController;
  readonly done: Promise<void>;
  ended: Ended | { readonly error: unknown } | undefined;
}

export function createFileSource(needs: FileSourceNeeds): Follower {
  const { pool, clock, path, iSource, holder, warn } = needs;
  let live: Reading | undefined;
  const old = new Set<Reading>();
  /** Contents that were at the path and are under no name now: since when, and their bytes that were read and not stored. */
  const lost = new Map<number, { readonly since: number; readonly content: Content | undefined }>();
  /** Rotated files without new content, in their state at the last look. */
  const nothingNew = new Set<string>();
  let searchedAt = Number.NEGATIVE_INFINITY;
  /** The folder's last change and its rotated names at the last whole search. */
  let folderChangedAt = Number.NaN;
  let searchedListing = '';
  let mustSearch = true;
  /** Every rotated file that is older than this is known. Milliseconds since 1970, by the file system's clock. */
  let searched: number | undefined;
  let isThere = false;
  let bytesReadBefore = 0;

  const readings = (): Reading[] => [...old, ...(live ? [live] : [])];
  const ask = <Row>(statement: Statement<Row>): Promise<Row[]> =>
    withSession(pool, (session) => session.rows(statement));

  async function look(): Promise<void> {
    const found = await stat(path, { bigint: true }).catch(whereMissing);
    isThere = found !== undefined;
    if (live && (!found || !isSameFile(live.content.open, found))) {
      // The reader goes on with the file under any name.
      live.content.rotate(0);
      old.add(live);
      live = undefined;
      mustSearch = true;
    }
    searched ??= await searchedBefore(found);
    for (const reading of readings()) await cleanUp(reading);
    const back = found && !live && [...old].find(({ content }) => isSameFile(content.open, found));
    if (back) {
      back.content.rotate(null);
      old.delete(back);
      live = back;
    }
    if (!live && found) await openLive();
    const sinceMs = clock.monotonic() - searchedAt;
    const isDue = lost.size > 0 && sinceMs >= SEARCH_EVERY_MS;
    if (mustSearch || isDue || (sinceMs >= RELIST_MS && (await hasNewNames()))) await search(found);
  }

  /** A file that is written and rotated between two looks shows only in the names in its folder. */
  async function hasNewNames(): Promise<boolean> {
    const changedAt = (await stat(dirname(path)).catch(whereMissing))?.mtimeMs ?? Number.NaN;
    if (changedAt === folderChangedAt) return false;
    folderChangedAt = changedAt;
    return (await rotatedFiles()).listing !== searchedListing;
  }

  /** For a source that was never followed, files that were rotated before do not count. */
  async function searchedBefore(found: BigIntStats | undefined): Promise<number> {
    const [row] = await ask(searchedTo(iSource));
    if (row?.searched_to) return Date.parse(row.searched_to);
    return noteSearched(newestOf((await rotatedFiles()).candidates, found));
  }

  /** The newest time of change among them. 0 where no time is usable. */
  const newestOf = (candidates: readonly Candidate[], found: BigIntStats | undefined): number =>
    newestTime(
      [...candidates.map(({ modifiedAt }) => modifiedAt), found ? Number(found.mtimeNs) / 1e6 : 0],
      clock.now(),
    );

  async function noteSearched(to: number): Promise<number> {
    await ask(noteSearch(iSource, holder, to));
    return to;
  }

  /** Cleans up once a content is not read any more. */
  async function cleanUp(reading: Reading): Promise<void> {
    const { ended, content } = reading;
    if (ended === undefined) return;
    if (typeof ended === 'object') throw ended.error;
    await close(reading);
    if (ended === 'left') {
      if (content.trouble !== '') warn(`${content.trouble}; it was rotated away, and no row of it is read`);
      return;
    }
    lost.set(content.file.i_file, { since: clock.monotonic(), content });
    mustSearch = true;
  }

  async function close(reading: Reading): Promise<void> {
    if (live === reading) live = undefined;
    old.delete(reading);
    bytesReadBefore += reading.content.bytesRead;
    await reading.content.open.handle.close();
  }

  async function openLive(): Promise<void> {
    const file = await openFile(path).catch(whereMissing);
    if (!file) return;
    try {
      const files = await ask(filesOf(iSource));
      const row = (await takeOver(file)) ?? (await findContent(file, files))?.row;
      live = read(row ? await place(row, file) : await makeFile(file), file);
      lost.delete(live.content.file.i_file);
    } catch (error) {
      await file.handle.close();
      throw error;
    }
  }

  /** A file that replaces the old one and begins with all its content, as after rsync, counts as the same file. */
  async function takeOver(file: OpenFile): Promise<FollowedFile | undefined> {
    for (const reading of old) {
      const before = reading.content.file;
      if (before.position === 0 || file.isPacked || !(await hasContent(file, file.size, before))) continue;
      reading.stop.abort(new Error('another file has its content'));
      await reading.done;
      await close(reading);
      return reading.content.file;
    }
    return undefined;
  }

  /** The known content with which a file begins, even a finished one. */
  async function findContent(file: OpenFile, files: readonly FollowedFile[]): Promise<Found | undefined> {
    for (const row of mayBe(files))
      if (await hasContent(file, file.size, row)) return { row, size: file.size };
    return undefined;
  }

  /** Like findContent, for a gzipped file. */
  async function findPacked(file: OpenFile, files: readonly FollowedFile[]): Promise<Found | undefined> {
    for (const row of mayBe(files)) {
      if (row.position === 0) continue;
      const { matches, rest } = await unpackTo(file, row, 0);
      if (!matches) continue;
      const pieces = rest[Symbol.asyncIterator]();
      const more = await pieces.next();
      await pieces.return?.();
      return { row, size: row.position + (more.done ? 0 : more.value.length) };
    }
    return undefined;
  }

  /** Contents that no reader reads here. Of those without stored rows, only contents that were not truncated. */
  const mayBe = (files: readonly FollowedFile[]): FollowedFile[] => {
    const isRead = new Set(readings().map(({ content }) => content.file.i_file));
    return files.filter(
      ({ i_file, position, finished }) =>
        !isRead.has(i_file) && (position > 0 || (!finished && lost.get(i_file)?.content === undefined)),
    );
  };

  const place = async (row: FollowedFile, file: OpenFile): Promise<FollowedFile> =>
    (await ask(placeFile(iSource, row.i_file, file)))[0]!;

  const makeFile = async (file: OpenFile): Promise<FollowedFile> => (await ask(addFile(iSource, file)))[0]!;

  function read(row: FollowedFile, file: OpenFile): Reading {
    const content = createContent(needs, row, file);
    const stop = new AbortController();
    const reading: Reading = {
      content,
      stop,
      ended: undefined,
      done: content
        .run(stop.signal)
        .then((ended) => {
          reading.ended = ended;
        })
        .catch((error: unknown) => {
          reading.ended = { error };
        })
        .finally(() => needs.bell.ring()),
    };
    return reading;
  }

  /** Looks among the rotated names for lost contents, and for files that came and went unseen. */
  async function search(found: BigIntStats | undefined): Promise<void> {
    searchedAt = clock.monotonic();
    mustSearch = false;
    const files = await ask(filesOf(iSource));
    const isRead = new Set(readings().map(({ content }) => content.file.i_file));
    for (const { i_source, i_file, finished } of files) {
      if (i_source !== iSource || finished || isRead.has(i_file) || lost.has(i_file)) continue;
      lost.set(i_file, { since: clock.monotonic(), content: undefined });
    }
    // An opened file without stored rows can't be recognised by its content, any more than an unseen one can.
    const unread = files.filter(
      (file) => lost.has(file.i_file) && file.position === 0 && file.modified_at !== null,
    );
    const from = Math.min(searched!, ...unread.map((file) => Date.parse(file.modified_at!))) - SAME_TIME_MS;
    const { candidates, listing } = await rotatedFiles();
    const to = Math.max(searched!, newestOf(candidates, found));
    for (const candidate of candidates) {
      const behind = [...old].filter(({ content, ended }) => ended === undefined && content.bytesBehind > 0);
      if (behind.length >= MAX_BEHIND || old.size >= MAX_ROTATED) {
        mustSearch = true;
        return;
      }
      const isNewer = mayBeUnseen(candidate.modifiedAt, from, clock.now());
      if (isNewer || lost.size > 0) await openRotated(candidate, files, isNewer);
    }
    // A rotation during the search may have moved a file from a later name to an earlier one.
    if ((await rotatedFiles()).listing !== listing) {
      mustSearch = true;
      return;
    }
    searchedListing = listing;
    if (to !== searched) searched = await noteSearched(to);
    for (const { i_file, name, position } of files) {
      const { since, content } = lost.get(i_file) ?? { since: Number.POSITIVE_INFINITY, content: undefined };
      if (clock.monotonic() - since < SEARCH_MS) continue;
      if (position > 0)
        warn(
          `content of ${name} behind byte ${position}, if there was any, is under no name that a rotation gives`,
        );
      await content?.takeRest();
      await ask(finishFile(i_file));
      lost.delete(i_file);
    }
  }

  /** `listing`: the same as long as every name is the same file's. */
  async function rotatedFiles(): Promise<{ candidates: Candidate[]; listing: string }> {
    const folder = dirname(path);
    const candidates: Candidate[] = [];
    let listing = '';
    const reading = readings().map(({ content }) => content.open);
    for (const name of rotatedNames(path, ((await readdir(folder).catch(whereMissing)) ?? []).sort())) {
      const found = await stat(join(folder, name), { bigint: true }).catch(whereMissing);
      listing += `${name}:${found?.ino}\n`;
      if (!found?.isFile() || found.size === 0n || reading.some((open) => isSameFile(open, found))) continue;
      const version = `${name}:${found.ino}:${found.size}:${found.mtimeNs}`;
      if (nothingNew.has(version)) continue;
      candidates.push({ name: join(folder, name), modifiedAt: Number(found.mtimeNs) / 1e6, version });
    }
    const newest = candidates.sort((a, b) => a.modifiedAt - b.modifiedAt).slice(-MAX_ROTATED);
    return { candidates: newest, listing };
  }

  /** @param isNewer the file is newer than all known ones: if its content is unknown too, it is read whole */
  async function openRotated(
    candidate: Candidate,
    files: readonly FollowedFile[],
    isNewer: boolean,
  ): Promise<void> {
    const file = await openFile(candidate.name).catch(whereMissing);
    if (!file) return;
    try {
      const known = file.isPacked ? await findPacked(file, files) : await findContent(file, files);
      if (known ? known.row.finished && known.row.position === known.size : !isNewer) {
        nothingNew.add(candidate.version);
        await file.handle.close();
        return;
      }
      const reading = read(known ? await place(known.row, file) : await makeFile(file), file);
      lost.delete(reading.content.file.i_file);
      reading.content.rotate(Number.POSITIVE_INFINITY);
      old.add(reading);
      // A gzipped file does not grow any more.
      if (file.isPacked) nothingNew.add(candidate.version);
    } catch (error) {
      await file.handle.close();
      if (!isInTheMaking(error)) throw error;
    }
  }

  return {
    look,
    folder: dirname(path),
    get isThere() {
      return isThere;
    },
    get bytesBehind() {
      return readings().reduce((sum, { content }) => sum + content.bytesBehind, 0);
    },
    get bytesRead() {
      return readings().reduce((sum, { content }) => sum + content.bytesRead, bytesReadBefore);
    },
    get trouble() {
      return readings().find(({ content }) => content.trouble !== '')?.content.trouble ?? '';
    },
    async stop() {
      const all = readings();
      for (const { stop } of all) stop.abort(new Error('stopping'));
      for (const reading of all) {
        await reading.done;
        await close(reading);
      }
    },
  };
}

/** A known content, and how many bytes of it a file holds. For a gzipped file, whether it holds more than the known bytes. */
interface Found {
  readonly row: FollowedFile;
  readonly size: number;
}

/** A file that a rotation may have moved. */
interface Candidate {
  readonly name: string;
  readonly modifiedAt: number;
  /** Differs where the file has changed. */
  readonly version: string;
}

const isSameFile = (open: OpenFile, found: BigIntStats): boolean =>
  open.device === String(found.dev) && open.inode === String(found.ino);

/** For a path that has no file, or none any more. */
function whereMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
  throw error;
}
