/**
 * Follows the file at a path through all that a rotation does to it: the name is what is followed, and each content that
 * stands under it is read to its end, wherever it has gone by then.
 *
 *   rename       another file stands at the path: the old one, still open, is read until it is silent
 *   copytruncate the file has become shorter: what it held is looked for among the rotated names, by its content
 *   a stop       what was at the path then is looked for likewise, unpacked where it was gzipped; what was rotated since,
 *                and is newer than all that is known, is read whole
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

/** How long content that is not found under any name is looked for: a file may just be being gzipped. */
const SEARCH_MS = 60_000;
const SEARCH_EVERY_MS = 2_000;
/** How often at most a folder in which something has changed is looked through. */
const RELIST_MS = 1_000;
/** Rotated files that are looked at, the newest; and that are open at once, of which few have more to be read. */
const MAX_ROTATED = 64;
const MAX_BEHIND = 2;
/** Two files of one time of change may be told in another order. */
const SAME_TIME_MS = 1_000;

export interface FileSourceNeeds extends ContentNeeds {
  readonly iSource: number;
  /** Something that whoever runs this should know. */
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
  /** Contents that were at the path and are nowhere, since when, and what of them was read and not stored. */
  const lost = new Map<number, { readonly since: number; readonly content: Content | undefined }>();
  /** Rotated files that hold nothing new, as they were when they were looked at. */
  const nothingNew = new Set<string>();
  let searchedAt = Number.NEGATIVE_INFINITY;
  /** When the folder had last changed, and what rotated names were in it, at the last whole search. */
  let folderChangedAt = Number.NaN;
  let searchedListing = '';
  let mustSearch = true;
  /** No rotated file that is older than this is unknown; milliseconds since 1970, by the file system's clock. */
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
      // It is read on under whatever name it has.
      live.content.rotate(0);
      old.add(live);
      live = undefined;
      mustSearch = true;
    }
    searched ??= await searchedBefore(found);
    for (const reading of readings()) await settle(reading);
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

  /** A file that is written and rotated between two looks shows in nothing but the names in its folder. */
  async function hasNewNames(): Promise<boolean> {
    const changedAt = (await stat(dirname(path)).catch(whereMissing))?.mtimeMs ?? Number.NaN;
    if (changedAt === folderChangedAt) return false;
    folderChangedAt = changedAt;
    return (await rotatedFiles()).listing !== searchedListing;
  }

  /** Of a source that nobody has followed yet, all that was rotated before is none of it. */
  async function searchedBefore(found: BigIntStats | undefined): Promise<number> {
    const [row] = await ask(searchedTo(iSource));
    if (row?.searched_to) return Date.parse(row.searched_to);
    return noteSearched(newestOf((await rotatedFiles()).candidates, found));
  }

  /** When the newest of them was changed; 0 where nothing tells it. */
  const newestOf = (candidates: readonly Candidate[], found: BigIntStats | undefined): number =>
    newestTime(
      [...candidates.map(({ modifiedAt }) => modifiedAt), found ? Number(found.mtimeNs) / 1e6 : 0],
      clock.now(),
    );

  async function noteSearched(to: number): Promise<number> {
    await ask(noteSearch(iSource, holder, to));
    return to;
  }

  /** What to do once a content is not read any more. */
  async function settle(reading: Reading): Promise<void> {
    const { ended, content } = reading;
    if (ended === undefined) return;
    if (typeof ended === 'object') throw ended.error;
    await close(reading);
    if (ended === 'left') {
      if (content.trouble !== '') warn(`${content.trouble}; it was rotated away, and nothing of it is read`);
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

  /** A file that was put in the place of the old one and begins with all that it held, as rsync does, is the same. */
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

  /** The known content that a file begins with, be it finished. */
  async function findContent(file: OpenFile, files: readonly FollowedFile[]): Promise<Found | undefined> {
    for (const row of mayBe(files))
      if (await hasContent(file, file.size, row)) return { row, size: file.size };
    return undefined;
  }

  /** As findContent, of a gzipped file. */
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

  /** Rows whose content nobody reads here; of those without any, only such as were not truncated. */
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

  /** Looks for lost contents, and for files that came and went while nobody looked, among the rotated names. */
  async function search(found: BigIntStats | undefined): Promise<void> {
    searchedAt = clock.monotonic();
    mustSearch = false;
    const files = await ask(filesOf(iSource));
    const isRead = new Set(readings().map(({ content }) => content.file.i_file));
    for (const { i_source, i_file, finished } of files) {
      if (i_source !== iSource || finished || isRead.has(i_file) || lost.has(i_file)) continue;
      lost.set(i_file, { since: clock.monotonic(), content: undefined });
    }
    // What was opened, and of which nothing was stored, can be told by its content no more than what nobody has seen.
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
    // A rotation that went on meanwhile may have moved a file from a name that was to come to one that was past.
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
          `what ${name} held behind byte ${position}, if anything, is under no name that a rotation gives`,
        );
      await content?.takeRest();
      await ask(finishFile(i_file));
      lost.delete(i_file);
    }
  }

  /** `listing`: the same while no name is another file's. */
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

  /** @param isNewer nothing that is known is as new: where its content is not known either, it is read whole */
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
      // What was gzipped grows no more.
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

/** A known content, and how many bytes of it stand in a file; of a gzipped one, whether there is more than is known. */
interface Found {
  readonly row: FollowedFile;
  readonly size: number;
}

/** A file that a rotation may have put away. */
interface Candidate {
  readonly name: string;
  readonly modifiedAt: number;
  /** Another one where the file has changed. */
  readonly version: string;
}

const isSameFile = (open: OpenFile, found: BigIntStats): boolean =>
  open.device === String(found.dev) && open.inode === String(found.ino);

/** For a path under which nothing is, or nothing any more. */
function whereMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
  throw error;
}
